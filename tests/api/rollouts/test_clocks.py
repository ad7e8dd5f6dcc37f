"""Releases go by the store's clock: those of the servers may show what they like."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.api.conftest import Example
from tests.api.contract.client import ContractClient
from tests.api.rollouts.conftest import Scene

from greenroom_server.app import create_app
from greenroom_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")


class WrongClock:
    """Shows another time than there is."""

    def __init__(self, off: timedelta) -> None:
        self._off = off

    def now(self) -> datetime:
        return datetime.now(UTC) + self._off


async def served_at(scene: Scene, example: Example, folder: Path, off: timedelta) -> AsyncIterator[ContractClient]:
    """An administrator at another server on the same store, whose clock is off."""
    settings = {"database_url": scene.stage.url, "data_dir": folder, "release_interval_s": 3600}
    server = create_app(Settings.model_validate(settings), WrongClock(off))
    await server.open()
    try:
        async with ContractClient(server).bearing(example.tokens["admin"]) as admin:
            yield admin
    finally:
        await server.close()


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(days=-1)], ids=str)
async def test_a_server_s_clock_moves_nothing(scene: Scene, example: Example, tmp_path: Path, off: timedelta) -> None:
    """A start in an hour stays one in an hour, and a step's hour is one from now, a day ahead or behind."""
    await scene.made()
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    async for admin in served_at(scene, example, tmp_path, off):
        scheduled = await scene.told("schedule", {"at": in_an_hour}, by=admin)
        await scene.ticks()
        assert scheduled["waits"][0]["what"] == "time"
        assert (await scene.read())["state"] == "scheduled"

        started = await scene.told("go", by=admin)

        until = datetime.fromisoformat(started["waits"][0]["until"])
        assert abs(until - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=5)
        await scene.ticks()
        assert (await scene.read())["step"] == 1
        assert (await scene.goes_on())["step"] == 2


async def test_a_store_whose_clock_went_back_holds(scene: Scene) -> None:
    """The step took effect in what is now the future; somebody who resumes it gives it its time again."""
    await scene.made()
    await scene.told("go")
    await scene.passes("-2 hours")
    await scene.ticks()

    held = await scene.read()

    assert (held["state"], held["step"], held["hold"]["code"]) == ("held", 1, "clock_went_back")
    await scene.told("resume")
    await scene.ticks()
    assert (await scene.read())["step"] == 1
    assert (await scene.goes_on())["step"] == 2


async def test_a_store_whose_clock_jumps_ahead_is_one_step_early(scene: Scene) -> None:
    """Never two: the next one counts from when this one was taken."""
    await scene.made()
    await scene.told("go")
    await scene.passes("30 days")
    await scene.ticks()
    await scene.ticks()

    assert (await scene.read())["step"] == 2
