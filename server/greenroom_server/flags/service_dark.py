"""Which flags are dark where, for those who watch that they stay so."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow


@dataclass(frozen=True, slots=True)
class DarkFlag:
    """A flag that gives everybody its dark variant in an environment, at least since `since`."""

    project: str
    environment_id: UUID
    environment: str
    flag: str
    off_variant: str
    since: datetime


async def dark_flags(
    session: AsyncSession, environment_ids: Collection[UUID], flags: Collection[str]
) -> list[DarkFlag]:
    """Those of the flags, by key, that are dark in one of the environments; archived ones are not served at all."""
    query = (
        select(
            col(ProjectRow.key),
            col(EnvironmentRow.id),
            col(EnvironmentRow.key),
            col(FlagRow.key),
            col(ConfigurationRow.off_variant),
            col(ConfigurationRow.updated_at),
        )
        .join_from(ConfigurationRow, EnvironmentRow, col(EnvironmentRow.id) == col(ConfigurationRow.environment_id))
        .join(FlagRow, col(FlagRow.id) == col(ConfigurationRow.flag_id))
        .join(ProjectRow, col(ProjectRow.id) == col(FlagRow.project_id))
        .where(
            col(ConfigurationRow.environment_id).in_(environment_ids),
            col(FlagRow.key).in_(flags),
            col(FlagRow.archived_at).is_(None),
            col(ConfigurationRow.reach) == "none",
        )
    )
    return [DarkFlag(*row) for row in await session.execute(query)]


async def live_keys(session: AsyncSession, project_id: UUID) -> list[str]:
    """The keys of the project's flags that are not archived, in order."""
    query = (
        select(col(FlagRow.key))
        .where(col(FlagRow.project_id) == project_id, col(FlagRow.archived_at).is_(None))
        .order_by(col(FlagRow.key))
    )
    return list(await session.scalars(query))
