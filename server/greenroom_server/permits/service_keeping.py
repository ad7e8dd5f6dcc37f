"""Looks after permits and break-glasses in the background: what time or news took away is shown to be over.

Nothing depends on it: a permit is decided on anew when it is used. Several servers may do it at once.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import text

from greenroom_server.access.principal import Principal
from greenroom_server.clock import Clock
from greenroom_server.database.engine import Database
from greenroom_server.decisions.service_decisions import keep_decision
from greenroom_server.decisions.service_news import Marks, Watched, marks_of
from greenroom_server.errors import GreenroomError, Unavailable
from greenroom_server.flags.work import Work
from greenroom_server.permits.desk import Desk
from greenroom_server.permits.permits import Held
from greenroom_server.permits.service_glass import note_overdue
from greenroom_server.permits.service_use import end_permit, lock_permit, recheck

# How long something may take that a permit was used for, until the permit counts as forgotten.
LONGEST: Final = timedelta(hours=24)
_LOOKED_BACK: Final = LONGEST + timedelta(hours=24)
_SERVANT: Final = Principal(UUID(int=0), "permits", "greenroom", frozenset())

log = structlog.get_logger(__name__)


class Keeper:
    """One for each server process. Remembers on which facts each permit was looked at last."""

    def __init__(self, database: Database, desk: Desk, clock: Clock) -> None:
        self._database = database
        self._desk = desk
        self._clock = clock
        self._looked_at: dict[UUID, Marks] = {}

    async def keep_house(self) -> int:
        """Tell of what is over or overdue; how many there were. Raises `Unavailable` with the store."""
        now = self._clock.now()
        async with self._database.reading() as session:
            permits = [_Known(row) for row in await session.execute(_PERMITS, {"since": now - _LOOKED_BACK})]
            glasses = list(await session.execute(_OVERDUE, {"now": now}))
            marks = await marks_of(session, {one.watched for one in permits}) if permits else {}
        self._looked_at = {one.id: self._looked_at[one.id] for one in permits if one.id in self._looked_at}
        done = 0
        for one in permits:
            if one.has_lapsed(now) or (not one.is_used and self._looked_at.get(one.id) != marks.get(one.watched)):
                done += await self._apart(partial(self._look_at, one=one))
        for project_key, glass_id in glasses:
            done += await self._apart(partial(note_overdue, project_key=project_key, glass_id=str(glass_id)))
        return done

    async def _apart(self, step: Callable[[Work], Awaitable[bool]]) -> bool:
        """One step in a transaction of its own: what one cannot do does not hold up the others."""
        try:
            async with self._database.transaction() as session:
                return await step(Work(session, _SERVANT, self._clock.now()))
        except Unavailable:
            raise
        except GreenroomError as error:  # somebody else was quicker, or the project is gone
            log.debug("a permit is looked after later", reason=error.detail)
            return False

    async def _look_at(self, work: Work, one: "_Known") -> bool:
        ledger, held = await lock_permit(work, one.project_key, str(one.id))
        if held.fact.end is not None:
            return False
        if one.has_lapsed(work.now):
            await end_permit(work, ledger, held, "expired", _lapse_of(held))
            return True
        if held.used_at is not None:
            return False
        again = await recheck(work, self._desk, ledger, held)
        if again.refusal is None:
            self._looked_at[one.id] = again.made.seen.marks
            return False
        await keep_decision(work, again.made, is_of_permit=True)
        await end_permit(work, ledger, held, "revoked", again.refusal)
        return True


class _Known:
    """A permit that is not over, as far as the look at all of them tells."""

    def __init__(self, row: Any) -> None:
        self.project_key: str = row.key
        self.id: UUID = row.id
        self.is_used: bool = row.used_at is not None
        self.lapses_at = row.until if row.used_at is None else row.used_at + LONGEST
        self.watched = Watched(row.project_id, row.environment)

    def has_lapsed(self, now: Any) -> bool:
        return bool(now >= self.lapses_at)


def _lapse_of(held: Held) -> str:
    if held.used_at is None:
        return "nobody used it in time"
    return f"it was used {LONGEST.days * 24} hours ago, and nobody told what came of it"


_PERMITS: Final = text("""
SELECT project.key, project.id AS project_id, one.id, one.environment,
    (one.body ->> 'until')::timestamptz AS until, used.at AS used_at
FROM fact one JOIN project ON project.id = one.project_id
LEFT JOIN fact used ON used.about = one.id AND used.kind = 'use'
WHERE one.kind = 'permit' AND one.received_at > :since
    AND NOT EXISTS (SELECT FROM fact ending WHERE ending.about = one.id AND ending.kind = 'end')
ORDER BY one.received_at
""")
_OVERDUE: Final = text("""
SELECT project.key, one.id FROM fact one JOIN project ON project.id = one.project_id
JOIN fact used ON used.about = one.id AND used.kind = 'use'
WHERE one.kind = 'break_glass' AND (used.body ->> 'review_due')::timestamptz <= :now
    AND NOT EXISTS (SELECT FROM fact more WHERE more.about = one.id AND more.kind IN ('end', 'overdue'))
ORDER BY one.received_at
""")
