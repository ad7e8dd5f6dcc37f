"""Flags as people read them: one, or a page of those that fit a filter, with how each stands in the environments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlmodel import col

from greenroom_server.flags.service_scope import column, environments_of, get_flag, get_project
from greenroom_server.flags.standing import flags_with_lifecycle
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow
from greenroom_server.flags.wire import FlagOut
from greenroom_server.flags.work import Work


@dataclass(frozen=True, slots=True)
class FlagFilter:
    """Which flags to list; None takes all. `text` looks into key, name and description."""

    tags: tuple[str, ...] = ()
    purpose: str | None = None
    owner: str | None = None
    lifecycle: str | None = None
    text: str | None = None


async def page_flags(
    work: Work, project_key: str, wanted: FlagFilter, *, after: str | None, limit: int
) -> list[FlagOut]:
    """Flags in the order of their keys. Archived ones only when `lifecycle` asks for them."""
    project = await get_project(work.session, project_key)
    query, lifecycle = flags_with_lifecycle(work.now.date())
    key = col(FlagRow.key)
    query = query.where(col(FlagRow.project_id) == project.id).order_by(key).limit(limit)
    if after is not None:
        query = query.where(key > after)
    if wanted.lifecycle is not None:
        query = query.where(lifecycle == wanted.lifecycle)
    else:
        query = query.where(col(FlagRow.archived_at).is_(None))
    for name in ("purpose", "owner"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(column(FlagRow, name) == value)
    if wanted.tags:
        query = query.where(col(FlagRow.tags).contains(list(wanted.tags)))
    if wanted.text:
        sought = func.lower(wanted.text)  # by the store, as what it is compared with
        query = query.where(
            or_(
                *(func.strpos(func.lower(column(FlagRow, name)), sought) > 0 for name in ("key", "name", "description"))
            )
        )
    rows = [(row, stage) for row, stage in (await work.session.execute(query))]
    return await _outs(work, project, rows)


async def read_flag(work: Work, project_key: str, key: str) -> FlagOut:
    project = await get_project(work.session, project_key)
    return await flag_out(work, project, await get_flag(work.session, project, key))


async def flag_out(work: Work, project: ProjectRow, flag: FlagRow) -> FlagOut:
    await work.session.flush()
    query, _ = flags_with_lifecycle(work.now.date())
    row = (await work.session.execute(query.where(col(FlagRow.id) == flag.id))).one()
    return (await _outs(work, project, [(row[0], row[1])]))[0]


async def _outs(work: Work, project: ProjectRow, rows: Sequence[tuple[FlagRow, str]]) -> list[FlagOut]:
    environments = await environments_of(work.session, project)
    columns = (
        col(ConfigurationRow.flag_id),
        col(ConfigurationRow.environment_id),
        col(ConfigurationRow.enabled),
        col(ConfigurationRow.reach),
        col(ConfigurationRow.version),
    )
    found = await work.session.execute(
        select(*columns).where(col(ConfigurationRow.flag_id).in_([flag.id for flag, _ in rows]))
    )
    standings = {(row.flag_id, row.environment_id): row for row in found}
    return [_out(work, flag, stage, environments, standings) for flag, stage in rows]


def _out(
    work: Work,
    flag: FlagRow,
    lifecycle: str,
    environments: Sequence[EnvironmentRow],
    standings: Mapping[Any, Any],
) -> FlagOut:
    shown = [
        {"environment": environment.key, "enabled": row.enabled, "reach": row.reach, "version": row.version}
        for environment in environments
        if work.principal.sees_environment(environment.key)
        and (row := standings.get((flag.id, environment.id))) is not None
    ]
    columns = flag.model_dump(exclude={"id", "project_id"})
    return FlagOut.model_validate({**columns, "lifecycle": lifecycle, "environments": shown})
