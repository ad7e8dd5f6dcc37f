"""The verbs on flags: what a flag is in all environments alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, or_
from sqlmodel import col

from greenroom_server.errors import Conflict, FieldError, Invalid
from greenroom_server.flags.checks import check_configuration_of, checked_variants
from greenroom_server.flags.service_publish import publish
from greenroom_server.flags.service_references import check_project_references, require_unused_flag
from greenroom_server.flags.service_scope import (
    bury_key,
    column,
    configurations_of,
    environments_of,
    get_flag,
    get_project,
    require_free_key,
)
from greenroom_server.flags.standing import dark_configuration, derive, flags_with_lifecycle
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow
from greenroom_server.flags.wire import ConfigurationIn, FlagIn, FlagOut
from greenroom_server.flags.work import Outcome, Work, differences, patched, plain, require_environments


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
        sought = wanted.text.lower()
        query = query.where(
            or_(
                *(func.strpos(func.lower(column(FlagRow, name)), sought) > 0 for name in ("key", "name", "description"))
            )
        )
    rows = [(row, stage) for row, stage in (await work.session.execute(query)).tuples()]
    return await _outs(work, project, rows)


async def read_flag(work: Work, project_key: str, key: str) -> FlagOut:
    project = await get_project(work.session, project_key)
    return await flag_out(work, project, await get_flag(work.session, project, key))


async def create_flag(work: Work, project_key: str, wanted: FlagIn) -> Outcome[FlagOut]:
    """A new flag, dark in every environment."""
    project = await get_project(work.session, project_key, lock=True)
    variants = checked_variants(wanted)
    await require_free_key(work.session, FlagRow, project, wanted.key)
    flag = FlagRow(
        id=uuid4(),
        project_id=project.id,
        **{**_columns(wanted), "variants": variants},
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(flag)
    await work.session.flush()
    environments = await environments_of(work.session, project)
    for environment in environments:
        work.session.add(dark_configuration(flag, environment, work.now))
    await work.session.flush()
    await publish(work, environments, flag_keys=[flag.key])
    return await _noted(work, project, "flag.create", None, flag)


async def update_flag(work: Work, project_key: str, key: str, patch: Any) -> Outcome[FlagOut]:
    """Change what the flag is. Its key and type stay: applications ask for them."""
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version(flag.version)
    return await replace_flag(work, project, flag, patched(FlagIn, plain(authored_flag(flag)), patch))


async def replace_flag(work: Work, project: ProjectRow, flag: FlagRow, wanted: FlagIn) -> Outcome[FlagOut]:
    """Make the flag what is wanted. Needs the project's lock."""
    if wanted.type != flag.type:
        raise Invalid(errors=[FieldError("/type", "a flag's type stays: applications ask for it")])
    if flag.archived_at is not None:
        raise Conflict(f"flag `{flag.key}` is archived: restore it first", code="archived")
    before = plain(await flag_out(work, project, flag))
    served_before = _served(flag)
    for name, value in {**_columns(wanted), "variants": checked_variants(wanted)}.items():
        setattr(flag, name, value)
    if _served(flag) != served_before:
        await _publish_everywhere(work, project, flag, "this changes what is served in")
    return await _noted(work, project, "flag.update", before, flag)


async def archive_flag(work: Work, project_key: str, key: str) -> Outcome[FlagOut]:
    """Take the flag out of every snapshot: applications get their default. Archiving twice changes nothing."""
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version_if_named(flag.version)
    before = plain(await flag_out(work, project, flag))
    if flag.archived_at is None:
        await require_unused_flag(work, project, key)
        await _require_enabled_ones(work, project, flag, "this ends what is served in")
        flag.archived_at = work.now
        await work.session.flush()
        await publish(work, await environments_of(work.session, project), flag_keys=[key])
    return await _noted(work, project, "flag.archive", before, flag)


async def restore_flag(work: Work, project_key: str, key: str) -> Outcome[FlagOut]:
    """Bring an archived flag back, configured as it was."""
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version_if_named(flag.version)
    before = plain(await flag_out(work, project, flag))
    if flag.archived_at is not None:
        flag.archived_at = None
        await work.session.flush()
        await _publish_everywhere(work, project, flag, "this starts serving in")
        await check_project_references(work, project)
    return await _noted(work, project, "flag.restore", before, flag)


