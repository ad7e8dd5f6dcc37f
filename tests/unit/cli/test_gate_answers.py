"""The gate fails closed: whatever answers, only a whole decision that allows what was asked ends with 0."""

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.blackbox.cli.terminal import Ended, Inside
from tests.unit.cli.scripted import Said, Scripted, serving

from greenroom.cli import gate_wait

DIGEST = f"sha256:{'a' * 64}"
CHECK = ("--service", "web", "-e", "production", "--digest", DIGEST)
RULES = [
    {"id": "c1", "kind": "suites", "condition": "C1", "outcome": "pass", "code": "ok"},
    {
        "id": "go",
        "kind": "approval",
        "outcome": "pending",
        "code": "approval.missing",
        "message": "nobody | *approved*",
    },
    {"id": "red", "kind": "evidence", "outcome": "fail", "code": "evidence.failed", "message": "\x07red"},
    {"id": "old", "kind": "soak", "outcome": "not_applicable", "code": "mode.other", "message": "not in this mode"},
]
POLICY = Said(body={"document": {"time_zone": "Europe/Berlin"}})


def decision(verdict: str = "allow", rules: Any = None, **members: Any) -> dict[str, Any]:
    return {
        "id": "019ab9d8-7c00-7d4d-8b0c-6f1f5f9f2d11",
        "simulated": False,
        "decision": verdict,
        "inputs_digest": DIGEST,
        "action": "deploy",
        "subject": {"service": "web", "digest": DIGEST},
        "target": {"environment": "production"},
        "policy": {"name": "shop", "version": 7, "digest": DIGEST, "mode": "delivery", "tzdata": "2026.6"},
        "as_of": {"seq": 1, "time": "2026-11-20T11:00:00.000Z"},
        "retry_at": None,
        "expires_at": None,
        "rules": RULES[:1] if rules is None else rules,
        "next": [],
        "obligations": [],
        "steps": ["somebody with the role product: approve"] if verdict == "wait" else [],
        **members,
    }


def without(name: str) -> dict[str, Any]:
    body = decision()
    del body[name]
    return body


def changed(part: str, **members: Any) -> dict[str, Any]:
    body = copy.deepcopy(decision())
    body[part] |= members
    return body


def ask(server: Scripted, *arguments: str, **variables: str) -> Ended:
    where = {"GREENROOM_URL": server.url, "GREENROOM_TOKEN": "gr_pipe_x", "GREENROOM_PROJECT": "shop"}
    nowhere = {"GITHUB_STEP_SUMMARY": "", "GITHUB_OUTPUT": "", "GREENROOM_SERVICE": "", "GREENROOM_DIGEST": ""}
    place = Inside(**{**where, **nowhere, **variables})
    return place.run("gate", *(arguments or ("check", *CHECK)))


@pytest.mark.parametrize(("verdict", "code"), [("allow", 0), ("wait", 10), ("deny", 20)])
def test_each_verdict_has_its_exit_code(verdict: str, code: int) -> None:
    """The first word on the terminal is the verdict."""
    with serving(Said(body=decision(verdict))) as server:
        ended = ask(server).expect(code)

    assert ended.out.startswith(f"{verdict}: deploy of web sha256:aaaaaaaaaaaa to production may ")


