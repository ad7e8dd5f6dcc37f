"""What forges asked: put in line, claimed by one server at a time, and written down how it went.

INVARIANT: an answer is sent for a decision that was made just before, never for one of an earlier try.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.adapters.forges import FORGES
from greenroom_server.adapters.forges.asked import Asked
from greenroom_server.adapters.service_integrations import target_of
from greenroom_server.adapters.tables import GateRequestRow, IntegrationRow
from greenroom_server.decisions.service_news import Marks, Watched, marks_of
from greenroom_server.errors import TooManyRequests
from greenroom_server.webhooks.desk import Desk

MAX_WAITING: Final = 1_000
_LOOKED_AT: Final = 2_000
# Between two tries to tell a forge something, doubled each time.
_RETRY_FIRST: Final = timedelta(seconds=5)
_RETRY_MOST: Final = timedelta(minutes=5)
_KEPT_FOR: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Told:
    """How a try to answer a request went. `state` is what it is from now on."""

    state: str
    verdict: str | None
    decision: str | None
    marks: Marks | None
    turns_at: datetime | None
    note: str | None = None
    status: int | None = None
    problem: str | None = None
    retry_after: timedelta | None = None


async def take_in(
    session: AsyncSession, desk: Desk, row: IntegrationRow, asked: Asked, now: datetime, *, again: bool
) -> UUID | None:
    """Put a question in line; its id, or None if it is there already. Raises `TooManyRequests`.

    With `again` one that was answered is answered anew: the forge would not ask if it knew.
    """
    waiting = select(func.count()).where(
        col(GateRequestRow.integration_id) == row.id, col(GateRequestRow.state) == "waiting"
    )
    if (await session.execute(waiting)).scalar_one() >= MAX_WAITING:
        raise TooManyRequests(f"{MAX_WAITING} deployments wait for an answer already", retry_after_s=60)
    target = target_of(row, asked.environment)
    fresh = {
        "reply": dict(asked.reply),
        "secret": None if asked.secret is None else desk.sealer.seal(asked.secret),
        "state": "waiting",
        "next_at": now,
        "expires_at": now + asked.lifetime,
    }
    values = {
        "id": uuid4(),
        "integration_id": row.id,
        "project_id": row.project_id,
        "ticket": asked.ticket,
        "service": target.service,
        "environment": target.environment,
        "slot": target.slot,
        "commit": asked.commit,
        "digest": asked.digest,
        "notes": 0,
        "attempts": 0,
        "created_at": now,
        **fresh,
    }
    put = insert(GateRequestRow).values(values)
    if again:
        reset = {"verdict": None, "turns_at": None, "note": None, "finished_at": None, "last_error": None, "seq": None}
        put = put.on_conflict_do_update(
            index_elements=["integration_id", "ticket"],
            set_={**fresh, **reset, "attempts": 0},
            where=col(GateRequestRow.state) != "waiting",
        )
    else:
        put = put.on_conflict_do_nothing(index_elements=["integration_id", "ticket"])
    found: UUID | None = (await session.execute(put.returning(col(GateRequestRow.id)))).scalar_one_or_none()
    return found


async def claim(
    session: AsyncSession, now: datetime, *, most: int, lease: timedelta
) -> list[tuple[GateRequestRow, IntegrationRow]]:
    """Take requests that have to be decided on: new ones, and those whose facts, flags, policy or time moved on."""
    due = await _due(session, now, most)
    if not due:
        return []
    holder = uuid4()
    free = (col(GateRequestRow.leased_until).is_(None)) | (col(GateRequestRow.leased_until) <= now)
    mine = (
        select(col(GateRequestRow.id))
        .where(col(GateRequestRow.id).in_(due), col(GateRequestRow.state) == "waiting", free)
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(GateRequestRow)
        .where(col(GateRequestRow.id).in_(mine))
        .values(lease=holder, leased_until=now + lease)
        .returning(GateRequestRow)
        .execution_options(synchronize_session=False)
    )
    rows = list(await session.scalars(taken))
    known = {one.id: one for one in await session.scalars(_integrations({row.integration_id for row in rows}))}
    return [(row, known[row.integration_id]) for row in rows]


async def settle(session: AsyncSession, row: GateRequestRow, told: Told, now: datetime) -> bool:
    """Write down how it went; False if the lease ran out and somebody else took it over."""
    held = await session.get(GateRequestRow, row.id, with_for_update=True)
    if held is None or held.lease != row.lease or held.state != "waiting":
        return False
    held.lease = held.leased_until = None
    held.state, held.verdict, held.decision = told.state, told.verdict, told.decision or held.decision
    held.last_status, held.last_error = told.status, told.problem
    if told.marks is not None:
        held.seq, held.activation, held.revision = told.marks
    held.turns_at = told.turns_at
    held.attempts += told.status is not None or told.problem is not None
    if told.note is not None:
        held.note, held.notes, held.noted_at = told.note, held.notes + 1, now
    if told.state != "waiting":
        held.finished_at, held.secret = now, None
    elif told.problem is not None:
        wait = min(_RETRY_FIRST * 2 ** min(held.attempts, 10), _RETRY_MOST)
        held.next_at, held.seq = now + max(wait, told.retry_after or wait), None  # decided anew before it is told
    await session.flush()
    return True


async def forget(session: AsyncSession, now: datetime) -> None:
    """Drop what was answered long ago."""
    await session.execute(_FORGET, {"before": now - _KEPT_FOR})


async def _due(session: AsyncSession, now: datetime, most: int) -> list[UUID]:
    row = GateRequestRow
    query = (
        select(row)
        .join(IntegrationRow, col(IntegrationRow.id) == col(row.integration_id))
        .where(
            col(row.state) == "waiting",
            col(row.next_at) <= now,
            col(IntegrationRow.enabled),
            col(IntegrationRow.kind).in_(FORGES),
            (col(row.leased_until).is_(None)) | (col(row.leased_until) <= now),
        )
        .order_by(col(row.next_at))
        .limit(_LOOKED_AT)
    )
    waiting = list(await session.scalars(query))
    marks = await marks_of(session, {Watched(one.project_id, one.environment) for one in waiting}) if waiting else {}
    return [one.id for one in waiting if _has_moved(one, marks, now)][:most]


def _has_moved(one: GateRequestRow, marks: dict[Watched, Marks], now: datetime) -> bool:
    if one.seq is None or one.activation is None or one.revision is None:
        return True
    if one.expires_at <= now or (one.turns_at is not None and one.turns_at <= now):
        return True
    known = Marks(one.seq, one.activation, one.revision)
    return marks.get(Watched(one.project_id, one.environment)) != known


def _integrations(ids: set[UUID]) -> Any:
    return select(IntegrationRow).where(col(IntegrationRow.id).in_(ids))


_FORGET: Final = text("""
DELETE FROM gate_request WHERE (state <> 'waiting' AND finished_at < :before)
    OR (state = 'waiting' AND expires_at < :before)
""")
