"""Deployments: what ran where and when, and what had the traffic."""

from typing import Any

import pytest
from tests.api.releases.conftest import Releases, digest_of, done, moments_ago

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def read(releases: Releases, made: dict[str, Any]) -> dict[str, Any]:
    return done(await releases.admin.get(f"{releases.project}/deployments/{made['id']}"))


async def test_the_next_one_ends_the_one_before(releases: Releases) -> None:
    """Without slots what runs is live; the next deployment takes place and traffic at the moment it finishes."""
    first = await releases.deployed(1)
    second = await releases.deployed(2)

    ended = await read(releases, first)
    assert first["removed_at"] is None
    assert ended["removed_at"] == second["deployed_at"]
    assert ended["live"] == [{"live_from": first["deployed_at"], "live_to": second["deployed_at"]}]
    assert second["live"] == [{"live_from": second["deployed_at"], "live_to": None}]
    running = done(await releases.admin.get(releases.deployments, params={"running": "true"}))["items"]
    assert [one["digest"] for one in running] == [digest_of(2)]


async def test_slots_run_beside_each_other_and_one_has_the_traffic(releases: Releases) -> None:
    """Blue is live, green idle; the switch moves the traffic, and back again is a second stretch."""
    blue = await releases.deployed(1, slot="blue", live=True)
    green = await releases.deployed(2, slot="green")
    assert green["live"] == []

    switched = done(await releases.pipeline.post(f"{releases.project}/deployments/{green['id']}/live", json={}))
    again = done(await releases.pipeline.post(f"{releases.project}/deployments/{green['id']}/live", json={}))
    back = done(await releases.pipeline.post(f"{releases.project}/deployments/{blue['id']}/live", json={}))

    assert again == switched
    assert [one["live_to"] is None for one in back["live"]] == [False, True]
    assert back["live"][0]["live_to"] == switched["live"][0]["live_from"]
    assert (await read(releases, green))["live"][0]["live_to"] == back["live"][1]["live_from"]
    assert (await read(releases, green))["removed_at"] is None


async def test_what_replaces_the_live_slot_is_live(releases: Releases) -> None:
    """A deployment into the slot that has the traffic takes it over; one into the idle slot does not."""
    await releases.deployed(1, slot="blue", live=True)
    await releases.deployed(2, slot="green")

    green = await releases.deployed(3, slot="green")
    blue = await releases.deployed(4, slot="blue")

    assert (green["live"], len(blue["live"])) == ([], 1)


async def test_a_failed_deployment_changes_nothing(releases: Releases) -> None:
    """What ran goes on, and what failed can neither finish nor get the traffic."""
    running = await releases.deployed(1)
    body = {"digest": digest_of(2), "environment": "production"}
    started = done(await releases.pipeline.post(releases.deployments, json=body))
    path = f"{releases.project}/deployments/{started['id']}"

    failed = done(await releases.pipeline.post(f"{path}/fail", json={}))
    finished = await releases.pipeline.post(f"{path}/finish", json={})
    live = await releases.pipeline.post(f"{path}/live", json={})

    assert (failed["state"], failed["deployed_at"]) == ("failed", None)
    assert (finished.json()["code"], live.json()["code"]) == ("deployment_over", "not_running")
    assert (await read(releases, running))["removed_at"] is None


async def test_duration_is_given_or_measured(releases: Releases) -> None:
    """From start to finish, unless the pipeline knows better."""
    given = await releases.deployed(1, duration_ms=1234)
    measured = await releases.deployed(
        2, started_at=moments_ago(seconds=100), finished_at=moments_ago(seconds=40), manual_steps=1
    )

    assert (given["duration_ms"], measured["manual_steps"]) == (1234, 1)
    assert abs(measured["duration_ms"] - 60_000) < 1_000


async def test_what_is_told_late_ends_where_the_newer_began(releases: Releases) -> None:
    """An older deployment that is reported after a newer one does not take its place."""
    newer = await releases.deployed(2, started_at=moments_ago(minutes=5), finished_at=moments_ago(minutes=4))
    older = await releases.deployed(1, started_at=moments_ago(minutes=9), finished_at=moments_ago(minutes=8))

    assert (older["removed_at"], older["live"]) == (newer["deployed_at"], [])
    assert (await read(releases, newer))["removed_at"] is None


async def test_an_unknown_digest_is_recorded_and_marked(releases: Releases) -> None:
    """`is_known` becomes true when the build is registered."""
    made = await releases.deployed(1)
    await releases.built(1)

    assert made["is_known"] is False
    assert (await read(releases, made))["is_known"] is True


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"digest": digest_of(1), "environment": "moon"}, "/environment"),
        ({"digest": digest_of(1), "environment": "staging", "started_at": "2999-01-01T00:00:00Z"}, "/started_at"),
        ({"digest": digest_of(1), "environment": "staging", "manual_steps": -1}, "/manual_steps"),
        ({"digest": "latest", "environment": "staging"}, "/digest"),
    ],
)
async def test_bad_input_is_told_where(releases: Releases, body: object, pointer: str) -> None:
    """The problem points at the member."""
    reply = await releases.pipeline.post(releases.deployments, json=body)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)


async def test_a_deployment_cannot_finish_before_it_began(releases: Releases) -> None:
    """The problem names both ends."""
    body = {"digest": digest_of(1), "environment": "staging"}
    started = done(await releases.pipeline.post(releases.deployments, json=body))
    path = f"{releases.project}/deployments/{started['id']}/finish"

    reply = await releases.pipeline.post(path, json={"finished_at": moments_ago(hours=1)})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/finished_at")
