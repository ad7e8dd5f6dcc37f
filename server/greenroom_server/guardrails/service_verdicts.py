"""What a running step is told: quick, from what is stored already, and never waiting for a network."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.guardrails.definitions import terms_of
from greenroom_server.guardrails.judging import Reading, Verdict, judge, sharpest
from greenroom_server.guardrails.tables import GuardrailReadingRow, GuardrailRow

NOBODY: Final = Verdict("ok", "no guardrail watches this step")


class Step(Protocol):
    """A step that people are being served, as the room above tells of it.

    `since` is when it took effect; `guardrails` are those that the release's plan names.
    """

    @property
    def project_id(self) -> UUID: ...
    @property
    def environment(self) -> str: ...
    @property
    def release_id(self) -> UUID: ...
    @property
    def release(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def since(self) -> datetime: ...
    @property
    def flags(self) -> Collection[str]: ...
    @property
    def guardrails(self) -> Collection[str]: ...


def watches(row: GuardrailRow, step: Step) -> bool:
    """Whether the plan names it, or its limits let the step in. Of flags and releases one that fits is enough."""
    if row.key in step.guardrails:
        return True
    if row.environments is not None and step.environment not in row.environments:
        return False
    if row.flags is None and row.releases is None:
        return True
    return step.release in (row.releases or ()) or not set(step.flags).isdisjoint(row.flags or ())


async def watchers(session: AsyncSession, step: Step) -> list[GuardrailRow]:
    """The guardrails that watch the step."""
    query = select(GuardrailRow).where(col(GuardrailRow.project_id) == step.project_id)
    return [row for row in await session.scalars(query.order_by(col(GuardrailRow.key))) if watches(row, step)]


async def verdict_for(session: AsyncSession, watching: Collection[GuardrailRow], step: Step, now: datetime) -> Verdict:
    """The worst of what they say; one that the plan names and that is not there holds the step."""
    found = [(row.key, await judged(session, row, step.since, now)) for row in watching]
    missing = set(step.guardrails) - {row.key for row in watching}
    found += [(key, Verdict("hold", "there is no such guardrail")) for key in missing]
    return sharpest(found) or NOBODY


async def judged(session: AsyncSession, row: GuardrailRow, since: datetime, now: datetime) -> Verdict:
    """What it says of a step that began then."""
    return judge(terms_of(row), await readings_of(session, row, since, now), since, now)


async def readings_of(session: AsyncSession, row: GuardrailRow, since: datetime, now: datetime) -> list[Reading]:
    """Those that count: of this source, of the step's time, and young enough to matter."""
    terms = terms_of(row)
    begin = max(since, row.watched_since, now - terms.trips_for - 3 * terms.max_age)
    query = select(GuardrailReadingRow).where(
        col(GuardrailReadingRow.guardrail_id) == row.id, col(GuardrailReadingRow.at) >= begin
    )
    if row.source["kind"] == "outcomes":
        query = query.where(col(GuardrailReadingRow.counted_since) == since)
    return [
        Reading(one.at, one.state, one.why, one.data_at, one.value)  # type: ignore[arg-type]
        for one in await session.scalars(query.order_by(col(GuardrailReadingRow.at)))
    ]
