"""What happens to change requests by time alone: those that have a moment are applied, those that nobody took expire.

Exactly once, however many servers look: what is due is looked at again under the locks of the project and of the
request, and all that comes of it commits together. What does not hold at its moment is not tried again: somebody is
told (`change_request.held`), and applies it or gives it another moment.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.access.principal import Principal
from greenroom_server.access.service import find_principal
from greenroom_server.change_requests import judging
from greenroom_server.change_requests.service_applying import apply_matter, hold, require_approved
from greenroom_server.change_requests.service_reading import Matter, Path, get_matter
from greenroom_server.change_requests.service_requests import noted
from greenroom_server.database.engine import Database
from greenroom_server.errors import Conflict, GreenroomError, NotFound, Unauthenticated, Unavailable
from greenroom_server.flags.work import Work
from greenroom_server.releases.service_people import standing_of
from greenroom_server.releases.service_scope import Place

MAX_LATE: Final = timedelta(minutes=15)
_AT_ONCE: Final = 50

log = structlog.get_logger(__name__)


class Timekeeper(Principal):
    """Who acts when nobody does."""

    @property
    def actor(self) -> str:
        return "greenroom:change_requests"


_NOBODY: Final = Timekeeper(UUID(int=0), "change requests", "greenroom", frozenset())


async def take_turns(database: Database, now: datetime) -> int:
    """Apply and expire what is due at this moment; how many there were."""
    async with database.reading() as session:
        due: list[Any] = list(await session.execute(_DUE, {"now": now, "limit": _AT_ONCE}))
    for project, environment, number in due:
        path = (project, environment, str(number))
        try:
            async with database.transaction() as session:
                await _take_turn(session, path, now)
        except NotFound:
            pass  # it was deleted meanwhile
        except Unavailable:
            raise
        except Exception as error:
            log.error("a change request cannot be applied", path=path, exc_info=error)
            await _give_up(database, path, now)
    return len(due)


async def _take_turn(session: AsyncSession, path: Path, now: datetime) -> None:
    work = Work(session, _NOBODY, now)
    matter = await get_matter(work, path, lock=True, lock_project=True)
    row = matter.row
    if row.state not in judging.WAITING:
        return
    if row.apply_at is not None and row.apply_at <= now:
        await _apply(work, matter)
    elif matter.state == "expired":
        before, row.state = row.state, "expired"
        await noted(work, matter, "expired", [{"path": "/state", "op": "replace", "from": before, "to": "expired"}])


async def _apply(work: Work, matter: Matter) -> None:
    """At its moment all must hold that held when it was agreed; if not, it waits for somebody."""
    row, moment = matter.row, matter.row.apply_at
    path = (matter.project.key, matter.environment.key, str(row.number))
    row.apply_at = None
    await work.session.flush()
    try:
        _require_same(matter, moment)
        principal = await _scheduler(work, matter)
        require_approved(matter)
        await apply_matter(Work(work.session, principal, work.now), matter)
    except Unavailable:
        raise
    except GreenroomError as error:
        await hold(work, await get_matter(work, path, lock=True), error)


def _require_same(matter: Matter, moment: datetime | None) -> None:
    if moment is not None and matter.now - moment > MAX_LATE:
        raise Conflict(
            f"its moment was {moment.isoformat()}, and no server was there within 15 minutes", code="schedule_missed"
        )
    if matter.setting_version != matter.row.setting_version:
        raise Conflict(
            f"what `{matter.environment.key}` asks for is not what it was when this was agreed",
            code="approval_settings_changed",
        )


async def _scheduler(work: Work, matter: Matter) -> Principal:
    """By whose right it is applied, as that is now."""
    token_id = matter.row.scheduled_by
    found = None if token_id is None else await find_principal(work.session, token_id, work.now)
    if found is None:
        raise Unauthenticated("the token that gave it its moment is revoked or expired")
    found.require_scope(matter.project.key, matter.environment.key)
    if found.person is not None:
        await standing_of(Work(work.session, found, work.now), Place(matter.project.id, matter.project.key))
    return found


async def _give_up(database: Database, path: Path, now: datetime) -> None:
    """After a defect: it must not be tried for ever."""
    async with database.transaction() as session:
        work = Work(session, _NOBODY, now)
        matter = await get_matter(work, path, lock=True)
        matter.row.apply_at = None
        await hold(work, matter, GreenroomError("the server failed; its log says how"))


_DUE: Final = text("""
SELECT p.key, e.key, r.number FROM change_request r
JOIN environment e ON e.id = r.environment_id JOIN project p ON p.id = r.project_id
WHERE r.state IN ('open', 'approved', 'rejected') AND (r.expires_at <= :now OR r.apply_at <= :now)
ORDER BY coalesce(r.apply_at, r.expires_at), r.project_id, r.number LIMIT :limit
""")