NO_DECISIONS: list[tuple[Said, int]] = [
    (Said(body="<html>log in</html>", media_type="text/html"), 3),
    (Said(body=json.dumps(decision())[:300]), 3),
    (Said(body=[decision()]), 3),
    (Said(body=""), 3),
    (Said(status=204), 3),
    (Said(status=202, body="accepted", media_type="text/plain"), 3),
    (Said(body={"decision": "allow"}), 3),
    *((Said(body=without(name)), 3) for name in ("id", "simulated", "subject", "target", "policy", "rules", "as_of")),
    *((Said(body=decision(word)), 3) for word in ("approved", "ALLOW", "", "not_applicable")),
    *((Said(body=decision(decision=word)), 3) for word in (None, True, ["allow"], {"allow": 1})),
    (Said(body=decision(simulated=True)), 3),
    (Said(body=decision(simulated="no")), 3),
    (Said(body=decision(action="darken")), 3),
    (Said(body=changed("subject", service="checkout")), 3),
    (Said(body=changed("subject", digest=f"sha256:{'b' * 64}")), 3),
    (Said(body=changed("target", environment="staging")), 3),
    (Said(body=decision(rules=RULES)), 3),
    (Said(body=decision(rules=[{**RULES[0], "outcome": "fine"}])), 3),
    (Said(body=decision(rules={"c1": "pass"})), 3),
    (Said(body=decision(retry_at="tomorrow")), 3),
    (Said.problem(400, "invalid"), 1),
    (Said.problem(401, "unauthenticated"), 1),
    (Said.problem(403, "forbidden"), 1),
    (Said.problem(404, "not_found"), 4),
    (Said.problem(409, "key_in_use"), 1),
    (Said.problem(500, "internal"), 3),
    (Said(status=403, body="<html>no</html>", media_type="text/html"), 3),
    (Said(status=302, body="", headers=(("Location", "https://login.example"),)), 3),
    (Said(hangs_up=True), 3),
]


@pytest.mark.parametrize(("said", "code"), NO_DECISIONS)
def test_what_is_no_decision_lets_nothing_through(said: Said, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with the code that says why, prints no verdict, and says in words that something is wrong."""
    monkeypatch.setattr("greenroom.cli.api.time.sleep", lambda _: None)
    with serving(said) as server:
        ended = ask(server).expect(code)

    assert ended.out == ""
    assert "error: " in ended.err


def test_an_unwritable_file_is_no_permission(tmp_path: Path) -> None:
    """Whoever waits for the report does not get 0 without it."""
    with serving(Said(body=decision())) as server:
        ended = ask(server, "check", *CHECK, "--junit", str(tmp_path / "nowhere" / "gate.xml")).expect(2)

    assert "cannot be written" in ended.err


def test_a_break_glass_and_a_waiver_let_through_what_they_name() -> None:
    """What they override stays visible."""
    rules = [
        {**RULES[2], "message": "it was red", "overridden_by": "bg_1"},
        {**RULES[1], "outcome": "waived", "underlying": "pending", "waiver": "w_1"},
    ]
    with serving(Said(body=decision(rules=rules, break_glass="bg_1"))) as server:
        ended = ask(server).expect(0)

    assert "red: overridden by break-glass bg_1: it was red" in ended.out
    assert "go: waived by w_1" in ended.out


def test_a_moment_is_told_in_the_zone_of_the_policy() -> None:
    """`retry_at` reads as the policy's own clock shows it."""
    with serving(Said(body=decision("wait", retry_at="2026-11-23T08:00:00.000Z")), POLICY) as server:
        ended = ask(server).expect(10)

        assert server.asked[-1].path == "/api/v1/projects/shop/policies/shop/versions/7"
    assert "it may go at Mon 2026-11-23 09:00 Europe/Berlin" in ended.out


def test_a_policy_that_cannot_be_read_changes_no_verdict() -> None:
    """The zone only makes moments easier to read."""
    with serving(Said(body=decision(expires_at="2026-11-23T08:00:00Z")), Said.problem(403, "forbidden")) as server:
        assert "this holds until" in ask(server).expect(0).out


def test_reports_for_pull_requests_and_pipelines(tmp_path: Path) -> None:
    """Markdown escapes what users wrote; JUnit fails what fails, skips what waits, and fails as a whole."""
    files = {"markdown": tmp_path / "gate.md", "junit": tmp_path / "gate.xml"}
    wanted = [part for name, file in files.items() for part in (f"--{name}", str(file))]
    with serving(Said(body=decision("deny", RULES))) as server:
        ask(server, "check", *CHECK, *wanted).expect(20)

    assert r"| … | go |  | approval.missing | nobody \| \*approved\* |" in files["markdown"].read_text()
    suite = ElementTree.parse(files["junit"]).getroot()[0]
    found = {case.get("name"): [child.tag for child in case] for case in suite}
    assert found == {"c1 (C1)": [], "go": ["skipped"], "red": ["failure"], "old": ["skipped"], "decision": ["failure"]}
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "2")


