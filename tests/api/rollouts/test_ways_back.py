"""Undo, holding, and what happens where somebody else had a hand in it."""

import pytest
from tests.api.rollouts.conftest import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_undo_gives_back_what_was_there_before(scene: Scene) -> None:
    """From any step, a finished release too; the preview shows it, and then it is over."""
    before = [await scene.configuration(flag) for flag in ("express-delivery", "recommendations-plus")]
    await scene.made()
    for _ in range(4):
        await scene.told("go")

    looked = await scene.admin.post(f"{scene.path()}/undo?dry_run=true", json={"to": "start"})
    assert "/flags/express-delivery/enabled" in [change["path"] for change in looked.json()["changes"]]
    undone = await scene.told("undo", {"reason": "too many calls"})

    assert (undone["state"], undone["step"]) == ("undone", 0)
    after = [await scene.configuration(flag) for flag in ("express-delivery", "recommendations-plus")]
    moving = ("version", "revision", "updated_at")
    assert [{**one, **dict.fromkeys(moving)} for one in after] == [{**one, **dict.fromkeys(moving)} for one in before]
    (event,) = await scene.events("undone")
    assert event["changes"][-1] == {"path": "/reason", "op": "add", "to": "too many calls"}


async def test_the_last_step_alone_can_be_undone(scene: Scene) -> None:
    """And is held there, until somebody goes on."""
    await scene.made()
    for _ in range(3):
        await scene.told("go")

    back = await scene.told("undo", {"to": "previous"})

    assert (back["state"], back["step"], back["hold"]["code"]) == ("held", 2, "undone")
    assert (await scene.configuration())["rules"][1]["rollout"]["percent"] == 5000
    assert (await scene.goes_on())["step"] == 2
    await scene.told("resume")
    assert (await scene.goes_on())["step"] == 3


async def test_somebody_else_s_change_holds_and_is_shown(scene: Scene) -> None:
    """Nothing goes over it: neither the next step nor undo, until somebody insists."""
    await scene.made()
    await scene.told("go")
    await scene.admin.post(f"{scene.stage.flag('express-delivery', 'production')}/disable")

    held = await scene.goes_on()

    assert (held["state"], held["hold"]["code"]) == ("held", "flag_changed")
    (conflict,) = held["conflicts"]
    assert conflict["flag"] == "express-delivery"
    assert conflict["differences"] == [{"path": "/enabled", "op": "replace", "from": True, "to": False}]
    for verb in ("undo", "resume", "go"):
        assert await scene.refused(verb) == (409, "flag_changed")


async def test_undo_by_force_leaves_off_what_others_switched_off(scene: Scene) -> None:
    """A flag that was on before the release, and that somebody switched off since, stays off; the rest goes."""
    await scene.made(flags=[{"flag": "gift-cards"}])
    await scene.told("go")
    flag = scene.stage.flag("gift-cards", "production")
    await scene.admin.post(f"{flag}/disable")

    await scene.told("undo", {"force": True})

    after = await scene.stage.got(flag)
    assert not after["enabled"]
    assert [rule["id"] for rule in after["rules"]] == ["plus"]


async def test_force_takes_what_is_there_and_goes_on(scene: Scene) -> None:
    """Other people's rules stay, and the release's own come with the next step."""
    await scene.made()
    await scene.told("go")
    flag = scene.stage.flag("express-delivery", "production")
    mine = {"id": "mine", "when": {"segment": "nordic-customers"}, "serve": {"variant": "off"}}
    await scene.stage.patched(flag, {"rules": [mine, *(await scene.stage.got(flag))["rules"]]})
    assert (await scene.goes_on())["state"] == "held"

    resumed = await scene.told("resume", {"force": True, "reason": "that is mine"})

    assert (resumed["state"], resumed["conflicts"]) == ("running", [])
    assert (await scene.goes_on())["step"] == 2
    ids = [rule["id"] for rule in (await scene.stage.got(flag))["rules"]]
    assert ids == ["mine", "release.autumn", "release.autumn.share"]


async def test_what_vanishes_holds_the_release(scene: Scene) -> None:
    """A flag that is archived is noticed at once; nothing of the next step is done."""
    await scene.made()
    await scene.told("go")
    await scene.admin.post(f"{scene.stage.flags}/recommendations-plus/archive")
    await scene.ticks()

    held = await scene.read()

    assert (held["state"], held["step"], held["hold"]["code"]) == ("held", 1, "flag_gone")
    assert held["conflicts"] == [
        {"flag": "recommendations-plus", "gone": "flag `recommendations-plus` is archived", "differences": []}
    ]
    await scene.admin.post(f"{scene.stage.flags}/recommendations-plus/restore")
    await scene.told("resume")
    assert (await scene.goes_on())["step"] == 2


async def test_a_segment_or_environment_that_vanishes_holds_too(scene: Scene) -> None:
    """A step that would name it is not taken."""
    segment = {"key": "friends", "when": {"attribute": "friend", "op": "in", "values": [True]}}
    await scene.admin.post(scene.stage.segments, json=segment)
    steps = [{"audience": "internal", "advance": {"after": "1h"}}, {"audience": {"segment": "friends"}}]
    await scene.made(steps=steps)
    await scene.told("go")
    await scene.admin.delete(scene.stage.segment("friends"), headers={"If-Match": "*"})

    held = await scene.goes_on()

    assert (held["state"], held["step"]) == ("held", 1)
    assert "friends" in held["hold"]["reason"]
    qa = {"key": "qa", "name": "QA", "tier": "staging"}
    await scene.admin.post(scene.stage.environments, json=qa)
    await scene.made(key="in-qa", environment="qa")
    await scene.told("schedule", {"at": "2027-01-01T00:00:00Z"}, key="in-qa")
    await scene.admin.delete(f"{scene.stage.environments}/qa", headers={"If-Match": "*"})
    await scene.ticks()
    assert (await scene.read("in-qa"))["hold"]["code"] == "flag_gone"
    assert (await scene.told("abort", key="in-qa"))["state"] == "aborted"


async def test_holding_is_not_starting(scene: Scene) -> None:
    """A developer may hold a release in production, and nothing else of it."""
    await scene.made()
    await scene.told("go")
    developer = await scene.person("dev", kind="developer")

    for verb in ("go", "abort", "undo"):
        assert await scene.refused(verb, by=developer) == (403, "forbidden")
    await scene.told("hold", {"reason": "calls come in"}, by=developer)
    assert await scene.refused("resume", by=developer) == (403, "forbidden")
    held = await scene.goes_on()
    assert (held["step"], held["hold"]["reason"]) == (1, "calls come in")


async def test_an_aborted_release_stays_as_it_is_and_can_be_undone(scene: Scene) -> None:
    """Time moves it no more; its key is free once it is deleted."""
    await scene.made()
    await scene.told("go")
    await scene.told("abort", {"reason": "another time"})
    assert (await scene.goes_on())["state"] == "aborted"
    assert (await scene.configuration())["enabled"]

    await scene.told("undo")

    assert not (await scene.configuration())["enabled"]
    gone = await scene.admin.delete(scene.path(), headers={"If-Match": "*"})
    assert gone.status_code == 204
    await scene.made()
