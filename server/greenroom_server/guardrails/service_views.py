"""Guardrails as people see them: what each said last, which steps it watches, and what these are told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.errors import NotFound
from greenroom_server.flags.service_scope import get_project
from greenroom_server.flags.work import Work
from greenroom_server.guardrails.definitions import AUTHORED
from greenroom_server.guardrails.judging import Reading
from greenroom_server.guardrails.service_verdicts import judged
from greenroom_server.guardrails.tables import GuardrailReadingRow, GuardrailRow, GuardrailUseRow
from greenroom_server.guardrails.wire import GuardrailDetailOut, GuardrailOut, ReadingOut, WatchedStepOut

# A step that did not ask for so long does not run any more.
USED_FOR: Final = timedelta(seconds=60)
_SHOWN: Final = 50


async def read_guardrail(work: Work, project_key: str, key: str) -> GuardrailDetailOut:
    """The guardrail, the steps that it watches and what they are told now, and its newest readings."""
    row = await get_guardrail(work.session, await get_project(work.session, project_key), key)
    readings = await _readings(work.session, row.id)
    out = await guardrail_out(work, row, readings[0] if readings else None)
    steps = [await _step_out(work, row, use) for use in await live_uses(work.session, row.id, work.now)]
    return GuardrailDetailOut(**out.model_dump(), steps=steps, readings=[reading_out(one) for one in readings])


async def get_guardrail(session: AsyncSession, project: Any, key: str, *, lock: bool = False) -> GuardrailRow:
    """The guardrail of this key; raises `NotFound`."""
    query = select(GuardrailRow).where(col(GuardrailRow.project_id) == project.id, col(GuardrailRow.key) == key)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    row: GuardrailRow | None = (await session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound(f"there is no guardrail `{key}` in project `{project.key}`")
    return row


async def guardrail_out(work: Work, row: GuardrailRow, last: GuardrailReadingRow | None) -> GuardrailOut:
    is_sampled = row.always_on or bool(await live_uses(work.session, row.id, work.now))
    same = {name: getattr(row, name) for name in (*AUTHORED, *_SAME)}
    shown = None if last is None else reading_out(last)
    return GuardrailOut.model_validate(
        {**same, "has_secret": row.secret is not None, "is_sampled": is_sampled, "last_reading": shown}
    )


async def newest_readings(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, GuardrailReadingRow]:
    """The newest reading of each, if it has any."""
    rows = await session.scalars(select(GuardrailReadingRow).from_statement(_NEWEST), {"ids": list(ids)})
    return {row.guardrail_id: row for row in rows}


async def live_uses(session: AsyncSession, guardrail_id: UUID, now: datetime) -> list[GuardrailUseRow]:
    """The running steps that it watches."""
    query = select(GuardrailUseRow).where(
        col(GuardrailUseRow.guardrail_id) == guardrail_id, col(GuardrailUseRow.asked_at) > now - USED_FOR
    )
    order = (col(GuardrailUseRow.since).desc(), col(GuardrailUseRow.release), col(GuardrailUseRow.environment))
    return list(await session.scalars(query.order_by(*order)))


def reading_out(one: GuardrailReadingRow | Reading) -> ReadingOut:
    value = None if one.value is None or abs(one.value) == float("inf") else one.value
    return ReadingOut.model_validate(
        {"at": one.at, "state": one.state, "value": value, "why": one.why, "data_at": one.data_at}
    )


async def _step_out(work: Work, row: GuardrailRow, use: GuardrailUseRow) -> WatchedStepOut:
    verdict = await judged(work.session, row, use.since, work.now)
    members: dict[str, Any] = {
        name: getattr(use, name) for name in ("release", "environment", "step", "since", "asked_at")
    }
    return WatchedStepOut(**members, outcome=verdict.outcome, reason=verdict.reason)


async def _readings(session: AsyncSession, guardrail_id: UUID) -> list[GuardrailReadingRow]:
    query = select(GuardrailReadingRow).where(col(GuardrailReadingRow.guardrail_id) == guardrail_id)
    return list(await session.scalars(query.order_by(col(GuardrailReadingRow.at).desc()).limit(_SHOWN)))


_SAME: Final = ("is_tripped", "tripped_at", "version", "created_at", "updated_at")
_NEWEST: Final = text("""
SELECT newest.* FROM unnest(CAST(:ids AS uuid[])) AS wanted (id) CROSS JOIN LATERAL (
    SELECT * FROM guardrail_reading WHERE guardrail_id = wanted.id ORDER BY at DESC LIMIT 1
) newest
""")
