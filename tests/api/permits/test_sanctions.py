"""Deployments and permits: which permit one uses and closes, and what becomes of one that has none."""

from typing import Any

import pytest
from tests.api.permits.conftest import ENVIRONMENTS, Permitting, codes_of
from tests.api.releases.conftest import digest_of, done
from tests.api.releases.documents import artifact, event

EVENT = {"Content-Type": "application/cloudevents+json"}
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def obstacles(permitting: Permitting) -> list[dict[str, Any]]:
    page = done(await permitting.pipeline.get(f"{permitting.project}/obstacles", params={"open": "true"}))
    items: list[dict[str, Any]] = page["items"]
    return items


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_deployment_uses_and_closes_its_permit(permitting: Permitting, is_named: bool) -> None:
    """Named or not: the place and the digest find it. When it is over, the next one may go."""
    await permitting.ready()
    permit = await permitting.issued()

    started = await permitting.started(**({"permit": permit["id"]} if is_named else {}))
    during = await permitting.read(permit)
    finished = await permitting.told(started, "finish")
    after = await permitting.read(permit)

    assert (started["sanction"], started["permit"]) == ("permit", permit["id"])
    assert (during["state"], during["deployment"]) == ("used", started["id"])
    assert (finished["sanction"], after["state"]) == ("permit", "closed")
    assert await obstacles(permitting) == []
    assert (await permitting.ask(1)).status_code == 201


async def test_a_failed_deployment_closes_its_permit(permitting: Permitting) -> None:
    """To try once more takes another permit."""
    await permitting.ready()
    permit = await permitting.issued()
    started = await permitting.started()

    await permitting.told(started, "fail")

    assert (await permitting.read(permit))["ended_because"] == "the deployment failed"
    assert (await permitting.ask(1)).status_code == 201


async def test_a_deployment_without_a_permit_opens_an_obstacle(permitting: Permitting) -> None:
    """It is recorded as what it is, told aloud, and in the way of what comes next until somebody closes that."""
    await permitting.ready()

    started = await permitting.started()
    (obstacle,) = await obstacles(permitting)
    blocked = await permitting.ask(1)
    read = done(await permitting.pipeline.get(f"{permitting.project}/deployments/{started['id']}"))
    closing = f"{permitting.project}/obstacles/{obstacle['id']}/close"
    done(await permitting.releases.admin.post(closing, json={"reason": "it was me"}))

    assert (started["sanction"], read["sanction"]) == ("unsanctioned", "unsanctioned")
    assert (obstacle["kind"], obstacle["service"], obstacle["environment"]) == ("unsanctioned", "web", "production")
    assert codes_of(blocked.json()) == {"obstacle.open"}
    (event,) = await permitting.audited("deployment.unsanctioned")
    assert event["target"].endswith(started["id"])
    assert (await permitting.ask(1)).status_code == 201


async def test_where_nobody_asks_for_permits_nothing_is_told(permitting: Permitting) -> None:
    """Neither without a policy, nor by one that makes them optional, nor elsewhere."""
    await permitting.releases.built(1)
    before = await permitting.started()
    optional = {**ENVIRONMENTS, "production": {**ENVIRONMENTS["production"], "permits": "optional"}}
    await permitting.ruled_by(environments=optional)
    after = await permitting.started()
    await permitting.ruled_by()
    elsewhere = await permitting.started(environment="staging")

    assert [one["sanction"] for one in (before, after, elsewhere)] == [None, None, None]
    assert await obstacles(permitting) == []


@pytest.mark.parametrize("verb", ["finish", "fail"])
async def test_one_permit_is_for_one_deployment(permitting: Permitting, verb: str) -> None:
    """A second deployment of the same build has none, whether it names the permit or not."""
    await permitting.ready()
    permit = await permitting.issued()
    first = await permitting.started(permit=permit["id"])
    during = await permitting.started(permit=permit["id"])
    await permitting.told(first, verb)
    after = await permitting.started(permit=permit["id"])

    assert [one["sanction"] for one in (first, during, after)] == ["permit", "unsanctioned", "unsanctioned"]


