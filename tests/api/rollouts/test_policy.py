"""The release policy at every step: what it does not allow is not done, and its decision is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.rollouts.conftest import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Showing something to the internal segment is no release.
OUTSIDE = [{"audience": {"percent": 5}, "advance": {"after": "1h"}}, {"audience": "everyone"}]
TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


async def ruled_by(scene: Scene, *rules: dict[str, Any], **calendars: dict[str, str]) -> None:
    """Let a policy of these rules decide on releases in production."""
    project = scene.stage.project
    document = {
        "schema": "release-policy/v1",
        "name": "shop",
        "time_zone": "UTC",
        "environments": {"production": {"order": 10, "tier": "development"}},
        **({"calendars": calendars} if calendars else {}),
        "rules": [{"actions": ["release"], "environments": ["production"], **rule} for rule in rules],
    }
    await scene.stage.patched(f"{project}/policy-settings", {"four_eyes": False})
    made = await scene.admin.post(f"{project}/policies", json=document)
    assert made.status_code == 201, made.text
    version = f"{project}/policies/shop/versions/{made.json()['version']}"
    assert (await scene.admin.post(f"{version}/activate", json={})).status_code == 200


async def frozen(scene: Scene) -> None:
    """From yesterday until tomorrow."""
    freeze = {
        "type": "freeze",
        "from": f"{TOMORROW - timedelta(days=2):%Y-%m-%dT%H:%M}",
        "to": f"{TOMORROW:%Y-%m-%dT%H:%M}",
    }
    await ruled_by(scene, {"id": "freeze", "kind": "calendar", "use": ["xmas"]}, xmas=freeze)


async def thawed(scene: Scene) -> None:
    """Nothing is frozen any more, though the policy still looks."""
    freeze = {"type": "freeze", "from": "2020-01-01T00:00", "to": "2020-01-02T00:00"}
    await ruled_by(scene, {"id": "freeze", "kind": "calendar", "use": ["xmas"]}, xmas=freeze)


async def test_a_step_waits_out_a_freeze(scene: Scene) -> None:
    """A freeze that is saved in the middle: nothing is changed, people are told, and it goes on by itself after it."""
    await scene.made()
    await scene.told("go")
    before = await scene.configuration()
    await frozen(scene)

    waiting = await scene.goes_on()

    assert (waiting["state"], waiting["step"], waiting["hold"]["code"]) == ("running", 1, "release_waits")
    assert waiting["hold"]["decision"]["rules"][0]["code"] == "calendar.frozen"
    assert waiting["waits"][0]["what"] == "policy"
    assert waiting["waits"][0]["until"] == f"{TOMORROW:%Y-%m-%dT%H:%M}:00Z"
    assert await scene.configuration() == before
    await scene.ticks()
    assert len(await scene.events("waits")) == 1
    await thawed(scene)
    await scene.passes("2 days")
    await scene.ticks()
    gone_on = await scene.read()
    assert (gone_on["step"], gone_on["hold"]) == (2, None)


async def test_a_plan_may_rather_be_held_by_a_freeze(scene: Scene) -> None:
    """Then somebody says go when it is over; nobody can before."""
    await scene.made(in_freeze="hold")
    await scene.told("go")
    await frozen(scene)

    held = await scene.goes_on()

    assert (held["state"], held["step"], held["hold"]["code"]) == ("held", 1, "release_waits")
    reply = await scene.admin.post(f"{scene.path()}/go", json={"force": True})
    assert (reply.status_code, reply.json()["code"]) == (409, "release_waits")
    assert reply.json()["decision"]["decision"] == "wait"
    await thawed(scene)
    assert (await scene.told("go"))["step"] == 2


async def test_a_preview_shows_what_the_policy_would_say(scene: Scene) -> None:
    """Where production's gate only warns, the step is taken; the preview has the decision, and the answer names it."""
    await frozen(scene)
    gate = f"{scene.stage.environments}/production/release-gate"
    put = await scene.admin.put(gate, json={"mode": "warn", "reason": "a first look"}, headers={"If-Match": "*"})
    assert put.status_code == 200, put.text
    await scene.made(steps=OUTSIDE)

    looked = await scene.admin.post(f"{scene.path()}/go?dry_run=true", json={})
    done = await scene.admin.post(f"{scene.path()}/go", json={})

    assert [one["decision"] for one in looked.json()["decisions"]] == ["wait"]
    assert ';verdict=wait;mode=warn;flag="express-delivery"' in done.headers["Release-Decisions"]
    assert done.json()["step"] == 1


