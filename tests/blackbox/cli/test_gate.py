"""The gate on this project's own build: the JUnit report of its real tests, and its artifact, by the real command."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Terminal
from tests.blackbox.decisions.test_crashes import POLICY

ROOT = Path(__file__).resolve().parents[3]
SUITE = "tests/unit/web/test_conditional.py"
BROKEN = '<testsuite><testcase classname="a" name="b"><failure>no</failure></testcase></testsuite>'
GREENROOM = ("--service", "greenroom", "-e", "production")


@pytest.fixture
def gate(shop: Shop, copy: str, terminal: Terminal) -> Terminal:
    """A pipeline's token in the copy of the example, with a policy in force and the service `greenroom`."""
    project = f"/api/v1/projects/{copy}"
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        author.send("PATCH", f"{project}/policy-settings", {"four_eyes": False}, If_Match="*")
        author.send("POST", f"{project}/policies", {**POLICY, "name": "greenroom"})
        author.send("POST", f"{project}/policies/greenroom/versions/1/activate", {})
        author.send("POST", f"{project}/services", {"key": "greenroom", "name": "Greenroom itself"})
        token = author.token("pipeline", projects=[copy])
    where = {"GREENROOM_URL": shop.server.url, "GREENROOM_TOKEN": token, "GREENROOM_PROJECT": copy}
    return terminal.having(**where)


def _own_build(tmp_path: Path) -> tuple[Path, bytes, str]:
    """A wheel of the SDK, the JUnit report of some of the project's tests, and a digest."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=ROOT / "clients" / "python",
        check=True,
        capture_output=True,
        timeout=60,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    report = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", SUITE, f"--junitxml={report}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    return wheel, report.read_bytes(), f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def _report(shop: Shop, gate_project: str, digest: str, report: bytes, run: str) -> Any:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    about = {"kind": "test.unit", "suite": "unit", "digest": digest, "run": run, "finished_at": now}
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        reply = author.http.post(
            f"/api/v1/projects/{gate_project}/evidence",
            params=about,
            content=report,
            headers={"Content-Type": "application/xml"},
        )
    assert reply.is_success, reply.text
    return reply.json()


def test_the_gate_decides_on_this_projects_own_build(gate: Terminal, shop: Shop, copy: str, tmp_path: Path) -> None:
    """No evidence is wait, a real green report allow, a later red one deny; and a dead address is no permission."""
    wheel, report, digest = _own_build(tmp_path)
    asked = ("gate", "check", *GREENROOM, "--artifact", str(wheel))

    unknown = gate.run(*asked)
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        build = {"digests": [digest], "commit": "a" * 40}
        author.send("POST", f"/api/v1/projects/{copy}/services/greenroom/builds", build)
    waits = gate.run(*asked)
    _report(shop, copy, digest, report, "1")
    summary, junit = tmp_path / "gate.md", tmp_path / "gate.xml"
    allowed = gate.run(*asked, "--markdown", str(summary), "--junit", str(junit))
    as_json = gate.run(*asked, "--json")
    _report(shop, copy, digest, BROKEN.encode(), "2")
    denied = gate.run(*asked)
    away = gate.having(GREENROOM_URL="http://127.0.0.1:9").run(*asked)

    codes = [one.code for one in (unknown, waits, allowed, as_json, denied, away)]
    assert codes == [20, 10, 0, 0, 20, 3], [one.out + one.err for one in (unknown, waits, allowed, denied, away)]
    assert "evidence.missing" in waits.out
    assert "evidence.failed" in denied.out
    assert json.loads(as_json.out)["decision"] == "allow"
    assert "allow" in summary.read_text()
    assert "<testsuites>" in junit.read_text()


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


def test_a_question_without_a_build_is_a_usage_error(gate: Terminal) -> None:
    """Nothing is asked, and the answer says what to add."""
    said = gate.run("gate", "check", *GREENROOM)

    assert said.code == 2
    assert "--digest" in said.err
