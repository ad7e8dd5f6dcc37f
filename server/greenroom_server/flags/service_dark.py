"""Which flags are dark where, for those who watch that they stay so, and for those who decide on releases."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.database.direct import fetch_all
from greenroom_server.flags.standing import is_dark
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


@dataclass(frozen=True, slots=True)
class Standing:
    """How a flag stands in one environment; `stories` are those that it hides, `revision` when that last changed."""

    flag: str
    stories: tuple[str, ...]
    is_dark: bool
    revision: int


async def standings(
    session: AsyncSession,
    place: tuple[UUID, str],
    keys: Collection[str],
    stories: Collection[str],
    internal_segment: str | None,
) -> list[Standing]:
    """How these flags, and those that hide one of these stories, stand in a place (project id, environment key).

    Archived flags are not served, so nobody knows what their code does: they are not there.
    """
    rows = await fetch_all(session, _STANDINGS, *place, list(keys), list(stories))
    return [
        Standing(
            row["key"],
            tuple(row["stories"]),
            is_dark(Served(*(row[name] for name in SERVED)), internal_segment),
            row["served_revision"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Served:
    """A `Serving`."""

    enabled: bool
    off_variant: str
    rules: list[dict[str, Any]]
    fallthrough: dict[str, Any]


SERVED: Final = ("enabled", "off_variant", "rules", "fallthrough")
_STANDINGS: Final = """
SELECT flag.key, flag.stories, served.enabled, served.off_variant, served.rules, served.fallthrough,
    served.served_revision
FROM flag JOIN flag_configuration served ON served.flag_id = flag.id
JOIN environment ON environment.id = served.environment_id
WHERE flag.project_id = $1 AND environment.key = $2 AND flag.archived_at IS NULL
    AND (flag.key = ANY ($3::text[]) OR flag.stories && $4::text[])
ORDER BY flag.key
"""


async def stories_of(session: AsyncSession, project_id: UUID, flag: str) -> list[str]:
    """The stories that a flag names; none if there is no such flag."""
    query = select(FlagRow).where(col(FlagRow.project_id) == project_id, col(FlagRow.key) == flag)
    row = (await session.scalars(query)).one_or_none()
    return [] if row is None else list(row.stories)


async def live_keys(session: AsyncSession, project_id: UUID) -> list[str]:
    """The keys of the project's flags that are not archived, in order."""
    query = (
        select(col(FlagRow.key))
        .where(col(FlagRow.project_id) == project_id, col(FlagRow.archived_at).is_(None))
        .order_by(col(FlagRow.key))
    )
    return list(await session.scalars(query))
