"""The way in for reports: a bounded queue, and a few writers that commit what waits in one transaction.

A report's future is done once its rows are on disk, and not before. INVARIANT: rows and bytes count against the bounds
from their arrival until they are committed or refused.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import structlog

from greenroom_server.errors import GreenroomError, Invalid, TooManyRequests, Unavailable
from greenroom_server.exposures.service_intake import (
    Report,
    Store,
    is_about_data,
    lacks_partition,
    make_partitions,
    store,
)

_PAUSE_AFTER_FAILURE_S: Final = 1.0
_CLOSING_S: Final = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait in this process, how much is committed at once, and on how many connections."""

    rows: int = 50_000
    size: int = 32 * 1024 * 1024
    rows_at_once: int = 5_000
    writers: int = 2


@dataclass(slots=True)
class _Waiting:
    report: Report
    done: "asyncio.Future[None]"
    is_settled: bool = False


class Intake:
    """Takes reports in. It has connections of its own, so neither evaluation nor authors ever wait for it."""

    def __init__(self, database: Store, bounds: Bounds | None = None) -> None:
        self._database = database
        self._bounds = bounds or Bounds()
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Condition()
        self._days: set[int] = set()
        self._writers: list[asyncio.Task[None]] = []
        self._down_until = 0.0
        self.rows = 0
        self.size = 0
        self.stored = 0
        self.refused = 0

    async def start(self) -> None:
        """Begin to write. The store need not be there yet."""
        self._writers = [asyncio.create_task(self._write_on()) for _ in range(self._bounds.writers)]

    async def close(self) -> None:
        """Write what waits, for a few seconds at most, and stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                while self.rows:  # noqa: ASYNC110  once in a life, and nobody else would tell us
                    await asyncio.sleep(0.01)
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)
        self._fail(list(self._waiting), Unavailable("the server is stopping", retry_after_s=1))
        self._waiting.clear()

    async def accept(self, report: Report) -> None:
        """Returns once the report is on disk. After `Unavailable` it may be there all the same."""
        if monotonic() < self._down_until:
            raise Unavailable
        bounds = self._bounds
        if self.rows and (self.rows + report.rows > bounds.rows or self.size + report.size > bounds.size):
            self.refused += 1
            raise TooManyRequests("more exposures arrive than can be stored", retry_after_s=1)
        waiting = _Waiting(report, asyncio.get_running_loop().create_future())
        self.rows += report.rows
        self.size += report.size
        async with self._arrived:
            self._waiting.append(waiting)
            self._arrived.notify()
        await waiting.done

    async def _write_on(self) -> None:
        connection: Any = None
        try:
            while True:
                group = await self._next_group()
                try:
                    if connection is None or connection.is_closed():
                        connection = await self._database.connect(purpose="greenroom exposures")
                    await self._store(connection, group)
                except Exception as error:
                    await self._give_up(group, error, connection)
                except BaseException:
                    self._fail(group, Unavailable("the server is stopping", retry_after_s=1))
                    raise
        finally:
            if connection is not None:
                connection.terminate()

    async def _next_group(self) -> list[_Waiting]:
        # Whatever arrived while the last transaction was on its way goes into the next one.
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._waiting)
        group: list[_Waiting] = []
        rows = 0
        while self._waiting and (not group or rows + self._waiting[0].report.rows <= self._bounds.rows_at_once):
            rows += self._waiting[0].report.rows
            group.append(self._waiting.popleft())
        return group

    async def _store(self, connection: Any, group: Sequence[_Waiting]) -> None:
        try:
            await self._write(connection, [one.report for one in group])
        except Exception as error:
            if not is_about_data(error):
                raise
            await self._store_one_by_one(connection, group, error)
        else:
            self._succeed(group)

    async def _store_one_by_one(self, connection: Any, group: Sequence[_Waiting], error: Exception) -> None:
        """One report of the group cannot be stored: it must not take the others down."""
        if len(group) == 1:
            log.error("a report cannot be stored", reason=f"{type(error).__name__}: {error}")
            self._fail(group, Invalid("the batch holds something that cannot be stored"))
            return
        for one in group:
            await self._store(connection, [one])

    async def _write(self, connection: Any, reports: Sequence[Report]) -> None:
        days = set().union(*(report.days for report in reports))
        await self._prepare(connection, days)
        try:
            await store(connection, reports)
        except Exception as error:
            if not lacks_partition(error):
                raise
            self._days -= days  # another server dropped it, or the database was restored
            await self._prepare(connection, days)
            await store(connection, reports)

    async def _prepare(self, connection: Any, days: set[int]) -> None:
        missing = days - self._days
        if missing:
            await make_partitions(connection, missing)
            self._days |= missing

    async def _give_up(self, group: Sequence[_Waiting], error: Exception, connection: Any) -> None:
        if connection is not None:
            connection.terminate()  # nobody knows what it is doing
        if monotonic() >= self._down_until:
            log.warning("exposures cannot be stored", reason=f"{type(error).__name__}: {error}")
        self._down_until = monotonic() + _PAUSE_AFTER_FAILURE_S
        self._fail([*group, *self._waiting], Unavailable())
        self._waiting.clear()

    def _succeed(self, group: Sequence[_Waiting]) -> None:
        for one in group:
            self.stored += one.report.rows
            if self._settle(one):
                one.done.set_result(None)

    def _fail(self, group: Sequence[_Waiting], error: GreenroomError) -> None:
        for one in group:
            if self._settle(one):
                one.done.set_exception(error)

    def _settle(self, one: _Waiting) -> bool:
        """Give its room back, once; whether somebody still waits for it."""
        if not one.is_settled:
            one.is_settled = True
            self.rows -= one.report.rows
            self.size -= one.report.size
        return not one.done.done()
