"""Finding rows by the keys that users know. Whoever may not see a thing was told `NotFound` before it gets here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.errors import Conflict, NotFound
from greenroom_server.flags.tables import (
    ConfigurationRow,
    EnvironmentRow,
    FlagRow,
    ProjectRow,
    SegmentRow,
    TombstoneRow,
)
from greenroom_server.flags.work import Work

# Built once: these run with every switch of a flag.
_PROJECT: Final = select(ProjectRow).where(col(ProjectRow.key) == bindparam("key"))
# Whoever adds a row that points to the project need not wait for the writers of its flags.
_LOCKED_PROJECT: Final = _PROJECT.with_for_update(key_share=True).execution_options(populate_existing=True)
_PLACE: Final = (
    select(EnvironmentRow, FlagRow, ConfigurationRow)
    .join(ConfigurationRow, col(ConfigurationRow.environment_id) == col(EnvironmentRow.id))
    .join(FlagRow, col(FlagRow.id) == col(ConfigurationRow.flag_id))
    .where(
        col(EnvironmentRow.project_id) == bindparam("project_id"),
        col(EnvironmentRow.key) == bindparam("environment"),
        col(FlagRow.project_id) == bindparam("project_id"),
        col(FlagRow.key) == bindparam("flag"),
    )
)


async def get_project(session: AsyncSession, key: str, *, lock: bool = False) -> ProjectRow:
    """The project; with `lock`, no other writer of this project runs until the transaction ends."""
    query = _LOCKED_PROJECT if lock else _PROJECT
    row = (await session.scalars(query, {"key": key})).one_or_none()
    if row is None:
        raise NotFound(f"there is no project `{key}`")
    return row


async def environments_of(session: AsyncSession, project: ProjectRow) -> list[EnvironmentRow]:
    """The project's environments, first stage first."""
    query = (
        select(EnvironmentRow)
        .where(col(EnvironmentRow.project_id) == project.id)
        .order_by(col(EnvironmentRow.position), col(EnvironmentRow.key))
    )
    return list(await session.scalars(query))


async def get_environment(session: AsyncSession, project: ProjectRow, key: str) -> EnvironmentRow:
    row: EnvironmentRow = await _by_key(session, EnvironmentRow, project, key)
    return row


async def get_flag(session: AsyncSession, project: ProjectRow, key: str) -> FlagRow:
    row: FlagRow = await _by_key(session, FlagRow, project, key)
    return row


async def get_segment(session: AsyncSession, project: ProjectRow, key: str) -> SegmentRow:
    row: SegmentRow = await _by_key(session, SegmentRow, project, key)
    return row


async def configurations_of(session: AsyncSession, flag_ids: Iterable[UUID]) -> list[ConfigurationRow]:
    query = select(ConfigurationRow).where(col(ConfigurationRow.flag_id).in_(list(flag_ids)))
    return list(await session.scalars(query))


async def find_place(
    session: AsyncSession, project: ProjectRow, environment_key: str, key: str
) -> tuple[EnvironmentRow, FlagRow, ConfigurationRow]:
    """The rows behind a configuration's path; raises `NotFound` naming what is not there."""
    names = {"project_id": project.id, "environment": environment_key, "flag": key}
    found = (await session.execute(_PLACE, names)).one_or_none()
    if found is None:
        await get_environment(session, project, environment_key)
        await get_flag(session, project, key)
        raise NotFound(f"flag `{key}` has no configuration in `{environment_key}`")
    return found


@dataclass(frozen=True, slots=True)
class Stock:
    """All that a project holds, for verbs that reach over all of it. `configurations` by flag id and environment id."""

    project: ProjectRow
    environments: list[EnvironmentRow]
    flags: dict[str, FlagRow]
    segments: dict[str, SegmentRow]
    configurations: dict[tuple[UUID, UUID], ConfigurationRow]

    def configuration(self, flag: FlagRow, environment: EnvironmentRow) -> ConfigurationRow:
        return self.configurations[flag.id, environment.id]


