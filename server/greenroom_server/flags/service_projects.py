"""The verbs on projects and environments."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select
from sqlmodel import col

from greenroom_server.access.service import revoke_tokens_of
from greenroom_server.errors import Conflict, LimitExceeded
from greenroom_server.flags.service_publish import publish
from greenroom_server.flags.service_scope import (
    bury_key,
    environments_of,
    get_environment,
    get_project,
    require_free_key,
)
from greenroom_server.flags.standing import dark_configuration
from greenroom_server.flags.tables import (
    ConfigurationRow,
    EnvironmentRow,
    FlagRow,
    ProjectRow,
)
from greenroom_server.flags.wire import EnvironmentIn, EnvironmentOut, ProjectIn, ProjectOut
from greenroom_server.flags.work import Outcome, Work, differences, patched, plain

MAX_ENVIRONMENTS = 50


async def page_projects(work: Work, *, after: str | None, limit: int) -> list[ProjectOut]:
    """Projects that the caller may see, in the order of their keys."""
    key = col(ProjectRow.key)
    query = select(ProjectRow).order_by(key).limit(limit)
    if after is not None:
        query = query.where(key > after)
    if work.principal.projects is not None:
        query = query.where(key.in_(work.principal.projects))
    return [project_out(row) for row in await work.session.scalars(query)]


async def read_project(work: Work, key: str) -> ProjectOut:
    return project_out(await get_project(work.session, key))


async def create_project(work: Work, wanted: ProjectIn) -> Outcome[ProjectOut]:
    """Raises `Conflict` if the key is taken or buried."""
    work.principal.require_scope(wanted.key, None)
    await require_free_key(work.session, ProjectRow, None, wanted.key)
    row = ProjectRow(id=uuid4(), **wanted.model_dump(), created_at=work.now, updated_at=work.now)
    work.session.add(row)
    await work.session.flush()
    return await _noted_project(work, "project.create", None, row)


async def update_project(work: Work, key: str, patch: Any) -> Outcome[ProjectOut]:
    """Change what people wrote about the project."""
    row = await get_project(work.session, key, lock=True)
    work.check_version(row.version)
    return await replace_project(work, row, patched(ProjectIn, plain(authored_project(row)), patch))


async def replace_project(work: Work, row: ProjectRow, wanted: ProjectIn) -> Outcome[ProjectOut]:
    """Make the project what is wanted. Needs the lock."""
    before = plain(project_out(row))
    row.name, row.description = wanted.name, wanted.description
    return await _noted_project(work, "project.update", before, row)


async def delete_project(work: Work, key: str) -> Outcome[None]:
    """Delete the project with all it holds; its SDK keys are revoked and its key is buried."""
    row = await get_project(work.session, key, lock=True)
    work.check_version(row.version)
    before = plain(project_out(row))
    owned = await environments_of(work.session, row)
    await revoke_tokens_of(work.session, [environment.id for environment in owned], work.now)
    bury_key(work, ProjectRow, None, key)
    await work.session.flush()
    await work.session.execute(delete(ProjectRow).where(col(ProjectRow.id) == row.id))
    changes = differences(before, None)
    await work.note(key, "project.delete", f"/api/v1/projects/{key}", changes)
    return Outcome(None, changes)


async def list_environments(work: Work, project_key: str) -> list[EnvironmentOut]:
    """The project's environments that the caller may see, first stage first."""
    project = await get_project(work.session, project_key)
    rows = await environments_of(work.session, project)
    return [environment_out(row) for row in rows if work.principal.sees_environment(row.key)]


async def read_environment(work: Work, project_key: str, key: str) -> EnvironmentOut:
    project = await get_project(work.session, project_key)
    return environment_out(await get_environment(work.session, project, key))


