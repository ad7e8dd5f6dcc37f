"""The verbs on projects and environments."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, select
from sqlmodel import col

from greenroom_server.access.service import revoke_tokens_of
from greenroom_server.errors import Conflict, LimitExceeded
from greenroom_server.flags.documents import authored_environment, authored_project
from greenroom_server.flags.edits import (
    apply_environment,
    apply_project,
    new_environment,
    new_project,
)
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_gate import look
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
from greenroom_server.flags.work import Changes, Out, Outcome, Work, differences, plain

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
    work.principal.require_project_within(wanted.key)
    await require_free_key(work.session, ProjectRow, None, wanted.key)
    row = new_project(wanted, work.now)
    work.session.add(row)
    changes = differences(None, plain(wanted))
    return await _noted(work, row.key, "project.create", project_path(row.key), changes, lambda: project_out(row))


async def update_project(work: Work, key: str, patch: Any) -> Outcome[ProjectOut]:
    """Change what people wrote about the project."""
    row = await get_project(work.session, key, lock=True)
    work.check_version(row.version)
    changes = apply_project(row, patched(ProjectIn, plain(authored_project(row)), patch), work.now)
    return await _noted(work, row.key, "project.update", project_path(row.key), changes, lambda: project_out(row))


async def delete_project(work: Work, key: str) -> Outcome[None]:
    """Delete the project with all it holds; its SDK keys are revoked and its key is buried."""
    row = await get_project(work.session, key, lock=True)
    work.check_version(row.version)
    changes = differences(plain(authored_project(row)), None)
    await (await look(work, row)).settle_end()
    owned = await environments_of(work.session, row)
    await revoke_tokens_of(work.session, [environment.id for environment in owned], work.now)
    bury_key(work, ProjectRow, None, key)
    await work.session.flush()
    await work.session.execute(delete(ProjectRow).where(col(ProjectRow.id) == row.id))
    await work.note(key, "project.delete", project_path(key), changes)
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
    row = new_environment(project.id, others, wanted, work.now)
    work.session.add(row)
    await work.session.flush()
    await _add_dark_configurations(work, project, row)
    changes = differences(None, plain(authored_environment(row)))
    path = environment_path(project.key, row.key)
    return await _noted(work, project.key, "environment.create", path, changes, lambda: environment_out(row))


async def update_environment(work: Work, project_key: str, key: str, patch: Any) -> Outcome[EnvironmentOut]:
    """Change name, tier or place."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_environment(work.session, project, key)
    work.check_version(row.version)
    wanted = patched(EnvironmentIn, plain(authored_environment(row)), patch)
    changes = apply_environment(row, await environments_of(work.session, project), wanted, work.now)
    path = environment_path(project.key, row.key)
    return await _noted(work, project.key, "environment.update", path, changes, lambda: environment_out(row))


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
    changes = differences(plain(authored_environment(row)), None)
    others = [other for other in await environments_of(work.session, project) if other.id != row.id]
    await revoke_tokens_of(work.session, [row.id], work.now)
    bury_key(work, EnvironmentRow, project, key)
    await work.session.flush()
    await work.session.execute(delete(EnvironmentRow).where(col(EnvironmentRow.id) == row.id))
    for position, other in enumerate(others):
        other.position = position
    await work.note(project_key, "environment.delete", environment_path(project_key, key), changes)
    return Outcome(None, changes)


def project_out(row: ProjectRow) -> ProjectOut:
    return ProjectOut(**row.model_dump(exclude={"id"}))


def environment_out(row: EnvironmentRow) -> EnvironmentOut:
    return EnvironmentOut.model_validate(row.model_dump(exclude={"id", "project_id"}))


def project_path(key: str) -> str:
    return f"/api/v1/projects/{key}"


def environment_path(project_key: str, key: str) -> str:
    return f"{project_path(project_key)}/environments/{key}"


async def _add_dark_configurations(work: Work, project: ProjectRow, environment: EnvironmentRow) -> None:
    flags = list(await work.session.scalars(select(FlagRow).where(col(FlagRow.project_id) == project.id)))
    rows = {flag.key: [dark_configuration(flag, environment, work.now)] for flag in flags}
    work.session.add_all(row for of_flag in rows.values() for row in of_flag)
    await publish(work, [environment], flags=rows)


async def _noted(
    work: Work, chain: str, action: str, path: str, changes: Changes, result: Callable[[], Out]
) -> Outcome[Out]:
    await work.session.flush()
    if changes:
        await work.note(chain, action, path, changes)
    return Outcome(result(), changes)
