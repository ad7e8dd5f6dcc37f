"""What applications report, as a source: errors, outcomes of the new variant's subjects, darkness that is broken."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from tests.api.exposures.batches import new_id
from tests.storage.guardrails.conftest import FLAG, PROJECT, Scene

from greenroom_server.flags.service_configurations import switch_flag
from greenroom_server.guardrails.judging import Verdict

pytestmark = pytest.mark.asyncio

COUNT: Final = """INSERT INTO exposure_count (environment_id, flag, minute, variant, reason, count)
    VALUES (:environment, :flag, :minute, :variant, :reason, :count)"""
EXPOSURE: Final = """INSERT INTO exposure (id, environment_id, flag, variant, targeting_key, at)
    VALUES (:id, :environment, :flag, :variant, :subject, :at)"""
OUTCOME: Final = """INSERT INTO outcome (id, environment_id, name, value, targeting_key, at)
    VALUES (:id, :environment, :name, :value, :subject, :at)"""
PLACE: Final = {"environment": "production", "flag": FLAG}


async def counted(scene: Scene, at: datetime, *, variant: str = "on", reason: str = "SPLIT", count: int = 100) -> None:
    minute = at.replace(second=0, microsecond=0)
    row = {"environment": scene.environment_id, "flag": FLAG, "minute": minute, "variant": variant}
    await scene.do(COUNT, [{**row, "reason": reason, "count": count}])


async def served(scene: Scene, variant: str, subjects: range, *, at: datetime | None = None) -> None:
    """These subjects were told of as served this variant."""
    moment = at or scene.clock.now()
    row = {"environment": scene.environment_id, "flag": FLAG, "variant": variant, "at": moment}
    await scene.do(EXPOSURE, [{**row, "id": new_id(moment), "subject": f"user-{one}"} for one in subjects])


async def did(scene: Scene, subjects: range, *, value: float | None = None, at: datetime | None = None) -> None:
    """These subjects did it."""
    moment = at or scene.clock.now()
    row = {"environment": scene.environment_id, "name": "payment-failed", "value": value, "at": moment}
    await scene.do(OUTCOME, [{**row, "id": new_id(moment), "subject": f"user-{one}"} for one in subjects])


async def outcomes(scene: Scene, *, condition: dict[str, Any] | None = None, **source: Any) -> None:
    """The guardrail that compares what subjects with `on` did to what those with `off` did."""
    known = {"kind": "outcomes", **PLACE, "event": "payment-failed", "variant": "on", "against": "off"}
    compared = condition or {"kind": "comparison", "worse": "higher"}
    await scene.make("harm", source={**known, **source}, condition=compared, action="darken")


async def test_errors_are_a_share_of_evaluations(scene: Scene) -> None:
    """Below the least number of them there is no data; counts of long ago do not count."""
    source = {"kind": "errors", **PLACE, "window_s": 120}
    await scene.make("errors", source=source, condition={"kind": "threshold", "op": "gt", "value": 0.05})
    told: list[Verdict] = []
    async with scene.sampler() as sampler:
        step = scene.step()
        await counted(scene, scene.clock.now() - timedelta(minutes=10), reason="ERROR")
        told.append(await scene.asks(sampler, step))
        scene.clock.move(seconds=10)
        await counted(scene, scene.clock.now(), count=990)
        await counted(scene, scene.clock.now(), reason="ERROR", count=10)
        told.append(await scene.asks(sampler, step))
        scene.clock.move(minutes=1)
        await counted(scene, scene.clock.now(), reason="ERROR", count=100)
        told.append(await scene.asks(sampler, step))

    assert [one.outcome for one in told] == ["hold", "ok", "step_back"]
    assert told[0].reason == "`errors`: no data: 0 evaluations in 120 s, and 100 are needed"
    assert told[2].reason == "`errors`: errors in 110 of 1100 evaluations: 0.1 is > 0.05"


async def test_applications_that_stop_reporting_hold(scene: Scene) -> None:
    """The last counts are good, and older than the data may be."""
    source = {"kind": "errors", **PLACE, "window_s": 3600}
    await scene.make("errors", source=source, condition={"kind": "threshold", "op": "gt", "value": 0.05})
    async with scene.sampler() as sampler:
        step = scene.step()
        await counted(scene, scene.clock.now(), count=1000)
        fine = await scene.asks(sampler, step)
        scene.clock.move(minutes=3)
        silent = await scene.asks(sampler, step)

    assert fine.outcome == "ok"
    assert silent.reason == "`errors`: no data: the newest are more than 60 s old"


async def test_harm_among_those_who_got_it_darkens(scene: Scene) -> None:
    """A tenth of them against a hundredth of the others; what they did before they were served does not count."""
    await outcomes(scene)
    async with scene.sampler() as sampler:
        step = scene.step()
        scene.clock.move(seconds=1)
        await counted(scene, scene.clock.now())
        await did(scene, range(500, 1000))  # a moment before they are served
        scene.clock.move(seconds=1)
        await served(scene, "off", range(1000))
        few = await scene.asks(sampler, step)
        scene.clock.move(seconds=10)
        await served(scene, "on", range(1000, 2000))
        await did(scene, range(10))
        await did(scene, range(1000, 1010))
        scene.clock.move(seconds=1)
        alike = await scene.asks(sampler, step)
        scene.clock.move(seconds=10)
        await did(scene, range(1000, 1100))
        scene.clock.move(seconds=1)
        harmed = await scene.asks(sampler, step)

    assert few.reason == "`harm`: no data: 0 new subjects were served `on`, and 100 are needed"
    assert alike.outcome == "ok", alike.reason
    assert "0.01 of 1000 subjects with `on`, 0.01 of 1000 with `off`: not shown to be higher" in alike.reason
    assert harmed.outcome == "darken"
    assert "0.1 of 1000 subjects with `on`, 0.01 of 1000 with `off`: higher by" in harmed.reason


async def test_who_was_told_of_before_is_left_out(scene: Scene) -> None:
    """On the same day an SDK does not tell again, so those who came back would all be in one variant; and so is who saw
    both.
    """
    await outcomes(scene)
    began = scene.clock.now() + timedelta(seconds=60)
    await served(scene, "off", range(300), at=began - timedelta(seconds=30))
    scene.clock.move(seconds=60)
    async with scene.sampler() as sampler:
        step = scene.step()
        scene.clock.move(seconds=1)
        await served(scene, "on", range(300))
        await served(scene, "off", range(300, 350))
        await served(scene, "on", range(300, 350))
        verdict = await scene.asks(sampler, step)

    assert verdict.reason == "`harm`: no data: 0 new subjects were served `on`, and 100 are needed"


async def test_each_step_counts_from_its_own_beginning(scene: Scene) -> None:
    """Two releases that watch the same harm do not share their figures."""
    await outcomes(scene)
    async with scene.sampler() as sampler:
        early = scene.step(release="early")
        scene.clock.move(seconds=1)
        await counted(scene, scene.clock.now())
        await served(scene, "off", range(200))
        await served(scene, "on", range(200, 400))
        scene.clock.move(seconds=60)
        late = scene.step(release="late")
        await counted(scene, scene.clock.now(), count=1)
        await scene.told(sampler, late)
        first = await scene.asks(sampler, early)
        second = await scene.told(sampler, late)

    assert (first.outcome, second.outcome) == ("ok", "hold"), (first.reason, second.reason)
    assert len(await scene.rows()) == 2


async def test_means_are_compared_and_thresholds_looked_at(scene: Scene) -> None:
    """What each subject's values sum up to; a decrease is harm where that is said."""
    source = {"measure": "mean", "min_subjects": 100}
    await outcomes(scene, condition={"kind": "comparison", "worse": "lower"}, **source)
    limit = {"kind": "threshold", "op": "lt", "value": 5.0}
    known = {"kind": "outcomes", **PLACE, "event": "payment-failed", "variant": "on", **source}
    await scene.make("least", source=known, condition=limit, action="hold")
    async with scene.sampler() as sampler:
        step = scene.step()
        scene.clock.move(seconds=1)
        await counted(scene, scene.clock.now())
        await served(scene, "off", range(200))
        await served(scene, "on", range(200, 400))
        for subjects, value in ((range(200), 4.0), (range(100), 6.0), (range(200, 400), 4.0)):
            await did(scene, subjects, value=value)
        scene.clock.move(seconds=1)
        verdict = await scene.asks(sampler, step)

    assert verdict.outcome == "darken"
    found = "`harm`: mean of `payment-failed`: 4 of 200 subjects with `on`, 7 of 200 with `off`: lower by"
    assert found in verdict.reason
    (least,) = await scene.rows("SELECT why FROM guardrail_reading WHERE why LIKE '%<%'")
    assert least.why == "mean of `payment-failed` among 200 subjects: 4 is < 5"


