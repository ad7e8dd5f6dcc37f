"""Whose turn it is to be asked, and what was answered: each source by one server at a time, once for each turn.

A server claims a guardrail with a lease and asks its source with no session open. If it dies in between, the lease
runs out and another one asks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.audit.service import Event, record
from greenroom_server.flags.service_projects import project_path
from greenroom_server.flags.work import Changes
from greenroom_server.guardrails.definitions import terms_of
from greenroom_server.guardrails.judging import Reading, Verdict, judge
from greenroom_server.guardrails.service_verdicts import Step, readings_of
from greenroom_server.guardrails.service_views import USED_FOR, live_uses
from greenroom_server.guardrails.tables import GuardrailReadingRow, GuardrailRow

ACTOR: Final = "greenroom:guardrails"
LEASE: Final = timedelta(seconds=15)
# Of one guardrail: enough for the longest `for_s` at the shortest interval, several steps beside each other.
KEPT: Final = 5_000
KEPT_FOR: Final = timedelta(days=7)
_COUNTED_AT_ONCE: Final = 5
_FLUSHED_EVERY: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Claim:
    """A guardrail that is to be asked by whoever holds the lease; `since` are the moments that sources count from."""

    row: GuardrailRow
    lease: UUID
    at: datetime
    since: Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Answered:
    """A reading, and the moment that its source counted from, if it counts."""

    reading: Reading
    counted_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """That a step asked for a guardrail."""

    guardrail_id: UUID
    step: Step
    asked_at: datetime


async def store_time(session: AsyncSession) -> datetime:
    """What time it is, for all servers alike: a server whose clock is wrong neither asks nor judges by it."""
    found: datetime = (await session.execute(_CLOCK)).scalar_one()
    return found


async def note_uses(session: AsyncSession, uses: Collection[Use]) -> None:
    """Remember which steps run, so that what watches them is asked. A guardrail that is gone is passed over."""
    for use in sorted(uses, key=lambda one: (one.guardrail_id, one.step.release_id, one.step.environment)):
        step = use.step
        values = {
            "guardrail": use.guardrail_id,
            "release_id": step.release_id,
            "environment": step.environment,
            "release": step.release,
            "step": step.step,
            "since": step.since,
            "asked_at": use.asked_at,
            "enough": use.asked_at - _FLUSHED_EVERY,
        }
        await session.execute(_USE, values)


async def claim(session: AsyncSession, free: int, now: datetime) -> list[Claim]:
    """Take what is due: guardrails that are always on, and those of running steps."""
    lease = uuid4()
    values = {"now": now, "until": now + LEASE, "used_since": now - USED_FOR, "lease": lease, "free": free}
    ids = [row.id for row in await session.execute(_CLAIM, values)]
    if not ids:
        return []
    rows = await session.scalars(select(GuardrailRow).where(col(GuardrailRow.id).in_(ids)))
    return [Claim(row, lease, now, await _counted_from(session, row, now)) for row in rows]


async def settle(session: AsyncSession, claimed: Claim, answers: Sequence[Answered], now: datetime) -> bool:
    """Keep what was answered; False if the lease ran out, or the guardrail was changed meanwhile."""
    query = select(GuardrailRow).where(col(GuardrailRow.id) == claimed.row.id).with_for_update(key_share=True)
    row = (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()
    if row is None or row.lease != claimed.lease:
        return False
    row.lease = row.leased_until = None
    interval = timedelta(seconds=row.interval_s)
    row.next_at = row.next_at + interval if row.next_at + interval > now else now + interval
    await keep(session, row, answers, now)
    return True


async def keep(session: AsyncSession, row: GuardrailRow, answers: Sequence[Answered], now: datetime) -> None:
    """Add readings, and tell if the guardrail trips now, or does not any more. Wants the row locked."""
    for one in answers:
        reading = one.reading
        session.add(
            GuardrailReadingRow(
                id=uuid4(),
                guardrail_id=row.id,
                at=reading.at,
                counted_since=one.counted_since,
                state=reading.state,
                why=reading.why,
                data_at=reading.data_at,
                value=reading.value,
            )
        )
    await session.flush()
    verdicts = [await _standing(session, row, one.counted_since, now) for one in answers]
    tripped = [one for one in verdicts if one.is_tripped]
    if tripped and not row.is_tripped:
        row.is_tripped, row.tripped_at = True, now
        await _tell(session, row, "guardrail.tripped", tripped[0].reason, now)
    elif row.is_tripped and verdicts and all(one.outcome == "ok" for one in verdicts):
        row.is_tripped, row.tripped_at = False, None
        await _tell(session, row, "guardrail.recovered", verdicts[0].reason, now)
    await session.flush()


async def prune(session: AsyncSession, now: datetime) -> None:
    """Forget old readings, those past the bound, uses of long ago, messages and alerts that are over."""
    for statement in _PRUNE:
        values = {"before": now - KEPT_FOR, "kept": KEPT, "yesterday": now - timedelta(days=1)}
        await session.execute(statement, {name: values[name] for name in statement.compile().params})


async def _standing(session: AsyncSession, row: GuardrailRow, counted_since: datetime | None, now: datetime) -> Verdict:
    """How it stands by itself, whatever step asks."""
    since = counted_since or row.watched_since
    readings = await readings_of(session, row, since, now)
    return judge(terms_of(row), readings, max(since, row.watched_since), now)


async def _tell(session: AsyncSession, row: GuardrailRow, action: str, reason: str, now: datetime) -> None:
    target = f"{project_path(row.project)}/guardrails/{row.key}"
    changes: Changes = [
        {"path": "/is_tripped", "op": "replace", "from": not row.is_tripped, "to": row.is_tripped},
        {"path": "/reason", "op": "add", "to": reason},
        {"path": "/action", "op": "add", "to": row.action},
    ]
    await session.flush()
    await record(session, Event(row.project, ACTOR, action, target, changes), now)


async def _counted_from(session: AsyncSession, row: GuardrailRow, now: datetime) -> list[datetime]:
    if row.source["kind"] != "outcomes":
        return []
    moments = {use.since for use in await live_uses(session, row.id, now)}
    newest = sorted(moments, reverse=True)[:_COUNTED_AT_ONCE]
    return newest or [row.watched_since]


_CLOCK: Final = text("SELECT clock_timestamp()")
_USE: Final = text("""
INSERT INTO guardrail_use AS known (guardrail_id, release_id, environment, release, step, since, asked_at)
SELECT id, :release_id, :environment, :release, :step, :since, :asked_at
FROM guardrail WHERE id = :guardrail FOR KEY SHARE
ON CONFLICT (guardrail_id, release_id, environment) DO UPDATE
SET release = excluded.release, step = excluded.step, since = excluded.since, asked_at = excluded.asked_at
WHERE known.asked_at < :enough OR known.since <> excluded.since OR known.step <> excluded.step
""")
_CLAIM: Final = text("""
WITH due AS MATERIALIZED (
    SELECT id FROM guardrail
    WHERE next_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
        AND (always_on OR EXISTS (
            SELECT FROM guardrail_use WHERE guardrail_id = guardrail.id AND asked_at > :used_since
        ))
    ORDER BY next_at LIMIT :free FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE guardrail SET lease = :lease, leased_until = :until FROM due WHERE guardrail.id = due.id
RETURNING guardrail.id
""")
_PRUNE: Final = (
    text("DELETE FROM guardrail_reading WHERE at < :before"),
    text("""
DELETE FROM guardrail_reading WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY guardrail_id ORDER BY at DESC) AS place FROM guardrail_reading
    ) placed WHERE place > :kept
)
"""),
    text("DELETE FROM guardrail_use WHERE asked_at < :yesterday"),
    text("DELETE FROM guardrail_message WHERE received_at < :yesterday"),
    text("DELETE FROM guardrail_alert WHERE NOT is_firing AND heard_at < :yesterday"),
)
