"""What runs beside the requests, for as long as the server does."""

import asyncio
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
    for name, work in (
        ("housekeeping", _keep_house(core)),
        ("keeping exposures", _keep_exposures(core)),
        ("watching darkness", _watch_darkness(core)),
        ("calling back", _call_back(core)),
        ("moving releases", core.scheduler.run(core.settings.release_interval_s)),
        ("keeping permits", _keep_permits(core)),
        ("applying change requests", _apply_change_requests(core)),
        ("sampling", _sample(core.metrics)),
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


async def _watch_darkness(core: Core) -> None:
    while True:
        try:
            async with core.database.transaction() as session:
                raised = await watch_darkness(session, core.clock.now())
            if raised:
                core.webhooks.wake()
        except GreenroomError as error:  # the store is away, or what was looked at was deleted meanwhile
            log.debug("darkness is watched later", reason=error.detail)
        await asyncio.sleep(core.settings.alert_interval_s)


async def _call_back(core: Core) -> None:
    callbacks = Callbacks(core.database, core.webhooks.desk, core.clock)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            if await callbacks.step():
                core.webhooks.wake()
        except GreenroomError as error:  # the store is away
            log.debug("callbacks wait for the database", reason=error.detail)


async def _keep_permits(core: Core) -> None:
    keeper = Keeper(core.database, core.permits, core.clock)
    while True:
        try:
            if await keeper.keep_house():
                core.webhooks.wake()
        except GreenroomError as error:  # the store is away
            log.debug("permits are looked after later", reason=error.detail)
        await asyncio.sleep(_PERMITS_S)


async def _apply_change_requests(core: Core) -> None:
    while True:
        try:
            if await take_turns(core.database, core.clock.now()):
                core.webhooks.wake()
        except GreenroomError as error:  # the store is away
            log.debug("change requests wait for the database", reason=error.detail)
        await asyncio.sleep(_CHANGE_REQUESTS_S)


async def _sample(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(_SAMPLING_S)
        metrics.sample()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
