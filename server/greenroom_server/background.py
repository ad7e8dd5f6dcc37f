"""What runs beside the requests, for as long as the server does."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from greenroom_server.access.service import write_last_used
from greenroom_server.change_requests.service_schedule import take_turns
from greenroom_server.core import Core
from greenroom_server.decisions.callbacks import LOOK_EVERY_S, Callbacks
from greenroom_server.errors import GreenroomError, Unavailable
from greenroom_server.exposures.service_darkness import watch_darkness
from greenroom_server.observability.metrics import Metrics
from greenroom_server.permits.service_keeping import Keeper

log = structlog.get_logger(__name__)

_HOUSEKEEPING_S = 60.0
_SAMPLING_S = 5.0
_PERMITS_S = 1.0
_CHANGE_REQUESTS_S = 1.0


def work_beside(core: Core, stack: AsyncExitStack) -> None:
    """Begin all of it; it ends with the stack."""
    callbacks = Callbacks(core.database, core.webhooks.desk, core.clock)
    keeper = Keeper(core.database, core.permits, core.clock)
    steps: tuple[tuple[str, Callable[[], Awaitable[object]], float], ...] = (
        ("watching darkness", lambda: _watch_darkness(core), core.settings.alert_interval_s),
        ("calling back", callbacks.step, LOOK_EVERY_S),
        ("keeping permits", keeper.keep_house, _PERMITS_S),
        ("applying change requests", lambda: take_turns(core.database, core.clock.now()), _CHANGE_REQUESTS_S),
    )
    for name, work in (
        ("housekeeping", _keep_house(core)),
        ("keeping exposures", _keep_exposures(core)),
        ("moving releases", core.scheduler.run(core.settings.release_interval_s)),
        ("sampling", _sample(core.metrics)),
        *((name, _repeat(core, name, step, every_s)) for name, step, every_s in steps),
    ):
        stack.push_async_callback(_ended, asyncio.create_task(work, name=name))


async def _keep_house(core: Core) -> None:
    while True:
        await asyncio.sleep(_HOUSEKEEPING_S)
        used = core.directory.take_used()
        try:
            async with core.database.transaction() as session:
                if used:
                    await write_last_used(session, used, core.clock.now())
                await core.idempotency.prune(session)
            await core.webhooks.keep_house()
            await core.gatekeeper.keep_house()
            await core.guardrails.keep_house()
        except Unavailable:
            log.debug("housekeeping waits for the database")


async def _keep_exposures(core: Core) -> None:
    while True:
        try:
            await core.exposures.keep_house()
        except GreenroomError as error:  # the store is away
            log.debug("exposures are looked after later", reason=error.detail)
        await asyncio.sleep(_HOUSEKEEPING_S)


async def _repeat(core: Core, name: str, step: Callable[[], Awaitable[object]], every_s: float) -> None:
    """Take the step over and over. What it did, if it did anything, may have to be sent."""
    while True:
        try:
            if await step():
                core.webhooks.wake()
        except GreenroomError as error:  # the store is away, or what was looked at was deleted meanwhile
            log.debug("done later", work=name, reason=error.detail)
        await asyncio.sleep(every_s)


async def _watch_darkness(core: Core) -> object:
    async with core.database.transaction() as session:
        return await watch_darkness(session, core.clock.now())


async def _sample(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(_SAMPLING_S)
        metrics.sample()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