def test_github_is_told_where_it_runs_us(tmp_path: Path) -> None:
    """The summary and the step's outputs are added to what is there; a simulation is no output."""
    summary, output = tmp_path / "summary", tmp_path / "output"
    output.write_text("before=1\n")
    variables = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)}
    with serving(Said(body=decision("wait", RULES[:2]))) as server:
        ask(server, **variables).expect(10)
    with serving(Said(body=decision(id=None, simulated=True))) as server:
        ask(server, "simulate", *CHECK, **variables).expect(0)

    assert output.read_text() == (
        "before=1\ndecision=wait\ndecision-id=019ab9d8-7c00-7d4d-8b0c-6f1f5f9f2d11\nretry-at=\nexpires-at=\n"
    )
    assert "**wait**: " in summary.read_text()
    assert r"**allow (simulated)**: " in summary.read_text()


def test_a_simulation_must_say_that_it_is_one() -> None:
    """A real decision in its place is none that was asked for."""
    with serving(Said(body=decision())) as server:
        ask(server, "simulate", *CHECK).expect(3)


def test_waiting_tells_changes_once_and_ends_with_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again only when there is news."""
    monkeypatch.setattr(gate_wait, "PAUSE_S", 0.0)
    news, nothing = Said(body={"changed": True, "seq": 2}), Said(body={"changed": False, "seq": 1})
    waits = Said(body=decision("wait", RULES[:2]))
    with serving(waits, nothing, news, waits, news, Said(body=decision())) as server:
        ended = ask(server, "wait", *CHECK, "--for", "1m").expect(0)

        assert [one.method for one in server.asked] == ["POST", "GET", "GET", "POST", "GET", "POST"]
    assert ended.err.count("go: nobody") == 1
    assert ended.out.startswith("allow: ")


def test_waiting_ends_with_the_last_answer_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """10, and a deny is not waited for."""
    monkeypatch.setattr(gate_wait, "PAUSE_S", 0.0)
    nothing = Said(body={"changed": False, "seq": 1})
    with serving(Said(body=decision("wait", RULES[:2])), nothing) as server:
        ask(server, "wait", *CHECK, "--for", "1s").expect(10)
    with serving(Said(body=decision("deny", RULES))) as server:
        ask(server, "wait", *CHECK, "--for", "1h").expect(20)


def test_waiting_outlives_an_outage_and_a_refusal_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away for a while is asked again; a token that is refused is not."""
    monkeypatch.setattr("greenroom.cli.api.time.sleep", lambda _: None)
    away, refused = Said.problem(503, "unavailable"), Said.problem(401, "unauthenticated")
    with serving(away, away, away, Said(body=decision())) as server:
        assert "trying again" in ask(server, "wait", *CHECK, "--for", "1m").expect(0).err
    with serving(refused) as server:
        ask(server, "wait", *CHECK, "--for", "1m").expect(1)
    with serving(away) as server:
        ask(server, "wait", *CHECK, "--for", "1s").expect(3)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "-s", "web", "-e", "production"),
        ("check", "-s", "web", "--digest", DIGEST),
        ("check", "-e", "production", "--digest", DIGEST),
        ("check", "-s", "web", "-e", "production", "--digest", "sha256:abc"),
        ("check", *CHECK, "--flag", "x"),
        ("check", *CHECK, "--action", "release", "--flag", "x", "--audience", "all"),
        ("check", "-s", "web", "-e", "production", "--action", "release", "--flag", "x"),
        ("wait", *CHECK, "--for", "soon"),
        ("simulate", *CHECK, "--policy", "nowhere"),
        ("simulate", *CHECK, "--at", "soon"),
    ],
)
def test_what_cannot_be_asked_is_a_matter_of_usage(arguments: tuple[str, ...]) -> None:
    """Nothing is asked."""
    with serving(Said(body=decision())) as server:
        ask(server, *arguments).expect(2)

        assert server.asked == []
