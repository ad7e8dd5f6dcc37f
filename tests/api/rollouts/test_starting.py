"""Schedules, approvals and edits: when a release starts, on whose word, and for which plan."""

from typing import Any

import pytest
from tests.api.rollouts.conftest import PLAN, Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAR = {"at": "2027-01-04T08:00:00Z"}


async def test_a_release_starts_when_its_time_has_come(scene: Scene) -> None:
    """Not before; the time is taken off the plan again by naming none."""
    await scene.made()
    scheduled = await scene.told("schedule", {"local": "2027-01-04T09:00", "zone": "Europe/Berlin"})
    assert (scheduled["state"], scheduled["due_at"]) == ("scheduled", "2027-01-04T08:00:00Z")
    await scene.ticks()
    assert (await scene.read())["step"] == 0
    assert (await scene.told("schedule"))["state"] == "draft"

    await scene.told("schedule", FAR)
    await scene.comes_due()
    await scene.ticks()

    started = await scene.read()
    assert (started["state"], started["step"]) == ("running", 1)
    (event,) = await scene.events("started")
    assert event["actor"] == "greenroom:releases"


async def test_a_start_that_comes_too_late_is_held(scene: Scene) -> None:
    """After the limit that the plan sets; somebody has to say go."""
    await scene.made(overdue_after="30m")
    await scene.told("schedule", FAR)
    await scene.comes_due()
    await scene.passes("31 minutes")
    await scene.ticks()

    held = await scene.read()

    assert (held["state"], held["hold"]["code"]) == ("held", "overdue")
    assert await scene.refused("resume") == (409, "overdue")
    assert (await scene.told("go"))["step"] == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"at": "2020-01-01T00:00:00Z"}, "/at"),
        ({"at": "2099-01-01T00:00:00Z"}, "/at"),
        ({"local": "2020-01-01T09:00", "zone": "UTC"}, "/local"),
        ({"local": "2027-01-01T09:00"}, "/zone"),
        ({"zone": "Europe/Berlin"}, "/local"),
        ({"local": "2027-01-01T09:00", "zone": "Berlin"}, "/zone"),
        ({"local": "2027-02-30T09:00", "zone": "UTC"}, "/local"),
        ({"local": "9 o'clock", "zone": "UTC"}, "/local"),
        ({**FAR, "zone": "UTC"}, "/at"),
    ],
)
async def test_a_time_that_is_none_is_refused(scene: Scene, body: dict[str, Any], pointer: str) -> None:
    """It says which member is wrong."""
    await scene.made()

    reply = await scene.admin.post(f"{scene.path()}/schedule", json=body)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)


async def test_times_that_clocks_show_twice_or_never(scene: Scene) -> None:
    """Twice: the first; never: the moment of the jump."""
    await scene.made()

    twice = await scene.told("schedule", {"local": "2027-10-31T02:30", "zone": "Europe/Berlin"})
    never = await scene.told("schedule", {"local": "2027-03-28T02:30", "zone": "Europe/Berlin"})

    assert (twice["due_at"], never["due_at"]) == ("2027-10-31T00:30:00Z", "2027-03-28T01:00:00Z")


async def test_an_approval_is_of_this_plan_by_somebody_else_with_the_role(scene: Scene) -> None:
    """Who wrote it, who lacks the role, and who read another plan are refused; an edit takes the word away."""
    author = await scene.person("bo", "product")
    ada, cleo = await scene.person("ada", "product"), await scene.person("cleo", "ops")
    made = await author.post(scene.releases, json={**PLAN, "start_approval": {"role": "product"}})
    digest = made.json()["digest"]
    word = {"digest": digest}

    assert await scene.refused("go") == (409, "approval_missing")
    assert await scene.refused("approve", word) == (403, "person_needed")
    assert await scene.refused("approve", word, by=author) == (403, "self_approval")
    assert await scene.refused("approve", word, by=cleo) == (403, "role_needed")
    assert await scene.refused("approve", {"digest": f"sha256:{'0' * 64}"}, by=ada) == (409, "plan_changed")
    approved = await scene.told("approve", {**word, "reason": "seen"}, by=ada)
    assert approved["approvals"][0]["counts"]
    again = await scene.told("approve", word, by=ada)
    assert (len(again["approvals"]), again["version"]) == (1, approved["version"])

    edited = await scene.stage.patched(scene.path(), {"overdue_after": "2h"})
    assert not edited["approvals"][0]["counts"]
    assert await scene.refused("go") == (409, "approval_missing")
    assert await scene.refused("approve", word, by=ada) == (409, "plan_changed")
    await scene.told("approve", {"digest": edited["digest"]}, by=ada)
    assert (await scene.told("go"))["step"] == 1