@pytest.mark.parametrize(
    "other", [{"digest": digest_of(2)}, {"environment": "staging"}, {"slot": "green"}], ids=["digest", "place", "slot"]
)
async def test_a_permit_for_something_else_does_not_count(permitting: Permitting, other: dict[str, Any]) -> None:
    """It stays open, and what was deployed instead has none."""
    environments = {name: {**spec, "permits": "required"} for name, spec in ENVIRONMENTS.items()}
    await permitting.ruled_by(environments=environments)
    await permitting.deciding.green()
    await permitting.deciding.green(2)
    permit = await permitting.issued()

    started = await permitting.started(permit=permit["id"], **other)

    assert started["sanction"] == "unsanctioned"
    assert (await permitting.read(permit))["state"] == "open"


async def test_another_digest_of_the_same_build_counts(permitting: Permitting) -> None:
    """The permit is on the index, and a platform's digest is deployed."""
    await permitting.ruled_by()
    await permitting.releases.built(1, digests=[digest_of(1), digest_of(11)])
    await permitting.releases.checked(1, suite="unit", counts={"total": 3, "passed": 3})
    permit = await permitting.issued(1)

    started = await permitting.started(11)

    assert (started["sanction"], started["permit"]) == ("permit", permit["id"])


async def test_a_revoked_permit_lets_nothing_through(permitting: Permitting) -> None:
    """Using it decides anew: after a veto the deployment has no permit, and the permit is revoked."""
    await permitting.ready()
    permit = await permitting.issued()
    await permitting.releases.said("vetoes", {"reason": "no"}, await permitting.releases.person())

    started = await permitting.started(permit=permit["id"])

    assert started["sanction"] == "unsanctioned"
    assert (await permitting.read(permit))["state"] == "revoked"


async def test_an_expired_permit_lets_nothing_through(permitting: Permitting) -> None:
    """Who starts after its time has none, whatever moment the report names."""
    await permitting.ready()
    permit = await permitting.issued(valid_for_s=1)
    while (await permitting.read(permit))["state"] != "expired":
        pass

    started = await permitting.started(permit=permit["id"], started_at=permit["issued_at"])

    assert started["sanction"] == "unsanctioned"


async def test_an_event_of_another_tool_finds_a_used_permit(permitting: Permitting) -> None:
    """Who tells only afterwards uses the permit before; the event binds and closes it."""
    await permitting.ready()
    permit = await permitting.issued()
    done(await permitting.use(permit))

    told = done(await permitting.pipeline.post(f"{permitting.project}/events", json=deployed_event(), headers=EVENT))
    deployment = done(await permitting.pipeline.get(told["items"][0]["fact"]))

    assert (deployment["sanction"], deployment["permit"]) == ("permit", permit["id"])
    assert (await permitting.read(permit))["state"] == "closed"


async def test_an_event_without_a_permit_is_unsanctioned(permitting: Permitting) -> None:
    """Whoever deployed it, and by whatever tool."""
    await permitting.ready()

    told = done(await permitting.pipeline.post(f"{permitting.project}/events", json=deployed_event(), headers=EVENT))

    assert told["items"][0]["status"] == "accepted", told
    assert [one["kind"] for one in await obstacles(permitting)] == ["unsanctioned"]


async def test_a_switch_closes_its_permit(permitting: Permitting) -> None:
    """The slot gets the traffic by a permit of its own."""
    slots = {**ENVIRONMENTS, "production": {**ENVIRONMENTS["production"], "slots": ["blue", "green"]}}
    rule = {"id": "switch", "kind": "obstacles", "actions": ["switch"]}
    await permitting.ruled_by(rule, environments=slots)
    await permitting.deciding.green()
    await permitting.issued(slot="green")
    started = await permitting.started(slot="green")
    await permitting.told(started, "finish")
    permit = await permitting.issued(slot="green", action="switch")

    await permitting.told(started, "live")

    after = await permitting.read(permit)
    assert (after["state"], after["deployment"]) == ("closed", started["id"])


async def test_a_rollback_has_a_permit_too(permitting: Permitting) -> None:
    """It is told of as a deployment of the older build."""
    await permitting.ready()
    await permitting.deciding.green(2)
    for number in (1, 2):
        await permitting.issued(number)
        await permitting.told(await permitting.started(number), "finish")
    permit = await permitting.issued(1, action="rollback")

    started = await permitting.started(1)

    assert (started["sanction"], started["permit"]) == ("permit", permit["id"])


def deployed_event() -> dict[str, Any]:
    """That build 1 of `web` was deployed to production."""
    return event("service.deployed", "web", {"environment": {"id": "production"}, "artifactId": artifact(1)})
