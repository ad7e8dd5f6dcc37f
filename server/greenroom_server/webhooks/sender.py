"""The sender: a task in every server process that works off the queue. All servers share the work."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, Literal, Protocol

import structlog

from greenroom_server.clock import Clock
from greenroom_server.database.engine import Database
from greenroom_server.errors import GreenroomError
from greenroom_server.sealing import Unreadable
from greenroom_server.webhooks import signing
from greenroom_server.webhooks.cdevents import MEDIA_TYPE
from greenroom_server.webhooks.client import Client
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.schedule import Tried
from greenroom_server.webhooks.service_outbox import hand_out, is_used
from greenroom_server.webhooks.service_queue import Capacity, Claim, Outcome, claim, prune, queue, settle

log = structlog.get_logger(__name__)

# Longer than any sending may take, by far: when it runs out, whoever held it is dead or was frozen.
LEASE: Final = timedelta(seconds=60)
_LOOKED_AT_QUEUE_S: Final = 5.0
# Of a burst of changes the first is looked for at once and the others together: their authors need the time.
_BETWEEN_LOOKS_S: Final = 0.1
_GOODBYE_S: Final = 2.0
_COUNTED: Final[dict[Outcome, tuple[str, str]]] = {
    "delivered": ("deliveries_total", "Webhook deliveries that were accepted."),
    "retried": ("failures_total", "Tries to deliver a webhook that failed and are made again."),
    "dead": ("deliveries_dead_total", "Webhook deliveries given up."),
}


class Count(Protocol):
    """A counter of a metrics registry."""

    def inc(self) -> None: ...


class Registry(Protocol):
    """Where metrics are made; `observability.metrics.Metrics` is one."""

    def counter(self, name: str, text: str) -> Count: ...

    def watch(
        self, name: str, text: str, read: Callable[[], float], *, across: Literal["sum", "max", "min"] = ...
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a server looks at the queue by itself, and how much it sends at a time."""

    poll_s: float = 1.0
    at_once: int = 64
    per_destination: int = 4
    retention: timedelta = timedelta(days=14)


class Webhooks:
    """In this order: `start`, `wake` and `keep_house` as often as wanted, `close`.

    `step` and `idle` are what the task does, for whoever wants to do it by hand.
    """

    def __init__(
        self,
        database: Database,
        client: Client,
        desk: Desk,
        *,
        clock: Clock,
        pace: Pace | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.desk = desk
        self._database = database
        self._client = client
        self._clock = clock
        self._pace = pace or Pace()
        self._dice = dice
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending: dict[asyncio.Task[None], Claim] = {}
        self._waiting: tuple[int, datetime | None] = (0, None)
        self._looked_at = -_LOOKED_AT_QUEUE_S
        self._counts: dict[Outcome, Count] = {}

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="webhooks")

    async def close(self) -> None:
        """Stop; what is being sent has two seconds to end, and is sent again by another server if it does not."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending, timeout=_GOODBYE_S)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._client.close()

    def wake(self) -> None:
        """Something was committed here that may have to be sent: do not wait for the next look."""
        self._news.set()

    def watch(self, registry: Registry) -> None:
        """Show what happens here in a metrics registry."""
        self._counts = {
            outcome: registry.counter(f"webhook_{name}", text) for outcome, (name, text) in _COUNTED.items()
        }
        # Every server sees the same queue.
        registry.watch("webhook_deliveries_waiting", "Deliveries in line.", lambda: self._waiting[0], across="max")
        registry.watch("webhook_queue_age_seconds", "Age of the oldest delivery in line.", self._age, across="max")

    async def step(self) -> int:
        """Hand out what is new, take what is due, begin to send it; how many sendings that is."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            if not await is_used(session):
                self._waiting = (0, None)
                return 0
            await hand_out(session, now)
            claims = await claim(session, self._room(), now, LEASE)
            claims += await claim(session, self._room_for_failing(len(claims)), now, LEASE)
            if monotonic() - self._looked_at >= _LOOKED_AT_QUEUE_S:
                self._waiting, self._looked_at = await queue(session), monotonic()
        for one in claims:
            task = asyncio.create_task(self._deliver(one), name="webhook delivery")
            self._sending[task] = one
            task.add_done_callback(self._ended)
        return len(claims)

    async def idle(self) -> None:
        """Wait until nothing is being sent."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def keep_house(self) -> None:
        """Drop what is older than the retention."""
        async with self._database.transaction() as session:
            await prune(session, self._clock.now(), self._pace.retention)

    async def _run(self) -> None:
        while True:
            begun_at = monotonic()
            try:
                await self.step()
            except GreenroomError as error:
                log.debug("webhooks wait for the database", reason=error.detail)
            except Exception:
                log.exception("the look at the webhooks' queue failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.poll_s):
                    await self._news.wait()
                await asyncio.sleep(begun_at + _BETWEEN_LOOKS_S - monotonic())
            self._news.clear()

    async def _deliver(self, one: Claim) -> None:
        result = await self._send(one)
        try:
            async with self._database.transaction() as session:
                outcome = await settle(session, one, result, self._clock.now(), self._dice())
        except GreenroomError as error:
            log.warning("a delivery's outcome is not written down: it is sent again", reason=error.detail)
            outcome = "lost"
        if outcome in self._counts:
            self._counts[outcome].inc()
        if outcome == "dead":
            log.warning("delivery given up", delivery=str(one.id), status=result.status, problem=result.problem)

    async def _send(self, one: Claim) -> Tried:
        now, body = self._clock.now(), one.body.encode()
        try:
            live = [self.desk.sealer.open(sealed) for sealed in one.sealed]
        except Unreadable:
            return Tried(problem="secret")
        headers = signing.headers_of(live, str(one.id), now, body)
        if one.format == "cdevents":
            headers["Content-Type"] = MEDIA_TYPE
        return await self._client.post(one.url, headers, body, now)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._sending[task]
        if not task.cancelled() and task.exception() is not None:
            log.error("a delivery failed in an unforeseen way", exc_info=task.exception())
        self._news.set()

    def _room(self) -> Capacity:
        under_way, most = Counter(one.webhook_id for one in self._sending.values()), self._pace.per_destination
        busy = [webhook for webhook, number in under_way.items() if number >= most]
        return Capacity(self._pace.at_once - len(self._sending), most, busy)

    def _room_for_failing(self, taken: int) -> Capacity:
        """One message of each at a time, and of all of them no more than fill half of the room."""
        under_way = list(self._sending.values())
        failing = sum(one.is_failing for one in under_way)
        free = min(self._pace.at_once - len(under_way) - taken, self._pace.at_once // 2 - failing)
        return Capacity(max(free, 0), 1, [one.webhook_id for one in under_way], are_failing=True)

    def _age(self) -> float:
        since = self._waiting[1]
        return 0.0 if since is None else max(0.0, (self._clock.now() - since).total_seconds())