async def delete_flag(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete an archived flag for good; its key is buried. Raises `Conflict` while it is not archived."""
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version(flag.version)
    if flag.archived_at is None:
        raise Conflict(f"archive flag `{key}` before deleting it", code="not_archived")
    changes = differences(plain(await flag_out(work, project, flag)), None)
    bury_key(work, FlagRow, project, key)
    await work.session.flush()
    await work.session.execute(delete(FlagRow).where(col(FlagRow.id) == flag.id))
    await work.note(project_key, "flag.delete", flag_path(project_key, key), changes)
    return Outcome(None, changes)


async def flag_out(work: Work, project: ProjectRow, flag: FlagRow) -> FlagOut:
    await work.session.flush()
    query, _ = flags_with_lifecycle(work.now.date())
    row = (await work.session.execute(query.where(col(FlagRow.id) == flag.id))).tuples().one()
    return (await _outs(work, project, [(row[0], row[1])]))[0]


def authored_flag(flag: FlagRow) -> FlagIn:
    """The flag as its author writes it."""
    return FlagIn.model_validate(flag.model_dump(include=set(FlagIn.model_fields)))


def flag_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/flags/{key}"


async def _outs(work: Work, project: ProjectRow, rows: Sequence[tuple[FlagRow, str]]) -> list[FlagOut]:
    environments = await environments_of(work.session, project)
    standings: dict[Any, ConfigurationRow] = {
        (row.flag_id, row.environment_id): row
        for row in await configurations_of(work.session, [flag.id for flag, _ in rows])
    }
    return [_out(work, flag, stage, environments, standings) for flag, stage in rows]


def _out(
    work: Work,
    flag: FlagRow,
    lifecycle: str,
    environments: Sequence[EnvironmentRow],
    standings: dict[Any, ConfigurationRow],
) -> FlagOut:
    shown = [
        {"environment": environment.key, "enabled": row.enabled, "reach": row.reach, "version": row.version}
        for environment in environments
        if work.principal.sees_environment(environment.key)
        and (row := standings.get((flag.id, environment.id))) is not None
    ]
    columns = flag.model_dump(exclude={"id", "project_id"})
    return FlagOut.model_validate({**columns, "lifecycle": lifecycle, "environments": shown})


def _columns(wanted: FlagIn) -> dict[str, Any]:
    """The members of `FlagIn` as columns; `FlagDocument` has more members, which are none."""
    columns = wanted.model_dump(include=set(FlagIn.model_fields))
    columns["links"] = [link.model_dump() for link in wanted.links]
    return columns


def _served(flag: FlagRow) -> tuple[Any, ...]:
    return (repr(flag.variants), flag.client_visible, flag.track_exposures)


async def _publish_everywhere(work: Work, project: ProjectRow, flag: FlagRow, why: str) -> None:
    """Check the flag's configurations against what the flag is now, and publish them all."""
    await _require_enabled_ones(work, project, flag, why)
    environments = await environments_of(work.session, project)
    rows = {row.environment_id: row for row in await configurations_of(work.session, [flag.id])}
    for environment in environments:
        row = rows[environment.id]
        try:
            check_configuration_of(ConfigurationIn.model_validate(configured(row)), flag.type, flag.variants)
        except Invalid as error:
            raise Invalid(
                errors=[
                    FieldError("/variants", f"the configuration in `{environment.key}` does not fit: {wrong.detail}")
                    for wrong in error.errors
                ]
            ) from None
        derive(flag, row)
    await work.session.flush()
    await publish(work, environments, flag_keys=[flag.key])
    await check_project_references(work, project)


async def _require_enabled_ones(work: Work, project: ProjectRow, flag: FlagRow, why: str) -> None:
    enabled = {row.environment_id for row in await configurations_of(work.session, [flag.id]) if row.enabled}
    environments = await environments_of(work.session, project)
    require_environments(work, [environment for environment in environments if environment.id in enabled], why)


def configured(row: ConfigurationRow) -> dict[str, Any]:
    """A configuration as its author writes it."""
    return row.model_dump(include=set(ConfigurationIn.model_fields))


async def _noted(
    work: Work, project: ProjectRow, action: str, before: dict[str, Any] | None, flag: FlagRow
) -> Outcome[FlagOut]:
    after = await flag_out(work, project, flag)
    changes = differences(before, plain(after))
    if changes:
        if before is not None:
            flag.version, flag.updated_at = flag.version + 1, work.now
            after = await flag_out(work, project, flag)
        await work.note(project.key, action, flag_path(project.key, flag.key), changes)
    return Outcome(after, changes)
