"""Permits and break-glass by the command line, against a real server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside
from tests.blackbox.decisions.scene import POLICY, put_in_force

DIGEST = "sha256:" + "d" * 64
WEB = ("--service", "web", "-e", "production", "--digest", DIGEST)
ENVIRONMENTS = {"production": {"order": 10, "tier": "production", "permits": "required"}}
People = Callable[..., Inside]


@pytest.fixture
def people(shop: Shop, copy: str) -> People:
    """Makes terminals in a copy of the example where the service `web` needs permits; its build has no evidence."""
    project = f"/api/v1/projects/{copy}"
    document: dict[str, Any] = {
        **POLICY,
        "environments": ENVIRONMENTS,
        "break_glass": {"roles": ["incident-commander"]},
    }
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        put_in_force(author, project, document)
        author.send("POST", f"{project}/services", {"key": "web", "name": "Web"})
        author.send("POST", f"{project}/services/web/builds", {"digests": [DIGEST], "commit": "d" * 40})

    def make(kind: str, **members: Any) -> Inside:
        with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
            token = author.token(kind, projects=[copy], **members)
        nowhere = dict.fromkeys(("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GREENROOM_SERVICE", "GREENROOM_DIGEST"), "")
        return Inside(**nowhere, GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=token, GREENROOM_PROJECT=copy)

    return make


def test_a_permit_is_taken_used_and_verified(people: People, tmp_path: Path) -> None:
    """The id goes to the step that deploys, the envelope to whoever verifies; a second one waits meanwhile."""
    pipeline = people("pipeline")
    file, key = tmp_path / "permit.json", tmp_path / "greenroom.pem"
    green = tmp_path / "green.xml"
    green.write_text('<testsuite><testcase classname="a" name="b"/></testsuite>')
    tested = ("--digest", DIGEST, "--kind", "test.unit", "--suite", "unit", "--run-id", "1")

    pipeline.run("gate", "permit", *WEB, "-o", str(file)).expect(10)
    pipeline.run("evidence", "add", str(green), *tested).expect(0)
    permit = pipeline.run("gate", "permit", *WEB, "-o", str(file), "-q").expect(0).out.strip()
    busy = pipeline.run("gate", "permit", *WEB).expect(10)
    ran = pipeline.run("deployment", "run", *WEB, "--permit", permit, "--json", "--", "true").expect(0)
    again = pipeline.run("gate", "permit", *WEB, "-q").expect(0).out.strip()
    key.write_text(pipeline.run("gate", "keys", "--pem").expect(0).out)
    verifier = pipeline.json("gate", "keys")["verifier"]
    verify = ("gate", "verify", str(file), *WEB, "--key", str(key), "--verifier", verifier)

    assert "busy" in busy.out
    assert (ran.body["sanction"], ran.body["permit"]) == ("permit", permit)
    assert again not in ("", permit)
    pipeline.run("gate", "use", again).expect(0)
    pipeline.run("gate", "use", again).expect(1)
    pipeline.run("gate", "give-back", again, "--reason", "not now").expect(0)
    listed = pipeline.run("gate", "permits", "-s", "web").expect(0)
    assert [line.split()[1] for line in listed.out.splitlines()] == ["state", "released", "closed"]
    pipeline.run(*verify).expect(0)
    pipeline.run(*verify, "--slot", "green").expect(20)


def test_three_people_break_the_glass(people: People, tmp_path: Path) -> None:
    """Opened in the policy's role, confirmed by another, used by a permit that is signed as failed, and reviewed."""
    pipeline = people("pipeline")
    ada = people("developer", person="ada@shop.example", roles=["incident-commander"])
    bo, cy = (people("developer", person=f"{name}@shop.example") for name in ("bo", "cy"))
    file, record = tmp_path / "permit.json", tmp_path / "record.json"
    why = ("--reason", "customers cannot pay", "--ticket", "INC-1")

    bo.run("break-glass", "open", *WEB, *why).expect(1)
    glass = ada.run("break-glass", "open", *WEB, *why, "-q").expect(0).out.strip()
    ada.run("break-glass", "confirm", glass).expect(1)
    pipeline.run("gate", "permit", *WEB).expect(10)
    bo.run("break-glass", "confirm", glass, "--comment", "I looked").expect(0)
    taken = pipeline.run("gate", "permit", *WEB, "-o", str(file), "--break-glass-output", str(record)).expect(0)
    bo.run("break-glass", "review", glass, "--findings", "it was needed").expect(1)
    shown = ada.run("break-glass", "show", glass).expect(0)
    cy.run("break-glass", "review", glass, "--findings", "it was needed").expect(0)
    listed = ada.run("break-glass", "list").expect(0)
    other = ada.run("break-glass", "open", *WEB, *why, "-q").expect(0).out.strip()
    ada.run("break-glass", "withdraw", other).expect(0)

    assert "by break-glass" in taken.out
    assert record.exists()
    assert "ada@shop.example, bo@shop.example (2 of 2)" in shown.out
    assert "reviewed" in listed.out