async def test_a_dark_flag_that_is_served_trips(scene: Scene) -> None:
    """As soon as it is asked; one that is lit meanwhile is not dark any more."""
    await scene.make("stays-dark", source={"kind": "darkness", **PLACE}, condition=None, action="hold")
    async with scene.sampler() as sampler:
        dark = await scene.asks(sampler, scene.step())
        scene.clock.move(minutes=5)
        await counted(scene, scene.clock.now(), count=7)
        broken = await scene.asks(sampler, scene.step())
        async with scene.work() as work:
            await switch_flag(work, (PROJECT, "production", FLAG), enabled=True)
        scene.clock.move(seconds=10)
        lit = await scene.asks(sampler, scene.step())

    assert (dark.outcome, dark.reason) == ("ok", f"`stays-dark`: flag `{FLAG}` is dark, and served so")
    assert broken.reason == f"`stays-dark`: flag `{FLAG}` is dark, and was served as `on`"
    assert (lit.outcome, lit.reason) == ("ok", f"`stays-dark`: flag `{FLAG}` is not dark")


async def test_a_place_that_is_gone_holds(scene: Scene) -> None:
    """The environment was deleted after the guardrail was made."""
    source = {"kind": "errors", **PLACE}
    await scene.make("errors", source=source, condition={"kind": "threshold", "op": "gt", "value": 0.05})
    await scene.do("DELETE FROM environment", [{}])
    async with scene.sampler() as sampler:
        verdict = await scene.asks(sampler, scene.step())

    assert verdict.reason == "`errors`: no data: there is no environment `production`"
