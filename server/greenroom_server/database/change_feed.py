"""Calls back soon after something changed in the store, and in any case at every interval.

NOTIFY is a hint that may be lost; the interval is the truth. What changed is for the callback to find out.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from asyncpg.exceptions import InterfaceError, PostgresError

from greenroom_server.database.engine import CHANNEL, Database
from greenroom_server.errors import Unavailable

_KEEPALIVE_S = 10.0
_KEEPALIVE_TIMEOUT_S = 2.0
_LONGEST_PAUSE_S = 2.0
_LONGEST_REST_S = 0.02
_REST_PER_WORK = 3
_LONGEST_RECONNECT_S = 5.0

log = structlog.get_logger(__name__)


class ChangeFeed:
    """Runs `on_tick` for ever: one at a time, once for a burst of hints, and whatever it raises.

    It keeps one connection of its own for LISTEN; losing it costs nothing but the hints.
    """

    def __init__(self, database: Database, on_tick: Callable[[], Awaitable[None]], *, interval_s: float = 0.5) -> None:
        self._database = database
        self._on_tick = on_tick
        self._interval_s = interval_s
        self._hint = asyncio.Event()
        self._has_looked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failures = 0
        self.last_success: float | None = None
        """When a tick last went well, by `time.monotonic()`."""
        self.is_listening = False
        """Whether hints arrive at this moment."""

    @property
    def is_healthy(self) -> bool:
        """Whether the last tick went well."""
        return self.last_success is not None and not self.is_failing

    @property
    def is_failing(self) -> bool:
        """Whether the last tick went wrong; before the first one has ended nothing has."""
        return self._failures > 0

    async def start(self) -> None:
        """Begin; the first tick comes at once."""
        self._database.on_announced = self.wake
        self._tasks = [
            asyncio.create_task(self._tick_for_ever(), name="change-feed-ticks"),
            asyncio.create_task(self._listen_for_ever(), name="change-feed-hints"),
        ]

    async def wait_for_first_tick(self, within_s: float) -> None:
        """Returns once the first tick ended, well or badly, or after this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._has_looked.wait()

    async def stop(self) -> None:
        """End; a tick that is under way is cancelled."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """A hint from within: tick now instead of at the next interval."""
        self._hint.set()

    async def _tick_for_ever(self) -> None:
        while True:
            self._hint.clear()  # before the tick: what comes during it is for the next one
            begun = time.monotonic()
            await self._tick()
            self._has_looked.set()
            # Of a burst of changes the first is seen at once and the others together: writers need the time.
            await asyncio.sleep(min(_LONGEST_REST_S, (time.monotonic() - begun) * _REST_PER_WORK))
            pause_s = min(self._interval_s * 2**self._failures, max(self._interval_s, _LONGEST_PAUSE_S))
            if self._failures:
                pause_s *= random.uniform(0.5, 1.0)  # noqa: S311  spreads servers out, hides nothing
            try:
                async with asyncio.timeout(pause_s):
                    await self._hint.wait()
            except TimeoutError:
                continue

    async def _tick(self) -> None:
        try:
            await self._on_tick()
        except Exception as error:
            if self._failures == 0:
                # An unreachable store speaks for itself; anything else is a defect, and its trace is wanted.
                log.error("change feed fails", error=str(error), exc_info=not isinstance(error, Unavailable))
            self._failures = min(self._failures + 1, 16)
            return
        if self._failures:
            log.info("change feed works again")
        self._failures = 0
        self.last_success = time.monotonic()

    async def _listen_for_ever(self) -> None:
        attempt = 0
        while True:
            try:
                await self._listen()
            except (OSError, PostgresError, InterfaceError) as error:
                log.debug("no hints", error=str(error))
            attempt = 0 if self.is_listening else attempt + 1
            self.is_listening = False
            longest_s = min(0.1 * 2 ** min(attempt, 10), _LONGEST_RECONNECT_S)
            await asyncio.sleep(random.uniform(longest_s / 2, longest_s))  # noqa: S311  as above

    async def _listen(self) -> None:
        connection = await self._database.connect(purpose="greenroom listen")
        closed = asyncio.Event()
        try:
            # What this process commits wakes the feed without a detour over PostgreSQL.
            await connection.listen(CHANNEL, self.wake, closed.set, is_known=self._database.is_own)
            self.is_listening = True
            self.wake()  # for what was announced while nobody listened
            while not closed.is_set():
                try:
                    async with asyncio.timeout(_KEEPALIVE_S):
                        await closed.wait()
                except TimeoutError:
                    await connection.ping(_KEEPALIVE_TIMEOUT_S)
        finally:
            await connection.close()
