"""Forges that tell nobody what waits there are looked at in turns, each by one server at a time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.adapters.forges.asked import Asked
from greenroom_server.adapters.service_requests import take_in
from greenroom_server.adapters.tables import GateRequestRow, IntegrationRow
from greenroom_server.webhooks.desk import Desk

LOOKED_AT = ("gitlab",)


async def claim_looks(session: AsyncSession, now: datetime, before: datetime) -> list[IntegrationRow]:
    """The forges that nobody has looked at since `before`; their turn is over with that."""
    looked_at = col(IntegrationRow.looked_at)
    query = (
        select(IntegrationRow)
        .where(
            col(IntegrationRow.kind).in_(LOOKED_AT),
            col(IntegrationRow.enabled),
            looked_at.is_(None) | (looked_at <= before),
        )
        .with_for_update(skip_locked=True, key_share=True)
    )
    rows = list(await session.scalars(query))
    for row in rows:
        row.looked_at = now
    await session.flush()
    return rows


async def take_in_list(
    session: AsyncSession, desk: Desk, row: IntegrationRow, listed: Sequence[Asked], now: datetime
) -> None:
    """Put what is new in line; what waited and is not listed any more needs no answer."""
    for asked in listed:
        await take_in(session, desk, row, asked, now, again=False)
    gone = (
        update(GateRequestRow)
        .where(
            col(GateRequestRow.integration_id) == row.id,
            col(GateRequestRow.state) == "waiting",
            col(GateRequestRow.ticket).not_in([asked.ticket for asked in listed]),
        )
        .values(state="gone", finished_at=now, secret=None)
    )
    await session.execute(gone)


async def note_look(session: AsyncSession, row: IntegrationRow, trouble: str | None) -> None:
    """Write down why a look failed, or that it did not."""
    await session.execute(update(IntegrationRow).where(col(IntegrationRow.id) == row.id).values(trouble=trouble))
