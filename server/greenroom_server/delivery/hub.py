"""Streams without queues: a subscriber has a position, and one short-lived writer brings it up to date.

An idle stream is one coroutine that waits for its client to go away, and nothing else. Whoever falls behind gets what
is newest; whoever does not take anything for too long is cut.
"""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from starlette.types import Receive

from greenroom_server.access.principal import Principal
from greenroom_server.delivery.sources import Authenticator
from greenroom_server.delivery.subscriber import Frames, Subscriber, chunks_of
from greenroom_server.errors import Unavailable

_log = structlog.get_logger(__name__)

HEARTBEAT_S: Final = 15.0
SEND_LIMIT_S: Final = 30.0
_TICK_S: Final = 0.25
_SLOTS: Final = int(HEARTBEAT_S / _TICK_S)
_TICKS_PER_SWEEP: Final = int(1 / _TICK_S)
# Writers started in one turn of the event loop: requests get their turn in between.
_BATCH: Final = 200
_GOODBYES_PER_S: Final = 500


class Hub:
    """All streams of this process."""

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        cap: int = 10_000,
        cap_per_credential: int = 5_000,
        admissions_per_s: int = 500,
        send_limit_s: float = SEND_LIMIT_S,
    ) -> None:
        self._authenticator = authenticator
        self._cap = cap
        self._cap_per_credential = cap_per_credential
        self._send_limit_s = send_limit_s
        self._admissions = _Admissions(admissions_per_s)
        self._slots: list[set[Subscriber]] = [set() for _ in range(_SLOTS)]
        self._by_credential: defaultdict[UUID, set[Subscriber]] = defaultdict(set)
        self._writing: set[Subscriber] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tick = 0
        self._is_closing = False
        self._empty: asyncio.Event | None = None
        self.count = 0
        self.refused = 0
        self.dropped = 0
        self.events_sent = 0

    def admit(self, principal: Principal) -> None:
        """Raises `Unavailable` if one more stream of this credential would be too much right now."""
        mine = self._by_credential.get(principal.token_id, ())
        if (
            self._is_closing
            or self.count >= self._cap
            or len(mine) >= self._cap_per_credential
            or not self._admissions.take()
        ):
            self.refused += 1
            raise Unavailable("no more streams are taken right now", retry_after_s=random.randint(2, 10))  # noqa: S311

    async def run(self, subscriber: Subscriber, receive: Receive) -> None:
        """Serve an admitted stream, whose response has begun, until either side ends it."""
        subscriber.owner = asyncio.current_task()
        self._join(subscriber)
        try:
            self.wake(subscriber)
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if not subscriber.is_over or subscriber.owner is None:
                raise
            subscriber.owner.uncancel()
        finally:
            self._leave(subscriber)

    def publish(self, subscribers: Iterable[Subscriber]) -> None:
        """Bring these up to date; returns at once."""
        waiting = [subscriber for subscriber in subscribers if subscriber.writer is None]
        for subscriber in waiting[:_BATCH]:
            self.wake(subscriber)
        if len(waiting) > _BATCH:
            self._spawn(self._wake_all(waiting[_BATCH:]))

    def wake(self, subscriber: Subscriber) -> None:
        """Start its writer, unless it is at work already."""
        if subscriber.writer is None and not subscriber.is_over:
            subscriber.writing_since = monotonic()
            self._writing.add(subscriber)
            subscriber.writer = asyncio.get_running_loop().create_task(self._write(subscriber))

    def end(self, subscriber: Subscriber, last: Frames = ()) -> None:
        """Say `last` and close the stream."""
        if subscriber.ending is None:
            subscriber.ending = last
            self.wake(subscriber)

    async def beat(self) -> None:
        """Keeps time for the streams for one second: heartbeats, slow readers, credentials that fell."""
        for _ in range(_TICKS_PER_SWEEP):
            await asyncio.sleep(_TICK_S)
            self._tick += 1
            self._send_heartbeats(self._slots[self._tick % _SLOTS])
        self.sweep()

    def sweep(self) -> None:
        """Cut who reads too slowly, and whose credential does not stand any more."""
        too_old = monotonic() - self._send_limit_s
        for subscriber in [one for one in self._writing if one.writing_since < too_old]:
            self.dropped += 1
            self._drop(subscriber)
        for credential_id, subscribers in list(self._by_credential.items()):
            principal = self._authenticator.by_id(credential_id)
            for subscriber in list(subscribers):
                if principal is None or _has_changed(principal, subscriber.principal):
                    self.end(subscriber)

    async def close(self, *, within_s: float = 5.0) -> None:
        """Say goodbye to every stream, each with its own delay, and wait until they are gone. Takes no new ones."""
        self._is_closing = True
        spread_ms = self.count * 1000 // _GOODBYES_PER_S
        for done, subscriber in enumerate(self._all()):
            self.end(subscriber, subscriber.goodbye(random.randint(0, spread_ms)))  # noqa: S311
            if done % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._emptied(), within_s)
        for subscriber in self._all():
            self._drop(subscriber)

    async def _emptied(self) -> None:
        self._empty = asyncio.Event()
        if self.count:
            await self._empty.wait()

    def _join(self, subscriber: Subscriber) -> None:
        self.count += 1
        subscriber.slot = random.randrange(_SLOTS)  # noqa: S311
        self._slots[subscriber.slot].add(subscriber)
        self._by_credential[subscriber.principal.token_id].add(subscriber)
        subscriber.peers.add(subscriber)

    def _leave(self, subscriber: Subscriber) -> None:
        subscriber.is_over = True
        if subscriber.writer is not None:
            subscriber.writer.cancel()
        self.count -= 1
        if self._empty is not None and not self.count:
            self._empty.set()
        self._slots[subscriber.slot].discard(subscriber)
        subscriber.peers.discard(subscriber)
        credential_id = subscriber.principal.token_id
        self._by_credential[credential_id].discard(subscriber)
        if not self._by_credential[credential_id]:
            del self._by_credential[credential_id]

    async def _write(self, subscriber: Subscriber) -> None:
        try:
            while subscriber.ending is None and (frames := subscriber.due_frames()) is not None:
                for chunk in chunks_of(frames):
                    subscriber.writing_since = monotonic()
                    await subscriber.send({"type": "http.response.body", "body": chunk, "more_body": True})
                self.events_sent += 1
            if subscriber.ending is not None:
                last = b"".join(subscriber.ending)
                await subscriber.send({"type": "http.response.body", "body": last, "more_body": False})
                self._finish(subscriber)
        except Exception as error:
            # Whatever breaks a connection must not take the other streams down.
            _log.debug("stream_broken", reason=repr(error))
            self._drop(subscriber)
        finally:
            subscriber.writer = None
            self._writing.discard(subscriber)

    def _finish(self, subscriber: Subscriber) -> None:
        subscriber.is_over = True
        if subscriber.owner is not None:
            subscriber.owner.cancel()

    def _drop(self, subscriber: Subscriber) -> None:
        if subscriber.connection is not None:
            # Closing would wait for the very bytes that this reader does not take.
            subscriber.connection.abort()
        self._writing.discard(subscriber)
        if subscriber.writer is not None and subscriber.writer is not asyncio.current_task():
            subscriber.writer.cancel()
        self._finish(subscriber)

    def _send_heartbeats(self, subscribers: set[Subscriber]) -> None:
        for subscriber in subscribers:
            subscriber.has_heartbeat_due = True
        self.publish(subscribers)

    async def _wake_all(self, subscribers: list[Subscriber]) -> None:
        for done, subscriber in enumerate(subscribers):
            if done % _BATCH == 0:
                await asyncio.sleep(0)
            self.wake(subscriber)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _all(self) -> list[Subscriber]:
        return [subscriber for slot in self._slots for subscriber in slot]


class _Admissions:
    """A reconnect storm is let in at a bounded rate, which leaves time for everything else.

    INVARIANT: no stretch of one second, wherever it begins, has more than `per_s` of them.
    """

    def __init__(self, per_s: int) -> None:
        self._latest: deque[float] = deque(maxlen=per_s)

    def take(self) -> bool:
        now, latest = monotonic(), self._latest
        if len(latest) == latest.maxlen and now - latest[0] < 1.0:
            return False
        latest.append(now)
        return True


def _has_changed(now: Principal, then: Principal) -> bool:
    return now.environment_id != then.environment_id or now.permissions != then.permissions
