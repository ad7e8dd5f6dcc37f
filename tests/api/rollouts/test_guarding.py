"""Guardrails: what they are asked, and what becomes of their answers."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.api.rollouts.conftest import PLAN, Scene

from greenroom_server.guardrails.service_reader import Reader
from greenroom_server.rollouts.scheduler import Scheduler

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_guardrail_is_asked_about_the_step_that_runs(scene: Scene) -> None:
    """With the flags and the guardrails that the plan names; before the start it is not."""
    steps = [{"audience": "internal", "advance": {"after": "1h", "guardrails": ["errors"]}}, {"audience": "everyone"}]
    await scene.made(steps=steps)
    await scene.told("schedule", {"at": "2027-01-01T00:00:00Z"})
    await scene.ticks()
    assert scene.guard.asked == []
    started = await scene.told("go")

    await scene.ticks()

    (asked,) = scene.guard.asked
    assert (asked.project, asked.environment, asked.release) == (scene.stage.key, "production", "autumn")
    assert (asked.step, list(asked.flags)) == (1, ["express-delivery", "recommendations-plus"])
    assert (list(asked.guardrails), asked.since.isoformat()) == (["errors"], _text(started["since"]))


async def test_a_guardrail_holds_until_all_is_well(scene: Scene) -> None:
    """At once, with its reason; the time that it was held does not count."""
    await scene.made()
    await scene.told("go")
    scene.guard.says = "hold"
    await scene.ticks()

    held = await scene.read()

    assert (held["state"], held["step"]) == ("held", 1)
    assert (held["hold"]["code"], held["hold"]["reason"]) == ("guardrail", "the guardrail says hold")
    assert (await scene.goes_on())["state"] == "held"
    scene.guard.says = "ok"
    await scene.ticks()
    going = await scene.read()
    assert (going["state"], going["step"], going["hold"]) == ("running", 1, None)
    assert (await scene.goes_on())["step"] == 2
    (resumed,) = await scene.events("resumed")
    assert resumed["actor"] == "greenroom:releases"
    (event,) = await scene.events("held")
    assert event["changes"][-1] == {
        "path": "/hold",
        "op": "add",
        "to": {"code": "guardrail", "reason": "the guardrail says hold"},
    }


async def test_a_guardrail_without_data_lets_nothing_go_further(scene: Scene) -> None:
    """For a while it is waited for, and then the release is held."""
    await scene.made(steps=[{"audience": "internal", "advance": {"after": "1s"}}, {"audience": "everyone"}])
    await scene.told("go")
    scene.guard.says, scene.guard.is_tripped = "hold", False
    await scene.passes("1 minute")
    await scene.ticks()
    going = await scene.read()
    assert (going["state"], going["step"]) == ("running", 1)

    await scene.passes("2 minutes")
    await scene.ticks()

    held = await scene.read()
    assert (held["state"], held["step"], held["hold"]["code"]) == ("held", 1, "guardrail")


async def test_a_guardrail_that_fails_or_has_not_looked_holds(scene: Scene) -> None:
    """An exception holds; a guardrail that the plan names must have data of this very step."""
    steps = [{"audience": "internal", "advance": {"after": "1h", "guardrails": ["errors"]}}, {"audience": "everyone"}]
    await scene.made(steps=steps)
    await scene.told("go")
    scene.guard.data_at = datetime.now(UTC) - timedelta(days=1)
    waits = (await scene.goes_on())["waits"]
    assert [one["what"] for one in waits] == ["guardrail"]
    scene.guard.raises = RuntimeError("nonsense")
    await scene.ticks()
    held = await scene.read()
    assert (held["state"], held["step"]) == ("held", 1)
    assert "gave no answer (RuntimeError)" in held["hold"]["reason"]

    scene.guard.raises, scene.guard.data_at = None, datetime.now(UTC)
    await scene.ticks()
    await scene.ticks()

    assert (await scene.read())["state"] == "finished"


async def test_a_guardrail_steps_back_and_holds(scene: Scene) -> None:
    """To what the step before served, and further only when it is told again."""
    await scene.made()
    await scene.told("go")
    await scene.goes_on()
    await scene.goes_on()
    scene.guard.says = "step_back"
    await scene.ticks()
    await scene.ticks()

    back = await scene.read()

    assert (back["state"], back["step"]) == ("held", 2)
    assert (await scene.configuration())["rules"][1]["rollout"]["percent"] == 5000
    moves = (await scene.stage.got(f"{scene.path()}/moves"))["items"]
    assert (moves[-1]["kind"], moves[-1]["from_step"], moves[-1]["to_step"]) == ("back", 3, 2)


async def test_a_step_back_leaves_alone_what_somebody_switched_off(scene: Scene) -> None:
    """Also when the guardrail speaks after somebody's hand was in it: nothing is lit by going back."""
    await scene.made()
    await scene.told("go")
    await scene.goes_on()
    await scene.admin.post(f"{scene.stage.flag('express-delivery', 'production')}/disable")
    scene.guard.says = "step_back"
    await scene.ticks()

    after = await scene.configuration()

    assert not after["enabled"]
    assert [rule["id"] for rule in after["rules"]] == ["release.autumn"]
    assert [rule["id"] for rule in (await scene.configuration("recommendations-plus"))["rules"]] == ["release.autumn"]


