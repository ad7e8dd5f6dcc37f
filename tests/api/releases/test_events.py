"""What other tools tell as CDEvents: kept once, and ignored with a reason where it is about nothing here."""

from typing import Any

import pytest
from tests.api.releases.conftest import Releases, commit_of, digest_of, done, moments_ago
from tests.api.releases.documents import artifact, event

pytestmark = pytest.mark.asyncio(loop_scope="session")

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


async def tell(releases: Releases, *events: dict[str, Any]) -> list[dict[str, Any]]:
    reply = await releases.pipeline.post(
        f"{releases.project}/events", json=list(events), headers={"Content-Type": BATCH}
    )
    items: list[dict[str, Any]] = done(reply)["items"]
    return items


async def test_a_deployment_is_kept_once(releases: Releases) -> None:
    """It runs from the event's moment on; how long it took is not known, and the same event is a duplicate."""
    told = event("service.deployed", "web", {"environment": {"id": "production"}, "artifactId": artifact(1)})

    first = await releases.pipeline.post(f"{releases.project}/events", json=told, headers={"Content-Type": STRUCTURED})
    (second,) = await tell(releases, told)

    (item,) = done(first)["items"]
    assert (item["status"], second["status"], second["fact"]) == ("accepted", "duplicate", item["fact"])
    found = done(await releases.admin.get(item["fact"]))
    assert (found["digest"], found["state"], found["duration_ms"]) == (digest_of(1), "finished", None)
    assert found["live"][0]["live_to"] is None


async def test_builds_and_evidence_come_as_events(releases: Releases) -> None:
    """What the standard has no words for is told in `customData`."""
    told = {"service": "web", "commit": commit_of(1)}
    built = event("artifact.packaged", artifact(1), {"change": {"id": "1", "source": "/git"}}, **told)
    tested = event(
        "testsuiterun.finished",
        "run-1",
        {"outcome": "pass", "environment": {"id": "staging"}, "testSuite": {"id": "acceptance"}},
        kind="test.acceptance",
        digest=digest_of(1),
        counts={"total": 3, "passed": 3},
    )

    items = await tell(releases, built, tested)

    assert [one["status"] for one in items] == ["accepted", "accepted"], items
    assert done(await releases.admin.get(f"{releases.builds}/{digest_of(1)}"))["commit"] == commit_of(1)
    found = done(await releases.admin.get(releases.evidence))["items"][0]
    assert (found["kind"], found["suite"], found["environment"]) == ("test.acceptance", "acceptance", "staging")


async def test_an_incident_is_told_once_and_resolved(releases: Releases) -> None:
    """Detected and reported are one incident; resolved ends it, and a second time changes nothing."""
    content = {"environment": {"id": "production"}, "description": "orders are lost"}
    items = await tell(
        releases,
        event("incident.detected", "inc-1", content),
        event("incident.reported", "inc-1", {**content, "ticketURI": "https://tracker.shop.example/1"}),
        event("incident.resolved", "inc-1", {"environment": {"id": "production"}}),
        event("incident.resolved", "inc-1", {"environment": {"id": "production"}}),
    )

    assert [one["status"] for one in items] == ["accepted", "duplicate", "accepted", "duplicate"], items
    found = done(await releases.admin.get(f"{releases.project}/incidents"))["items"]
    assert [(one["text"], one["ended_at"] is None) for one in found] == [("orders are lost", False)]


async def test_what_is_about_nothing_here_is_ignored(releases: Releases) -> None:
    """An unknown service, an unknown environment, a missing digest and an event about nothing, each with its reason."""
    place = {"environment": {"id": "production"}}
    items = await tell(
        releases,
        event("service.deployed", "nobody", {**place, "artifactId": artifact(1)}),
        event("service.deployed", "web", {"environment": {"id": "moon"}, "artifactId": artifact(1)}),
        event("service.deployed", "web", {**place, "artifactId": "pkg:oci/web@1.2.3"}),
        event("pipelinerun.queued", "run-1", {"pipelineName": "ci"}),
    )

    assert [one["status"] for one in items] == ["ignored"] * 4
    assert [one["reason"].partition("`")[0] for one in items] == [
        "there is no service ",
        "there is no environment ",
        "it does not say the digest that was deployed",
        "nothing is decided by ",
    ]
    assert done(await releases.admin.get(releases.deployments))["items"] == []


async def test_evidence_that_contradicts_itself_changes_nothing(releases: Releases) -> None:
    """The same run with another outcome is ignored, and what was known first stays."""
    content = {"outcome": "pass", "testSuite": {"id": "unit"}}
    told = {"kind": "test.unit", "digest": digest_of(1)}

    items = await tell(
        releases,
        event("testsuiterun.finished", "run-1", {**content, "outcome": "fail"}, **told),
        event("testsuiterun.finished", "run-1", content, **told),
    )

    assert [one["status"] for one in items] == ["accepted", "ignored"]
    assert [one["outcome"] for one in done(await releases.admin.get(releases.evidence))["items"]] == ["fail"]


async def test_an_event_that_is_refused_halfway_leaves_nothing(releases: Releases) -> None:
    """A batch goes on after an event that is ignored, and the numbers of facts stay without a gap."""
    place = {"environment": {"id": "staging"}}
    future = event("service.deployed", "web", {**place, "artifactId": artifact(1)})
    future["data"]["context"]["timestamp"] = moments_ago(minutes=-10)

    items = await tell(releases, future, event("service.deployed", "web", {**place, "artifactId": artifact(2)}))

    assert [one["status"] for one in items] == ["ignored", "accepted"], items
    settings = done(await releases.admin.get(f"{releases.project}/release-settings"))
    assert settings["seq"] == 2