async def stock_of(session: AsyncSession, project: ProjectRow) -> Stock:
    """The project's whole contents, archived flags too; flags and segments in the order of their keys."""
    flags = select(FlagRow).where(col(FlagRow.project_id) == project.id).order_by(col(FlagRow.key))
    segments = select(SegmentRow).where(col(SegmentRow.project_id) == project.id).order_by(col(SegmentRow.key))
    configurations = (
        select(ConfigurationRow)
        .join(EnvironmentRow, col(EnvironmentRow.id) == col(ConfigurationRow.environment_id))
        .where(col(EnvironmentRow.project_id) == project.id)
    )
    return Stock(
        project,
        await environments_of(session, project),
        {row.key: row for row in await session.scalars(flags)},
        {row.key: row for row in await session.scalars(segments)},
        {(row.flag_id, row.environment_id): row for row in await session.scalars(configurations)},
    )


async def find_environment_id(session: AsyncSession, project_key: str, environment_key: str) -> UUID | None:
    """The environment's id, or None (`access.service.EnvironmentFinder`)."""
    query = (
        select(col(EnvironmentRow.id))
        .join(ProjectRow, col(ProjectRow.id) == col(EnvironmentRow.project_id))
        .where(col(ProjectRow.key) == project_key, col(EnvironmentRow.key) == environment_key)
    )
    found: UUID | None = (await session.scalars(query)).one_or_none()
    return found


async def require_free_key(session: AsyncSession, row: type[Any], project: ProjectRow | None, key: str) -> None:
    """Raises `Conflict` if the key is taken, or was once and is buried for ever."""
    noun = _NOUNS[row]
    query = select(column(row, "id")).where(column(row, "key") == key)
    if project is not None:
        query = query.where(column(row, "project_id") == project.id)
    if (await session.scalars(query)).first() is not None:
        raise Conflict(f"there is a {noun} `{key}` already", code="key_taken")
    if key in await buried_among(session, row, project, [key]):
        raise buried(row, key)


async def buried_among(
    session: AsyncSession, row: type[Any], project: ProjectRow | None, keys: Iterable[str]
) -> set[str]:
    """Which of the keys are buried."""
    query = select(col(TombstoneRow.key)).where(
        col(TombstoneRow.scope) == _scope(project),
        col(TombstoneRow.kind) == _NOUNS[row],
        col(TombstoneRow.key).in_(list(keys)),
    )
    return set(await session.scalars(query))


def buried(row: type[Any], key: str) -> Conflict:
    """What is said about a buried key."""
    return Conflict(
        f"the key `{key}` belonged to a {_NOUNS[row]} that was deleted, and old code may still ask for it: "
        "it is never given out again",
        code="key_buried",
    )


def bury_key(work: Work, row: type[Any], project: ProjectRow | None, key: str) -> None:
    """Keep the key of a deleted thing from ever being used again."""
    work.session.add(
        TombstoneRow(
            scope=_scope(project), kind=_NOUNS[row], key=key, deleted_at=work.now, deleted_by=work.principal.actor
        )
    )


def column(row: type[Any], name: str) -> Any:
    """A mapped column, as the type checker cannot know it: on the class a SQLModel field is a column."""
    return getattr(row, name)


async def _by_key(session: AsyncSession, row: type[Any], project: ProjectRow, key: str) -> Any:
    query = select(row).where(column(row, "project_id") == project.id, column(row, "key") == key)
    found = (await session.scalars(query)).one_or_none()
    if found is None:
        raise NotFound(f"there is no {_NOUNS[row]} `{key}` in project `{project.key}`")
    return found


def _scope(project: ProjectRow | None) -> str:
    return "" if project is None else str(project.id)


_NOUNS: dict[type[Any], str] = {
    ProjectRow: "project",
    EnvironmentRow: "environment",
    FlagRow: "flag",
    SegmentRow: "segment",
}
