"""The figures of delivery, counted from what was told."""

import pytest
from tests.api.decisions.conftest import Deciding
from tests.api.readiness.conftest import went_out
from tests.api.releases.conftest import digest_of, done, moments_ago

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_deployments_and_releases_are_counted_apart(deciding: Deciding) -> None:
    """Three builds went out and back; one flag went live; one incident came and went."""
    stage = deciding.releases.stage
    await stage.made("express", stories=["SHOP-908"])
    await went_out(deciding, range(1, 4), story="SHOP-908")
    flag = stage.flag("express", "production")
    for way in ("enable", "disable", "enable"):
        done(await stage.admin.post(f"{flag}/{way}"))
    burning = await deciding.releases.said(
        "incidents", {"text": "smoke", "service": "web", "environment": "production"}
    )
    done(await stage.admin.post(f"{deciding.project}/incidents/{burning['id']}/resolve", json={}))
    await deciding.releases.deployed(2)
    await deciding.releases.deployed(1, "staging")
    broken = {"digest": digest_of(3), "environment": "production"}
    failed = done(await deciding.pipeline.post(deciding.releases.deployments, json=broken))
    done(await deciding.pipeline.post(f"{deciding.project}/deployments/{failed['id']}/fail", json={}))

    path = f"{deciding.project}/services/web/figures"
    found = done(await deciding.pipeline.get(path, params={"environment": "production", "days": 7}))

    counts = {name: found[name]["count"] for name in ("deployments", "rollbacks", "failed_deployments", "releases")}
    assert counts == {"deployments": 3, "rollbacks": 1, "failed_deployments": 1, "releases": 2}
    assert found["deployments"]["per_week"] == 3
    failure = found["change_failure"]
    assert (failure["rolled_back"], failure["with_incident"], failure["failed"], failure["percent"]) == (1, 1, 1, 33.3)
    assert (found["lead_time"]["count"], found["dark_time"]["count"]) == (3, 2)
    assert (found["time_to_restore"]["count"], found["time_to_restore"]["open"]) == (1, 0)


async def test_a_service_without_a_history(deciding: Deciding) -> None:
    """Counts of nothing, lengths of none, and no failure rate."""
    path = f"{deciding.project}/services/web/figures"
    found = done(await deciding.pipeline.get(path, params={"environment": "production"}))

    assert (found["days"], found["deployments"]["count"], found["change_failure"]["percent"]) == (30, 0, None)
    assert found["lead_time"] == {"count": 0, "p50_s": None, "p90_s": None}


async def test_what_was_before_the_period_is_not_counted(deciding: Deciding) -> None:
    """A deployment of eight days ago is none of the last seven."""
    await deciding.releases.built(1)
    ago = {"started_at": moments_ago(days=8, minutes=1), "finished_at": moments_ago(days=8)}
    await deciding.releases.deployed(1, **ago)
    path = f"{deciding.project}/services/web/figures"

    week, fortnight = [
        done(await deciding.pipeline.get(path, params={"environment": "production", "days": days}))["deployments"]
        for days in (7, 14)
    ]

    assert (week["count"], fortnight["count"]) == (0, 1)


@pytest.mark.parametrize(
    ("query", "named"),
    [({}, "environment"), ({"environment": "production", "days": "367"}, "days")],
)
async def test_what_cannot_be_asked_is_named(deciding: Deciding, query: dict[str, str], named: str) -> None:
    """A 400 that names the parameter and its limits."""
    refused = await deciding.pipeline.get(f"{deciding.project}/services/web/figures", params=query)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, named)
