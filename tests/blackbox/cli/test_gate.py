"""The gate by the real command, a process for each question; test_pipeline.py takes this project's own build there."""

import hashlib
import json

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Terminal
from tests.blackbox.decisions.scene import POLICY, put_in_force

GREEN = '<testsuite><testcase classname="a" name="b"/></testsuite>'
RED = '<testsuite><testcase classname="a" name="b"><failure>no</failure></testcase></testsuite>'
GREENROOM = ("--service", "greenroom", "-e", "production")


@pytest.fixture
def gate(shop: Shop, copy: str, terminal: Terminal) -> Terminal:
    """A pipeline's token in the copy of the example, with a policy in force and the service `greenroom`."""
    project = f"/api/v1/projects/{copy}"
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        put_in_force(author, project, {**POLICY, "name": "greenroom"})
        author.send("POST", f"{project}/services", {"key": "greenroom", "name": "Greenroom itself"})
        token = author.token("pipeline", projects=[copy])
    where = {"GREENROOM_URL": shop.server.url, "GREENROOM_TOKEN": token, "GREENROOM_PROJECT": copy}
    return terminal.having(**where)


def test_each_answer_has_its_exit_code(gate: Terminal, shop: Shop, copy: str) -> None:
    """No evidence is wait, a green report allow, a later red one deny; and a dead address is no permission."""
    artifact = gate.write("web.tar", "what was built")
    about = ("--artifact", str(artifact))
    asked = ("gate", "check", *GREENROOM, *about)
    tested = (*about, "--kind", "test.unit", "--suite", "unit")

    unknown = gate.run(*asked)
    build = {"digests": [f"sha256:{hashlib.sha256(artifact.read_bytes()).hexdigest()}"], "commit": "a" * 40}
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        author.send("POST", f"/api/v1/projects/{copy}/services/greenroom/builds", build)
    waits = gate.run(*asked)
    gate.run("evidence", "add", str(gate.write("green.xml", GREEN)), *tested, "--run-id", "1").expect(0)
    summary, junit = gate.folder / "gate.md", gate.folder / "gate.xml"
    allowed = gate.run(*asked, "--markdown", str(summary), "--junit", str(junit))
    as_json = gate.run(*asked, "--json")
    gate.run("evidence", "add", str(gate.write("red.xml", RED)), *tested, "--run-id", "2").expect(0)
    denied = gate.run(*asked)
    away = gate.having(GREENROOM_URL="http://127.0.0.1:9").run(*asked)

    codes = [one.code for one in (unknown, waits, allowed, as_json, denied, away)]
    assert codes == [20, 10, 0, 0, 20, 3], [one.out + one.err for one in (unknown, waits, allowed, denied, away)]
    assert "evidence.missing" in waits.out
    assert "evidence.failed" in denied.out
    assert json.loads(as_json.out)["decision"] == "allow"
    assert "allow" in summary.read_text()
    assert "<testsuites>" in junit.read_text()


def test_what_cannot_be_meant_is_denied_and_kept(gate: Terminal, shop: Shop, copy: str) -> None:
    """An action that nobody knows, and a commit of two builds: an answer like any other, by the code 20."""
    commit = "d" * 40
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        for digit in "de":
            body = {"digests": [f"sha256:{digit * 64}"], "commit": commit}
            author.send("POST", f"/api/v1/projects/{copy}/services/greenroom/builds", body)

    teleported = gate.run("gate", "check", *GREENROOM, "--action", "teleport").expect(20)
    ambiguous = gate.run("gate", "check", *GREENROOM, "--commit", commit).expect(20)
    malformed = gate.run("gate", "check", *GREENROOM, "--action", "Tele Port").expect(1)
    kept = json.loads(gate.run("gate", "report", "--json").expect(0).out)["items"]

    assert "policy.none" in teleported.out
    assert "digest.ambiguous" in ambiguous.out
    assert "action" in malformed.err
    assert [(one["action"], one["subject"]) for one in kept] == [("deploy", commit), ("teleport", "")]


