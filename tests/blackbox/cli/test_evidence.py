"""Everything that releases are decided on, by the real command: reports of tools, signed statements, events, words."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.api.releases.conftest import commit_of, digest_of
from tests.api.releases.documents import artifact, event, provenance, public_half, signed
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside
from tests.blackbox.decisions.scene import POLICY, put_in_force

DIGEST: Final = digest_of(1)
COMMIT: Final = commit_of(1)
BUILD: Final = ("--digest", DIGEST)
RUN: Final = ("--run-id", "1")
SERVICE: Final = ("--service", "web")
RULES: Final = [
    {"id": "scanned", "kind": "evidence", "actions": ["deploy"], "evidence": "test.security"},
    {"id": "origin", "kind": "provenance", "actions": ["deploy"], "builders": ["ci://main"], "verified": True},
    {"id": "held", "kind": "parity", "actions": ["deploy"]},
]
ENVIRONMENTS: Final = {
    "staging": {"order": 10, "tier": "staging", "parity": {"of": "production", "max_age": "7d"}},
    "production": {"order": 20, "tier": "production", "after": ["staging"]},
}


@dataclass
class Gate:
    """A project with a policy that wants much, and the terminals of its pipeline and its product manager."""

    author: Callable[[], Author]
    project: str
    pipeline: Inside
    product: Inside
    folder: Path

    def codes(self, *about: str) -> dict[str, str]:
        """What is in the way, by rule; of a deployment to production unless something else is named."""
        asked = ("gate", "check", *SERVICE, "-e", "production", *(about or BUILD), "--json")
        decision = json.loads(self.pipeline.run(*asked).out)
        return {rule["id"]: rule["code"] for rule in decision["rules"] if rule["outcome"] in ("pending", "fail")}

    def file(self, name: str, content: Any) -> str:
        """Bytes, or anything else as JSON; its path."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)


@pytest.fixture
def gate(shop: Shop, copy: str, tmp_path: Path) -> Gate:
    project = f"/api/v1/projects/{copy}"

    def author() -> Author:
        return Author(shop.server.url, shop.tokens["ADMIN_TOKEN"])

    with author() as admin:
        policy = {**POLICY, "environments": ENVIRONMENTS, "rules": [*POLICY["rules"], *RULES]}
        put_in_force(admin, project, policy)
        admin.send("POST", f"{project}/services", {"key": "web", "name": "Web"})
        commits = [{"id": COMMIT, "authors": ["bo@shop.example"], "stories": ["SHOP-117"]}]
        admin.send(
            "POST", f"{project}/services/web/builds", {"digests": [DIGEST], "commit": COMMIT, "commits": commits}
        )
        pipeline = admin.token("pipeline", projects=[copy])
        product = admin.token("manager", projects=[copy], person="ada@shop.example", roles=["product"])
    where = {"GREENROOM_URL": shop.server.url, "GREENROOM_PROJECT": copy}
    return Gate(
        author,
        project,
        Inside(**where, GREENROOM_TOKEN=pipeline),
        Inside(**where, GREENROOM_TOKEN=product),
        tmp_path,
    )


