"""What the fixtures say, for policies of different shapes."""

from datetime import datetime

from tests.unit.policy.documents import shop

from greenroom_server.policy.compiled import compile_policy
from greenroom_server.policy.facts import Action
from greenroom_server.policy.fixtures import LIVE, NEW, green_build, green_build_snapshot

POLICY = compile_policy(shop(), 7)
NOW = int(datetime.fromisoformat("2026-11-17T10:00:00+01:00").timestamp() * 1000)


def running(action: Action, to: str | None = None) -> set[tuple[str, str | None, str, bool]]:
    """(environment, slot, digest, is live) of all that runs."""
    snapshot = green_build_snapshot(POLICY, NOW, action, to)
    return {
        (one.environment, one.slot, one.digest, one.live_from is not None)
        for one in snapshot.deployments
        if one.removed_at is None
    }


def test_what_runs_where() -> None:
    """A is live until B is: before a deployment B ran in staging only, before a switch beside A, else everywhere."""
    staging = ("staging", None, NEW, True)

    assert running("deploy") == {staging, ("production", "blue", LIVE, True)}
    assert running("switch") == {staging, ("production", "blue", LIVE, True), ("production", "green", NEW, False)}
    assert running("release") == {staging, ("production", "blue", NEW, True), ("production", "green", NEW, True)}
    assert running("rollback") == {staging, ("production", "blue", NEW, True)}
    assert running("deploy", "staging") == {("staging", None, LIVE, True), ("production", "blue", LIVE, True)}


def test_request_fits_the_action() -> None:
    """A deployment names digest and slot, a release flag and audience, a rollback the build before."""
    deploy = green_build(POLICY, NOW).request
    release = green_build(POLICY, NOW, "release").request
    rollback = green_build(POLICY, NOW, "rollback").request

    assert (deploy.environment, deploy.slot, deploy.digest, deploy.flag) == ("production", "green", NEW, None)
    assert (release.digest, release.flag, release.audience) == (None, "new-checkout", "everybody")
    assert rollback.digest == LIVE


def test_all_that_the_policy_asks_for_is_there_and_fresh() -> None:
    """Suites, other evidence, the demonstration, parity, provenance and approval come out of the policy's rules."""
    snapshot = green_build_snapshot(POLICY, NOW)

    assert {one.suite or one.kind for one in snapshot.evidence} == {
        *("unit", "component", "acceptance"),
        *("test.capacity", "test.availability", "test.security", "test.integration", "sbom"),
    }
    assert [one.environment for one in snapshot.demos] == ["staging"]
    assert [(one.builder, one.branch) for one in snapshot.provenances] == [("ci://main", "main")]
    assert [one.roles for one in snapshot.approvals] == [("product",)]
    assert all(one.finished_at < NOW for one in snapshot.evidence)