def test_a_fact_that_comes_in_ends_the_wait(gate: Terminal, shop: Shop, copy: str) -> None:
    """The command waits and says for what; the report arrives while it does, and it ends with allow."""
    build = ("--digest", "sha256:" + "f" * 64)
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        body = {"digests": [build[1]], "commit": "f" * 40}
        author.send("POST", f"/api/v1/projects/{copy}/services/greenroom/builds", body)
    waiting = gate.begin("gate", "wait", *GREENROOM, *build, "--for", "2m")
    try:
        assert waiting.stderr is not None
        told = [waiting.stderr.readline(), waiting.stderr.readline()]
        report = str(gate.write("green.xml", GREEN))
        gate.run("evidence", "add", report, *build, "--kind", "test.unit", "--suite", "unit", "--run-id", "1").expect(0)
        out, _ = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
        waiting.wait()

    assert told[0].startswith("waiting: ")
    assert "tested" in told[1]
    assert (waiting.returncode, out[:6]) == (0, "allow:")


def test_when_the_time_is_up_the_wait_ends_with_wait(gate: Terminal, shop: Shop, copy: str) -> None:
    """Nothing came: the last answer stands, and its exit code."""
    build = ("--digest", "sha256:" + "f" * 64)
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        body = {"digests": [build[1]], "commit": "f" * 40}
        author.send("POST", f"/api/v1/projects/{copy}/services/greenroom/builds", body)

    assert "evidence.missing" in gate.run("gate", "wait", *GREENROOM, *build, "--for", "1s").expect(10).out


def test_what_was_decided_is_listed_shown_and_replayed(gate: Terminal) -> None:
    """The log of the gate, by the same command."""
    nobody = "sha256:" + "e" * 64
    gate.run("gate", "check", *GREENROOM, "--digest", nobody)

    (id_,) = gate.run("gate", "report", "--quiet").out.split()
    shown = gate.run("gate", "show", id_)
    replayed = gate.run("gate", "replay", id_)
    simulated = gate.run("gate", "simulate", *GREENROOM, "--digest", nobody, "--at", "2027-01-01T00:00Z")

    assert "digest.unknown" in shown.out
    assert (shown.code, replayed.code, simulated.code) == (0, 0, 20)
    assert "simulat" in simulated.out.lower()


def test_who_does_not_stay_is_called_back(gate: Terminal, shop: Shop, copy: str) -> None:
    """A webhook by its key signs as ever; a URL gets the secret of the variable, or a new one that is told once."""
    url, build = "https://hooks.example.com/gate", ("--digest", "sha256:" + "a" * 64)
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        project = f"/api/v1/projects/{copy}"
        author.send("POST", f"{project}/services/greenroom/builds", {"digests": [build[1]], "commit": "a" * 40})
        author.send("POST", f"{project}/webhooks", {"key": "ops", "url": url, "events": ["flag.*"]})
    check = ("gate", "check", *GREENROOM)
    asked = (*check, *build, "--callback")

    by_key = gate.run(*asked, "ops").expect(10)
    minted = gate.run(*asked, url).expect(10)
    own = gate.having(GREENROOM_CALLBACK_SECRET="whsec_" + "c2VjcmV0" * 4).run(*asked, url).expect(10)
    nobody = gate.run(*asked, "nobody").expect(1)
    denied = gate.run(*check, "--digest", "sha256:" + "e" * 64, "--callback", "ops").expect(20)

    assert "what becomes of it is sent to ops, until" in by_key.err
    assert "sent to hooks.example.com" in minted.err
    assert "signed with whsec_" in minted.err
    assert "whsec_" not in by_key.err + own.err + own.out
    assert "there is no webhook `nobody`" in nobody.err
    assert "nothing is sent" in denied.err


def test_a_question_without_a_build_is_a_usage_error(gate: Terminal) -> None:
    """Nothing is asked, and the answer says what to add."""
    said = gate.run("gate", "check", *GREENROOM)

    assert said.code == 2
    assert "--digest" in said.err
