"""Every move happens once: whoever decided on an older version of the release writes nothing."""

import asyncio

import pytest
from tests.api.rollouts.conftest import Scene
from tests.api.store import database

from greenroom_server.rollouts.scheduler import Scheduler

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_many_schedulers_take_a_step_once(scene: Scene) -> None:
    """They look at the same moment, and one of them moves."""
    await scene.made()
    await scene.told("go")
    await scene.passes("1 hour")
    async with database(scene.stage.url, pool_size=8) as opened:
        schedulers = [Scheduler(opened, scene.guard) for _ in range(8)]
        looks = [await scheduler.look(await scene.release_id()) for scheduler in schedulers]

        done = await asyncio.gather(
            *(scheduler.act(look) for scheduler, look in zip(schedulers, looks, strict=True) if look is not None)
        )

    assert sorted(done) == ["fenced"] * 7 + ["moved"]
    assert (await scene.read())["step"] == 2


async def test_who_slept_over_a_step_writes_nothing(scene: Scene) -> None:
    """Frozen between looking and acting, while another server takes this step and the next and somebody holds."""
    await scene.made()
    await scene.told("go")
    await scene.passes("1 hour")
    look = await scene.scheduler.look(await scene.release_id())
    assert look is not None
    await scene.ticks()
    await scene.goes_on()
    await scene.told("hold")
    before = await scene.read()

    assert await scene.scheduler.act(look) == "fenced"

    assert await scene.read() == before
    assert len(await scene.events("step")) == 3


async def test_people_and_the_clock_take_a_step_once(scene: Scene) -> None:
    """Somebody says go, for the version that they read, when the time has come as well."""
    await scene.made()
    started = await scene.told("go")
    await scene.passes("1 hour")
    look = await scene.scheduler.look(await scene.release_id())
    assert look is not None

    by_hand, by_clock = await asyncio.gather(
        scene.admin.post(f"{scene.path()}/go", json={}, headers={"If-Match": f'"{started["version"]}"'}),
        scene.scheduler.act(look),
    )

    assert (by_hand.status_code, by_clock) in ((200, "fenced"), (412, "moved"))
    assert (await scene.read())["step"] == 2


async def test_an_edit_between_looking_and_acting_counts(scene: Scene) -> None:
    """The plan that was looked at is not the one any more, so the step is decided on again."""
    await scene.made()
    await scene.told("go")
    await scene.passes("1 hour")
    look = await scene.scheduler.look(await scene.release_id())
    assert look is not None
    steps = [{"audience": "internal", "advance": {"after": "9h"}}, {"audience": "everyone"}]
    await scene.stage.patched(scene.path(), {"steps": steps})

    assert await scene.scheduler.act(look) == "fenced"
    await scene.ticks()

    assert (await scene.read())["step"] == 1