def sarif(*levels: str) -> dict[str, Any]:
    """The log of a scanner with a finding of each level."""
    results = [{"ruleId": "r", "level": level, "message": {"text": "look here"}} for level in levels]
    return {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scan"}}, "results": results}]}


def test_a_scan_counts_by_its_findings(gate: Gate) -> None:
    """A SARIF log with an error is red, and a later clean one green; the format is seen from the content."""
    told = ("--kind", "test.security", *BUILD)
    red, clean = gate.file("red.sarif", sarif("note", "error")), gate.file("clean.sarif", sarif())
    assert gate.codes()["scanned"] == "evidence.missing"

    assert "test.security: fail" in gate.pipeline.run("evidence", "add", red, *told, *RUN).expect(0).out
    assert gate.codes()["scanned"] == "evidence.failed"
    assert "test.security: pass" in gate.pipeline.run("evidence", "add", clean, *told, "--run-id", "2").expect(0).out

    assert "scanned" not in gate.codes()


def test_only_the_pinned_key_says_who_built_it(gate: Gate) -> None:
    """Provenance that nobody signed is not enough, signed by anybody it is refused, under the pinned key it holds."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    statement = gate.file("provenance.json", provenance(1))
    forged = gate.file("forged.json", signed(provenance(1), other))
    good = gate.file("good.json", signed(provenance(1), key))
    with gate.author() as admin:
        admin.send("PUT", f"{gate.project}/producers/ci", {"public_keys": [public_half(key)]})

    told = gate.pipeline.run("evidence", "add", statement).expect(0).out
    assert told == "provenance: kept\n"
    assert gate.codes()["origin"] == "provenance.unverified"
    assert "signature" in gate.pipeline.run("evidence", "add", forged).expect(1).err
    assert gate.codes()["origin"] == "provenance.unverified"
    gate.pipeline.run("evidence", "add", good).expect(0)
    assert "it was there already" in gate.pipeline.run("evidence", "add", good).expect(0).out

    assert "origin" not in gate.codes()


def test_events_of_other_tools_are_taken_one_by_one_and_as_a_batch(gate: Gate) -> None:
    """A test suite run becomes evidence, a batch a build and its deployment; what is told twice counts once."""
    tested = event(
        "testsuiterun.finished",
        "run-1",
        {"outcome": "pass", "environment": {"id": "staging"}, "testSuite": {"id": "unit"}},
        kind="test.unit",
        digest=DIGEST,
        counts={"total": 3, "passed": 3},
    )
    built = {"service": "web", "commit": commit_of(2)}
    batch = [
        event("artifact.packaged", artifact(2), {"change": {"id": "1", "source": "/git"}}, **built),
        event("service.deployed", "web", {"environment": {"id": "staging"}, "artifactId": artifact(2)}),
        event("pipelinerun.started", "p", {}),
    ]
    assert gate.codes()["tested"] == "evidence.missing"

    one = gate.pipeline.run("evidence", "add", gate.file("event.json", tested)).expect(0)
    again = gate.pipeline.run("evidence", "add", gate.file("event.json", tested), "-q").expect(0)
    several = gate.pipeline.run("evidence", "add", gate.file("batch.json", batch), "-q").expect(0)

    assert "dev.cdevents.testsuiterun.finished.0.2.0" in one.out
    assert (again.out.split(), several.out.split()) == (["duplicate"], ["accepted", "accepted", "ignored"])
    assert "tested" not in gate.codes()
    (running,) = gate.pipeline.json("deployment", "list", *SERVICE, "-e", "staging")["items"]
    assert running["digest"] == digest_of(2)


def test_an_event_without_an_envelope_is_told_in_binary_mode(gate: Gate) -> None:
    """The command puts the envelope into headers, as any other tool may: both are the same event, and count once."""
    environment = {"id": "staging"}
    told = event("service.deployed", "web", {"environment": environment, "artifactId": artifact(1)})["data"]
    told["context"]["source"] = "/Bücherei 1"
    attributes = {**told["context"], "specversion": "1.0"}
    headers = {f"ce-{name}": quote(attributes[name]) for name in ("specversion", "id", "source", "type")}
    path = f"{gate.project}/events"

    added = gate.pipeline.run("evidence", "add", gate.file("event.json", told), "-q").expect(0)
    with gate.author() as admin:
        again = admin.send("POST", path, told, **headers)["items"][0]
        refused = admin.http.post(path, json=told, headers={**headers, "ce-id": "another"})

    assert added.out.split() == ["accepted"]
    assert (again["status"], again["source"]) == ("duplicate", "/Bücherei 1")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/context/id")
    (running,) = gate.pipeline.json("deployment", "list", *SERVICE, "-e", "staging")["items"]
    assert (running["digest"], running["state"]) == (DIGEST, "finished")


def test_an_environment_that_drifted_holds_a_build_up(gate: Gate) -> None:
    """Nobody compared, then a difference, then none."""
    compared = ("evidence", "parity", "-e", "staging", "--of", "production")
    assert gate.codes()["held"] == "parity.missing"

    assert "differs in 1" in gate.pipeline.run(*compared, "--drift", "PostgreSQL 15 instead of 16").expect(0).out
    assert gate.codes()["held"] == "parity.drift"
    assert "does not differ" in gate.pipeline.run(*compared).expect(0).out

    assert "held" not in gate.codes()


def test_an_obstacle_is_in_the_way_until_it_is_closed(gate: Gate) -> None:
    """It denies, is listed, and denies no more once a person closed it; a pipeline cannot."""
    (id_,) = gate.pipeline.run("evidence", "obstacle", "the lift is broken", *SERVICE, "-q").expect(0).out.split()
    assert gate.codes()["clear"] == "obstacle.open"
    assert "the lift is broken" in gate.pipeline.run("evidence", "obstacles").expect(0).out

    gate.pipeline.run("evidence", "close", id_, "--reason", "a machine's opinion").expect(1)
    assert gate.codes()["clear"] == "obstacle.open"
    gate.product.run("evidence", "close", id_, "--reason", "repaired").expect(0)

    assert "clear" not in gate.codes()
    assert "nothing is in the way" in gate.pipeline.run("evidence", "obstacles").expect(0).err


def test_a_demonstration_counts_once_it_is_accepted(gate: Gate) -> None:
    """Shown from an environment that ran the build, and accepted by somebody in the role; no machine says so."""
    about = ("--action", "release", "--flag", "express-delivery", "--audience", "all")
    for where in ("staging", "production"):
        deploy = ("deployment", "start", *SERVICE, "-e", where, *BUILD, "-q")
        (id_,) = gate.pipeline.run(*deploy).expect(0).out.split()
        gate.pipeline.run("deployment", "finish", id_).expect(0)
    with gate.author() as admin:
        for story in ("SHOP-117", "SHOP-118"):
            admin.send("PUT", f"{gate.project}/stories/{story}", {"title": story, "flags": []})
        path = f"{gate.project}/flags/express-delivery"
        admin.send("PATCH", path, {"stories": ["SHOP-117"]}, If_Match="*")
    gate.pipeline.run("evidence", "parity", "-e", "staging", "--of", "production").expect(0)
    assert gate.codes(*about)["shown"] == "demo.missing"

    shown = ("evidence", "demo", "-e", "staging", "--story", "SHOP-117", "--audience", "two customers", "-q")
    gate.pipeline.run(*shown).expect(1)
    (id_,) = gate.product.run(*shown).expect(0).out.split()
    assert gate.codes(*about)["shown"] == "demo.not_accepted"
    gate.product.run("evidence", "accept", id_, "--role", "customer").expect(1)
    assert "accepted as product" in gate.product.run("evidence", "accept", id_, "--role", "product").expect(0).out

    assert "shown" not in gate.codes(*about)