async def test_another_name_of_the_author_is_the_author(scene: Scene) -> None:
    """Who wrote the plan does not approve it under an alias either."""
    author, alias = await scene.person("bo", "product"), await scene.person("robert", "product")
    made = await author.post(scene.releases, json={**PLAN, "start_approval": {"role": "product"}})
    people = f"{scene.stage.project}/people/robert@shop.example"
    put = await scene.admin.put(people, json={"aliases": ["bo@shop.example"], "roles": ["product"]})
    assert put.status_code == 200, put.text

    assert await scene.refused("approve", {"digest": made.json()["digest"]}, by=alias) == (403, "self_approval")


async def test_a_step_goes_on_once_it_is_approved(scene: Scene) -> None:
    """By as many people as the plan wants, however often one says it."""
    advance = {"approval": {"role": "product", "count": 2}}
    plan = await scene.made(steps=[{"audience": "internal", "advance": advance}, {"audience": "everyone"}])
    word = {"digest": plan["digest"]}
    ada, bo = await scene.person("ada", "product"), await scene.person("bo", "product")
    assert await scene.refused("approve", word, by=ada) == (409, "approval_not_wanted")
    await scene.told("go")
    await scene.told("approve", word, by=ada)
    await scene.told("approve", word, by=ada)
    await scene.ticks()
    waits = (await scene.read())["waits"]
    assert [(one["what"], one["have"], one["need"]) for one in waits] == [("approval", 1, 2)]

    await scene.told("approve", word, by=bo)
    await scene.ticks()

    assert (await scene.read())["state"] == "finished"


async def test_what_is_served_stays_planned_and_the_rest_may_change(scene: Scene) -> None:
    """An edit needs the version that was read, cannot touch steps that were taken, and is the business's by then."""
    await scene.made()
    await scene.told("go")
    developer = await scene.person("dev", kind="developer")

    unnamed = await scene.admin.patch(scene.path(), json={"in_freeze": "hold"})
    stale = await scene.admin.patch(scene.path(), json={"in_freeze": "hold"}, headers={"If-Match": '"1"'})
    theirs = await developer.patch(scene.path(), json={"in_freeze": "hold"}, headers={"If-Match": "*"})
    steps = [{"audience": "everyone"}, *PLAN["steps"][1:]]
    taken = await scene.admin.patch(scene.path(), json={"steps": steps}, headers={"If-Match": "*"})

    assert [one.status_code for one in (unnamed, stale, theirs)] == [428, 412, 403]
    assert (taken.status_code, taken.json()["code"]) == (400, "step_taken")
    await scene.stage.patched(scene.path(), {"steps": [PLAN["steps"][0], {"audience": "everyone"}]})
    assert (await scene.goes_on())["state"] == "finished"


async def test_releases_lie_in_environments_that_one_may_see(scene: Scene) -> None:
    """Whoever is limited to others is told that there is none, and sees none in the list."""
    await scene.made()
    await scene.made(key="staged", environment="staging")
    limited = await scene.stage.bearing("manager", environments=["staging"])

    listed = [one["key"] for one in (await limited.get(scene.releases)).json()["items"]]
    assert listed == ["staged"]
    assert (await limited.get(scene.path())).status_code == 404
    assert await scene.refused("go", by=limited) == (404, "not_found")
    refused = await limited.post(scene.releases, json={**PLAN, "key": "another"})
    assert refused.json()["errors"][0]["pointer"] == "/environment"
    found = await scene.stage.got(scene.releases, state="draft", environment="production")
    assert [one["key"] for one in found["items"]] == ["autumn"]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"environment": "moon"}, "/environment"),
        ({"flags": [{"flag": "nothing"}]}, "/flags/0/flag"),
        ({"flags": [{"flag": "express-delivery", "variant": "maybe"}]}, "/flags/0/variant"),
        ({"flags": [{"flag": "express-delivery", "variant": "off"}]}, "/flags/0/variant"),
    ],
)
async def test_a_plan_names_what_is_there(scene: Scene, members: dict[str, Any], pointer: str) -> None:
    """An environment, flags and variants; else it says which is not."""
    reply = await scene.admin.post(scene.releases, json={**PLAN, **members})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)
