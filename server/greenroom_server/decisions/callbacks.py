"""Looks after the open callbacks: what became of them is found out by one server at a time, and told once."""

from collections import Counter
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text

from greenroom_server.clock import Clock
from greenroom_server.database.engine import Database
from greenroom_server.decisions.service_callbacks import Settled, due_callbacks, look_at, settle
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.errors import Unavailable
from greenroom_server.webhooks.desk import Desk

LOOK_EVERY_S: Final = 1.0
_AT_ONCE: Final = 50
_LOCK: Final = 0x63616C6C6261636B  # "callback"

log = structlog.get_logger(__name__)


class Callbacks:
    """`step` as often as wanted."""

    def __init__(self, database: Database, desk: Desk, clock: Clock) -> None:
        self._database = database
        self._desk = desk
        self._clock = clock
        self._shelves = Shelves(database)

    async def step(self) -> int:
        """Look at those that are due; how many messages that put in line. Raises `Unavailable` while the store is."""
        async with self._database.reading() as session:
            due = await due_callbacks(session, self._clock.now(), _AT_ONCE)
            # Two servers would find the same: what the other one finds is written under the row's lock anyway.
            if not due or not await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
                return 0
            became: Counter[Settled] = Counter()
            for callback_id in due:
                try:
                    became[await self._look(callback_id)] += 1
                except Unavailable:
                    raise
                except Exception:  # one that cannot be decided must not keep the others from it
                    log.exception("a callback could not be looked at", callback=str(callback_id))
        return became["told"]

    async def _look(self, callback_id: UUID) -> Settled:
        now = self._clock.now()
        async with self._database.reading() as session:
            looked = await look_at(session, callback_id, self._shelves, now)
        if looked is None:
            return "gone"
        async with self._database.transaction() as session:
            return await settle(session, self._desk, looked, now)