async def test_what_time_alone_does_not_allow_is_held(scene: Scene) -> None:
    """A start at its time, for which an approval of the policy's is missing: held, with the decision."""
    await ruled_by(scene, {"id": "business", "kind": "approval", "role": "product", "count": 1})
    await scene.made(steps=OUTSIDE)
    await scene.told("schedule", {"at": "2027-01-04T08:00:00Z"})
    await scene.comes_due()
    await scene.ticks()

    held = await scene.read()

    assert (held["state"], held["step"], held["hold"]["code"]) == ("held", 0, "release_waits")
    assert [rule["code"] for rule in held["hold"]["decision"]["rules"]] == ["approval.missing"]
    assert not (await scene.configuration())["enabled"]
    (event,) = await scene.events("held")
    assert event["changes"][-1]["to"]["code"] == "release_waits"


async def test_no_freeze_stands_in_the_way_back(scene: Scene) -> None:
    """Undo, a guardrail's step back and darkness: narrowing is always allowed."""
    await scene.made()
    for _ in range(3):
        await scene.told("go")
    await frozen(scene)
    scene.guard.says = "step_back"
    await scene.ticks()
    assert (await scene.read())["step"] == 2
    await scene.told("undo", {"to": "previous"})
    scene.guard.says = "darken"
    await scene.ticks()
    assert (await scene.read())["is_dark"]

    assert (await scene.told("undo"))["state"] == "undone"


async def test_a_start_in_a_freeze_is_not_overdue_when_the_freeze_ends(scene: Scene) -> None:
    """It was due while nothing could start; its limit counts from the policy's moment."""
    await frozen(scene)
    await scene.made(steps=OUTSIDE, overdue_after="1h")
    await scene.told("schedule", {"at": "2027-01-04T08:00:00Z"})
    await scene.comes_due()
    await scene.ticks()
    waiting = await scene.read()
    assert (waiting["state"], waiting["hold"]["code"]) == ("scheduled", "release_waits")
    await thawed(scene)
    await scene.passes("1 day")
    await scene.ticks()

    assert (await scene.read())["step"] == 1


async def test_four_eyes_are_the_approvals_of_the_plan(scene: Scene) -> None:
    """Where production wants another one to agree, a step waits for it; ways back need nobody."""
    settings = {"required": 1, "roles": ["product"], "reason": "for a test"}
    await scene.stage.patched(f"{scene.stage.environments}/production/approval-settings", settings)
    plan = await scene.made(steps=OUTSIDE)
    assert await scene.refused("go") == (409, "approval_missing")
    cleo, ada = await scene.person("cleo", "ops"), await scene.person("ada", "product")
    word = {"digest": plan["digest"]}
    assert await scene.refused("approve", word, by=cleo) == (403, "role_needed")

    await scene.told("approve", word, by=ada)
    await scene.told("go")
    assert (await scene.goes_on())["state"] == "finished"
    assert (await scene.told("undo"))["state"] == "undone"
    again = await scene.made(key="again", steps=OUTSIDE)
    await scene.told("schedule", {"at": "2027-01-04T08:00:00Z"}, key="again")
    await scene.comes_due()
    await scene.ticks()
    assert (await scene.read("again"))["hold"]["code"] == "approval_missing"
    await scene.told("approve", {"digest": again["digest"]}, key="again", by=ada)
    assert (await scene.told("go", key="again"))["step"] == 1