async def test_before_the_first_step_is_before_the_release(scene: Scene) -> None:
    """A step back from the first step gives back what was there."""
    await scene.made()
    await scene.told("go")
    scene.guard.says = "step_back"
    await scene.ticks()

    back = await scene.read()

    assert (back["state"], back["step"], back["since"]) == ("held", 0, None)
    assert not (await scene.configuration())["enabled"]
    scene.guard.says = "ok"
    assert (await scene.told("go"))["step"] == 1


async def test_a_guardrail_darkens_also_what_is_held(scene: Scene) -> None:
    """All flags off, once; going on lights the step again."""
    await scene.made()
    await scene.told("go")
    await scene.goes_on()
    await scene.told("hold")
    scene.guard.says = "darken"
    await scene.ticks()
    await scene.ticks()

    dark = await scene.read()

    assert (dark["state"], dark["step"], dark["is_dark"], dark["conflicts"]) == ("held", 2, True, [])
    for flag in PLAN["flags"]:
        assert not (await scene.configuration(flag["flag"]))["enabled"]
    assert len(await scene.events("held")) == 2
    scene.guard.says = "ok"
    lit = await scene.told("resume", {"reason": "fixed"})
    assert (lit["state"], lit["step"], lit["is_dark"]) == ("running", 2, False)
    assert (await scene.configuration())["enabled"]


async def test_a_dark_release_can_be_undone(scene: Scene) -> None:
    """What was on before the release is on again."""
    await scene.made(flags=[{"flag": "gift-cards"}])
    await scene.told("go")
    scene.guard.says = "darken"
    await scene.ticks()
    assert not (await scene.configuration("gift-cards"))["enabled"]

    await scene.told("undo")

    after = await scene.configuration("gift-cards")
    assert after["enabled"]
    assert [rule["id"] for rule in after["rules"]] == ["plus"]


async def test_a_plan_that_names_a_guardrail_that_is_not_there_is_held(scene: Scene) -> None:
    """By the server's own reader: no data is no permission, to people neither."""
    steps = [{"audience": "internal", "advance": {"after": "1h", "guardrails": ["errors"]}}, {"audience": "everyone"}]
    await scene.made(steps=steps)
    await scene.told("go")
    assert await scene.refused("go") == (409, "guardrail_warns")
    await scene.passes("1 hour")

    await scene.ticks(Scheduler(scene.database, Reader()))

    assert (await scene.read())["hold"]["reason"] == "`errors`: there is no such guardrail"


def _text(moment: str) -> str:
    return datetime.fromisoformat(moment).isoformat()