async def create_environment(work: Work, project_key: str, wanted: EnvironmentIn) -> Outcome[EnvironmentOut]:
    """A new environment, in which every flag of the project is dark."""
    project = await get_project(work.session, project_key, lock=True)
    work.principal.require_scope(None, wanted.key)
    others = await environments_of(work.session, project)
    if len(others) >= MAX_ENVIRONMENTS:
        raise LimitExceeded("environments_per_project", MAX_ENVIRONMENTS)
    await require_free_key(work.session, EnvironmentRow, project, wanted.key)
    row = EnvironmentRow(
        id=uuid4(),
        project_id=project.id,
        **wanted.model_dump(exclude={"position"}),
        position=len(others),
        published_at=work.now,
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(row)
    _arrange(others, row, len(others) if wanted.position is None else wanted.position)
    await work.session.flush()
    await _add_dark_configurations(work, project.id, row)
    return await _noted_environment(work, project, "environment.create", None, row)


async def update_environment(work: Work, project_key: str, key: str, patch: Any) -> Outcome[EnvironmentOut]:
    """Change name, tier or place."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_environment(work.session, project, key)
    work.check_version(row.version)
    return await replace_environment(
        work, project, row, patched(EnvironmentIn, plain(authored_environment(row)), patch)
    )


async def replace_environment(
    work: Work, project: ProjectRow, row: EnvironmentRow, wanted: EnvironmentIn
) -> Outcome[EnvironmentOut]:
    """Make the environment what is wanted. Needs the project's lock."""
    before = plain(environment_out(row))
    row.name, row.tier, row.production_like = wanted.name, wanted.tier, wanted.production_like
    if wanted.position is not None and wanted.position != row.position:
        others = [other for other in await environments_of(work.session, project) if other.id != row.id]
        _arrange(others, row, wanted.position)
    return await _noted_environment(work, project, "environment.update", before, row)


async def delete_environment(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete the environment with its configurations; its SDK keys are revoked and its key is buried.

    Raises `Conflict` while a flag is on there: switching it off is a decision of its own.
    """
    project = await get_project(work.session, project_key, lock=True)
    row = await get_environment(work.session, project, key)
    work.check_version(row.version)
    enabled = (
        select(col(FlagRow.key))
        .join(ConfigurationRow, col(ConfigurationRow.flag_id) == col(FlagRow.id))
        .where(
            col(ConfigurationRow.environment_id) == row.id,
            col(ConfigurationRow.enabled),
            col(FlagRow.archived_at).is_(None),
        )
        .limit(1)
    )
    flag_key = (await work.session.scalars(enabled)).first()
    if flag_key is not None:
        raise Conflict(f"flag `{flag_key}` is on in `{key}`: switch the flags off first", code="environment_in_use")
    before = plain(environment_out(row))
    others = [other for other in await environments_of(work.session, project) if other.id != row.id]
    await revoke_tokens_of(work.session, [row.id], work.now)
    bury_key(work, EnvironmentRow, project, key)
    await work.session.flush()
    await work.session.execute(delete(EnvironmentRow).where(col(EnvironmentRow.id) == row.id))
    for position, other in enumerate(others):
        other.position = position
    changes = differences(before, None)
    await work.note(project_key, "environment.delete", environment_path(project_key, key), changes)
    return Outcome(None, changes)


def authored_project(row: ProjectRow) -> ProjectIn:
    return ProjectIn.model_validate(row.model_dump(include=set(ProjectIn.model_fields)))


def authored_environment(row: EnvironmentRow) -> EnvironmentIn:
    return EnvironmentIn.model_validate(row.model_dump(include=set(EnvironmentIn.model_fields)))


def project_out(row: ProjectRow) -> ProjectOut:
    return ProjectOut(**row.model_dump(exclude={"id"}))


def environment_out(row: EnvironmentRow) -> EnvironmentOut:
    return EnvironmentOut.model_validate(row.model_dump(exclude={"id", "project_id"}))


def environment_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/environments/{key}"


def _arrange(others: Sequence[EnvironmentRow], row: EnvironmentRow, position: int) -> None:
    """Put `row` at `position` among the others, which keep their order."""
    order = list(others)
    order.insert(min(position, len(order)), row)
    for place, environment in enumerate(order):
        environment.position = place


async def _add_dark_configurations(work: Work, project_id: UUID, environment: EnvironmentRow) -> None:
    flags = list(await work.session.scalars(select(FlagRow).where(col(FlagRow.project_id) == project_id)))
    for flag in flags:
        work.session.add(dark_configuration(flag, environment, work.now))
    await work.session.flush()
    if flags:
        await publish(work, [environment], flag_keys=[flag.key for flag in flags])


async def _noted_project(
    work: Work, action: str, before: dict[str, Any] | None, row: ProjectRow
) -> Outcome[ProjectOut]:
    changes = differences(before, plain(project_out(row)))
    if changes and before is not None:
        row.version, row.updated_at = row.version + 1, work.now
    await work.session.flush()
    if changes:
        await work.note(row.key, action, f"/api/v1/projects/{row.key}", changes)
    return Outcome(project_out(row), changes)


async def _noted_environment(
    work: Work, project: ProjectRow, action: str, before: dict[str, Any] | None, row: EnvironmentRow
) -> Outcome[EnvironmentOut]:
    changes = differences(before, plain(environment_out(row)))
    if changes and before is not None:
        row.version, row.updated_at = row.version + 1, work.now
    await work.session.flush()
    if changes:
        await work.note(project.key, action, environment_path(project.key, row.key), changes)
    return Outcome(environment_out(row), changes)
