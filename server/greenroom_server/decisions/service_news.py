"""Tells those who wait whether a decision may be another one now: one look at the store for all of them.

What a decision was made from shows in three numbers of the store, and in the clock, which is the caller's matter. No
session is held while anybody waits.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import Record
from greenroom_server.errors import TooManyRequests, Unavailable

LOOK_EVERY_S: Final = 0.5
MAX_WAITING: Final = 2_000

log = structlog.get_logger(__name__)


class Marks(NamedTuple):
    """How far the project's facts, its activations of policies, and the flags of one environment have come."""

    seq: int
    activation: int
    revision: int


class Watched(NamedTuple):
    """What bears on a decision: its project, and the key of its environment."""

    project_id: UUID
    environment: str


class Store(Protocol):
    """`database.engine.Database` is one."""

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]: ...
    async def glance(self, sql: str, *arguments: Any) -> Record | None: ...


@dataclass(eq=False, slots=True)
class _Waiter:
    place: Watched
    known: Marks
    told: asyncio.Future[Marks] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class NewsDesk:
    """One for each server process; it looks while somebody waits, and `close` sends everybody away."""

    def __init__(self, store: Store, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._store = store
        self._look_every_s = look_every_s
        self._waiters: set[_Waiter] = set()
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, place: Watched, known: Marks, timeout_s: float) -> Marks:
        """The marks as soon as they are not `known`; `known` itself when the time is up. Raises `TooManyRequests`."""
        if len(self._waiters) >= MAX_WAITING:
            raise TooManyRequests(f"at most {MAX_WAITING} requests wait in one process", retry_after_s=5)
        waiter = _Waiter(place, known)
        self._waiters.add(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_around())
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.told
        except TimeoutError:
            return known
        finally:
            self._waiters.discard(waiter)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        for waiter in self._waiters:
            if not waiter.told.done():
                waiter.told.set_result(waiter.known)

    async def _look_around(self) -> None:
        while self._waiters:
            try:
                async with self._store.reading() as session:
                    found = await marks_of(session, {waiter.place for waiter in self._waiters})
            except Unavailable:
                log.debug("those who wait for a decision wait for the database too")
            else:
                for waiter in self._waiters:
                    marks = found.get(waiter.place, waiter.known)
                    if marks != waiter.known and not waiter.told.done():
                        waiter.told.set_result(marks)
            await asyncio.sleep(self._look_every_s)


async def marks_of(session: AsyncSession, places: set[Watched]) -> dict[Watched, Marks]:
    """The marks of all these places; a project that is gone has none."""
    rows = await session.execute(_MARKS, {"projects": list({place.project_id for place in places})})
    found = {}
    for project_id, seq, activation, revisions in rows:
        for place in places:
            if place.project_id == project_id:
                found[place] = Marks(seq, activation, (revisions or {}).get(place.environment, 0))
    return found


_MARKS: Final = text("""
SELECT p.id, coalesce(l.seq, 0), coalesce((SELECT max(number) FROM policy_activation a WHERE a.project_id = p.id), 0),
    (SELECT jsonb_object_agg(e.key, e.revision) FROM environment e WHERE e.project_id = p.id)
FROM project p LEFT JOIN release_ledger l ON l.project_id = p.id WHERE p.id = ANY (:projects)
""")
