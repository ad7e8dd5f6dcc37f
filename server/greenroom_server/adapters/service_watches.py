"""Since when a controller that asks again and again has been asking for the same thing."""

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import case, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.adapters.tables import GateRequestRow, IntegrationRow


async def open_watch(session: AsyncSession, row: IntegrationRow, ticket: str, now: datetime) -> datetime:
    """Since when a controller has been asking for this; from now on, if it never did or was answered."""
    anew = insert(GateRequestRow).values(
        id=uuid4(),
        integration_id=row.id,
        project_id=row.project_id,
        ticket=ticket,
        service=row.service,
        environment="",
        reply={},
        state="waiting",
        notes=0,
        attempts=0,
        next_at=now,
        created_at=now,
        expires_at=now + timedelta(seconds=row.patience_s),
    )
    asking = anew.on_conflict_do_update(
        index_elements=["integration_id", "ticket"],
        set_={
            "created_at": case((col(GateRequestRow.state) == "waiting", col(GateRequestRow.created_at)), else_=now),
            "state": "waiting",
            "finished_at": None,
        },
    )
    since: datetime = (await session.execute(asking.returning(col(GateRequestRow.created_at)))).scalar_one()
    return since


async def close_watch(session: AsyncSession, row: IntegrationRow, ticket: str, now: datetime) -> None:
    """The controller was answered; if it asks again, that is another matter."""
    answered = (
        update(GateRequestRow)
        .where(col(GateRequestRow.integration_id) == row.id, col(GateRequestRow.ticket) == ticket)
        .values(state="answered", finished_at=now)
    )
    await session.execute(answered)
