"""The sampler: a task in every server process that asks the sources of guardrails whose turn it is.

All servers share the work. The reader beside it answers running steps, and so knows which guardrails are wanted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Final

import structlog

from greenroom_server.database.engine import Database
from greenroom_server.errors import GreenroomError, TooManyRequests
from greenroom_server.flags.service_scope import get_project
from greenroom_server.guardrails.asking import Asker
from greenroom_server.guardrails.judging import Reading
from greenroom_server.guardrails.service_reader import Reader
from greenroom_server.guardrails.service_readings import Answered, Claim, claim, note_uses, prune, settle, store_time
from greenroom_server.guardrails.service_views import get_guardrail, live_uses
from greenroom_server.guardrails.tables import GuardrailRow
from greenroom_server.webhooks.sender import Count, Registry

log = structlog.get_logger(__name__)

# What time it is, asked in a session: `service_readings.store_time`, or what a test says.
TimeOf = Callable[[Any], Awaitable[datetime]]

_GOODBYE_S: Final = 1.0
_TESTS_AT_ONCE: Final = 4
_COUNTED: Final = {
    "ok": ("readings_ok_total", "Readings of guardrails' sources that were fine."),
    "tripped": ("readings_tripped_total", "Readings of guardrails' sources that tripped."),
    "no_data": ("readings_without_data_total", "Guardrails' sources that gave no data."),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a server looks for guardrails that are due, and how many it asks at a time."""

    poll_s: float = 1.0
    at_once: int = 32


class Guardrails:
    """Goes by the store's clock. In this order: `start`, `wake`, `test` and `keep_house` as often as wanted, `close`.

    `step` and `idle` are what the task does, for whoever wants to do it by hand.
    """

    def __init__(
        self, database: Database, asker: Asker, *, time_of: TimeOf = store_time, pace: Pace | None = None
    ) -> None:
        self.desk = asker.desk
        self.reader = Reader()
        self.reader.on_use = self.wake
        self._database = database
        self._asker = asker
        self._time_of = time_of
        self._pace = pace or Pace()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._testing = asyncio.Semaphore(_TESTS_AT_ONCE)
        self._counts: dict[str, Count] = {}

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="guardrails")

    async def close(self) -> None:
        """Stop; what is being asked has a second to end, and is asked again by another server if it does not."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._asking:
            await asyncio.wait(self._asking, timeout=_GOODBYE_S)
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def wake(self) -> None:
        """Something may be due: do not wait for the next look."""
        self._news.set()

    def watch(self, registry: Registry) -> None:
        """Show what happens here in a metrics registry."""
        self._counts = {state: registry.counter(f"guardrail_{name}", text) for state, (name, text) in _COUNTED.items()}

    async def test(self, project_key: str, key: str) -> tuple[GuardrailRow, Reading]:
        """Ask a guardrail's source once, for whoever wants to see what it says; nothing is kept.

        Raises `NotFound`, and `TooManyRequests` if many do so.
        """
        if self._testing.locked():
            raise TooManyRequests("too many sources are being tested", retry_after_s=2)
        async with self._testing:
            async with self._database.reading() as session:
                now = await self._time_of(session)
                row = await get_guardrail(session, await get_project(session, project_key), key)
                uses = await live_uses(session, row.id, now)
            answers = await self._asker.ask(row, [uses[0].since if uses else row.watched_since], now)
            return row, answers[0].reading

    async def step(self) -> int:
        """Write down which steps run, take what is due, begin to ask; how many that is."""
        uses = self.reader.uses()
        async with self._database.transaction() as session:
            now = await self._time_of(session)
            await note_uses(session, uses)
            claims = await claim(session, self._pace.at_once - len(self._asking), now)
        self.reader.forget(uses)
        for one in claims:
            task = asyncio.create_task(self._ask(one), name="guardrail")
            self._asking.add(task)
            task.add_done_callback(self._ended)
        return len(claims)

    async def idle(self) -> None:
        """Wait until nothing is being asked."""
        while self._asking:
            await asyncio.wait(self._asking)

    async def keep_house(self) -> None:
        """Drop what is old."""
        async with self._database.transaction() as session:
            await prune(session, await self._time_of(session))

    async def _run(self) -> None:
        while True:
            begun_at = monotonic()
            try:
                await self.step()
            except GreenroomError as error:
                log.debug("guardrails wait for the database", reason=error.detail)
            except Exception:
                log.exception("the look for guardrails that are due failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.poll_s):
                    await self._news.wait()
            await asyncio.sleep(begun_at + self._pace.poll_s / 2 - monotonic())
            self._news.clear()

    async def _ask(self, one: Claim) -> None:
        answers = await self._asker.ask(one.row, one.since, one.at)
        try:
            async with self._database.transaction() as session:
                is_kept = await settle(session, one, answers, await self._time_of(session))
        except GreenroomError as error:
            log.warning("a guardrail's reading is not written down: it is asked again", reason=error.detail)
            return
        if is_kept:
            self._count(answers)

    def _count(self, answers: Sequence[Answered]) -> None:
        for one in answers:
            if one.reading.state in self._counts:
                self._counts[one.reading.state].inc()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._asking.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a guardrail could not be looked after", exc_info=task.exception())
