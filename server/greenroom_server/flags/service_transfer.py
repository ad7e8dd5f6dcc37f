"""Between environments and between installations: compare, copy, export, import."""

from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

from sqlalchemy import select
from sqlmodel import col

from greenroom_server.errors import FieldError, Forbidden, Invalid, NotFound
from greenroom_server.flags.checks import check_condition_of
from greenroom_server.flags.service_batch import finish
from greenroom_server.flags.service_configurations import configuration_path, find_place, replace_configuration
from greenroom_server.flags.service_flags import (
    archive_flag,
    authored_flag,
    configured,
    create_flag,
    replace_flag,
    restore_flag,
)
from greenroom_server.flags.service_projects import (
    authored_environment,
    authored_project,
    create_environment,
    create_project,
    environment_path,
    replace_environment,
    replace_project,
)
from greenroom_server.flags.service_scope import (
    configurations_of,
    environments_of,
    get_environment,
    get_project,
)
from greenroom_server.flags.service_segments import authored_segment, create_segment, replace_segment
from greenroom_server.flags.tables import FlagRow, ProjectRow, SegmentRow
from greenroom_server.flags.wire import (
    ConfigurationIn,
    CopyIn,
    FlagDifference,
    FlagDocument,
    ProjectDocument,
    SegmentIn,
)
from greenroom_server.flags.work import Outcome, Work, differences

Changes = list[dict[str, Any]]
ThingT = TypeVar("ThingT", SegmentIn, FlagDocument)


async def compare_environments(work: Work, project_key: str, source: str, target: str) -> list[FlagDifference]:
    """The flags whose configuration differs, with what would change in `target` if `source`'s were copied."""
    project = await get_project(work.session, project_key)
    ids = []
    for key in (source, target):
        work.principal.require_scope(None, key)
        ids.append((await get_environment(work.session, project, key)).id)
    found = []
    for flag in await _flags(work, project):
        if flag.archived_at is not None:
            continue
        rows = {row.environment_id: configured(row) for row in await configurations_of(work.session, [flag.id])}
        changes = differences(rows[ids[1]], rows[ids[0]])
        if changes:
            found.append(FlagDifference(flag=flag.key, differences=changes))
    return found


async def copy_configurations(
    work: Work, project_key: str, target: str, wanted: CopyIn
) -> Outcome[list[FlagDifference]]:
    """Make the flags in `target` be served as in the source. All are copied or none."""
    project = await get_project(work.session, project_key, lock=True)
    work.principal.require_scope(None, wanted.from_)
    await get_environment(work.session, project, wanted.from_)
    keys = wanted.flags
    if keys is None:
        keys = [flag.key for flag in await _flags(work, project) if flag.archived_at is None]
    copied: list[FlagDifference] = []
    changes: Changes = []
    batched = work.batched()
    for key in keys:
        source = await find_place(work, project_key, wanted.from_, key)
        place = await find_place(work, project_key, target, key)
        document = configured(source[3])
        if not wanted.include_enabled:
            document["enabled"] = place[3].enabled
        configuration = ConfigurationIn.model_validate(document)
        outcome = await replace_configuration(batched, place, configuration, "configuration.copy")
        if outcome.changes:
            copied.append(FlagDifference(flag=key, differences=list(outcome.changes)))
            changes += _under(configuration_path(project_key, target, key), outcome.changes)
    await finish(batched, project)
    if changes:
        path = environment_path(project_key, target)
        await work.note(project_key, "environment.copy", path, changes)
    return Outcome(copied, changes)


async def export_project(work: Work, project_key: str) -> ProjectDocument:
    """The whole project; importing it elsewhere gives the same project."""
    if work.principal.environments is not None:
        raise Forbidden("an export holds every environment, and this token is limited to some")
    project = await get_project(work.session, project_key)
    environments = await environments_of(work.session, project)
    keys = {environment.id: environment.key for environment in environments}
    order = list(keys)
    segments = select(SegmentRow).where(col(SegmentRow.project_id) == project.id)
    flags = []
    for flag in await _flags(work, project):
        rows = sorted(await configurations_of(work.session, [flag.id]), key=lambda row: order.index(row.environment_id))
        flags.append(
            FlagDocument(
                **dict(authored_flag(flag)),
                archived=flag.archived_at is not None,
                configurations={
                    keys[row.environment_id]: ConfigurationIn.model_validate(configured(row)) for row in rows
                },
            )
        )
    return ProjectDocument(
        format="greenroom.project/1",
        project=authored_project(project),
        environments=[authored_environment(environment) for environment in environments],
        segments=[authored_segment(row) for row in await work.session.scalars(segments.order_by(col(SegmentRow.key)))],
        flags=flags,
    )


async def import_project(work: Work, document: ProjectDocument) -> Outcome[ProjectDocument]:
    """Create or change what the document names; what it does not name stays. All is done or nothing."""
    if work.principal.environments is not None:
        raise Forbidden("an import reaches every environment, and this token is limited to some")
    key = document.project.key
    batched = work.batched()
    changes = await _import_project(batched, document)
    for environment in document.environments:
        changes += await _import_environment(batched, key, environment)
    changes += await _import_segments(batched, key, document.segments)
    for flag in document.flags:
        changes += await _import_flag(batched, key, flag)
    # Configurations come after all flags: their prerequisites may name any flag of the document.
    ordered = _prerequisites_first(document.flags)
    for flag in ordered:
        changes += await _import_configurations(batched, key, flag)
    for flag in reversed(ordered):
        if flag.archived:
            changes += _under(f"/flags/{flag.key}", (await archive_flag(batched, key, flag.key)).changes)
    await finish(batched, await get_project(work.session, key))
    if changes:
        await work.note(key, "project.import", f"/api/v1/projects/{key}", changes)
    return Outcome(await export_project(work, key), changes)


async def _import_project(work: Work, document: ProjectDocument) -> Changes:
    wanted = document.project
    work.principal.require_scope(wanted.key, None)
    try:
        row = await get_project(work.session, wanted.key, lock=True)
    except NotFound:
        return _under("/project", (await create_project(work, wanted)).changes)
    return _under("/project", (await replace_project(work, row, wanted)).changes)


async def _import_environment(work: Work, project_key: str, wanted: Any) -> Changes:
    project = await get_project(work.session, project_key)
    row = next((row for row in await environments_of(work.session, project) if row.key == wanted.key), None)
    if row is None:
        outcome = await create_environment(work, project_key, wanted)
    else:
        outcome = await replace_environment(work, project, row, wanted)
    return _under(f"/environments/{wanted.key}", outcome.changes)


async def _import_segments(work: Work, project_key: str, segments: list[SegmentIn]) -> Changes:
    project = await get_project(work.session, project_key)
    query = select(SegmentRow).where(col(SegmentRow.project_id) == project.id)
    rows = {row.key: row for row in await work.session.scalars(query)}
    changes: Changes = []
    for wanted in _referenced_first(segments):
        check_condition_of(wanted.when, f"/segments/{wanted.key}/when")
        if wanted.key in rows:
            outcome = await replace_segment(work, project, rows[wanted.key], wanted)
        else:
            outcome = await create_segment(work, project_key, wanted)
        changes += _under(f"/segments/{wanted.key}", outcome.changes)
    return changes


async def _import_flag(work: Work, project_key: str, wanted: FlagDocument) -> Changes:
    project = await get_project(work.session, project_key)
    query = select(FlagRow).where(col(FlagRow.project_id) == project.id, col(FlagRow.key) == wanted.key)
    row = (await work.session.scalars(query)).one_or_none()
    changes: Changes = []
    if row is None:
        outcome = await create_flag(work, project_key, wanted)
    else:
        if row.archived_at is not None:
            changes += _under(f"/flags/{wanted.key}", (await restore_flag(work, project_key, wanted.key)).changes)
        outcome = await replace_flag(work, project, row, wanted)
    return changes + _under(f"/flags/{wanted.key}", outcome.changes)


async def _import_configurations(work: Work, project_key: str, wanted: FlagDocument) -> Changes:
    changes: Changes = []
    for environment_key, configuration in wanted.configurations.items():
        place = await find_place(work, project_key, environment_key, wanted.key)
        outcome = await replace_configuration(work, place, configuration, "configuration.import")
        changes += _under(f"/flags/{wanted.key}/configurations/{environment_key}", outcome.changes)
    return changes


async def _flags(work: Work, project: ProjectRow) -> list[FlagRow]:
    query = select(FlagRow).where(col(FlagRow.project_id) == project.id).order_by(col(FlagRow.key))
    return list(await work.session.scalars(query))


def _under(path: str, changes: Any) -> Changes:
    return [{**change, "path": path + change["path"]} for change in changes]


def _referenced_first(segments: list[SegmentIn]) -> list[SegmentIn]:
    """Segments that others name come before those."""
    return _in_order({one.key: one for one in segments}, {one.key: _segments_in(one.when) for one in segments})


def _prerequisites_first(flags: list[FlagDocument]) -> list[FlagDocument]:
    """Flags that others have as prerequisites come before those."""
    needs = {
        flag.key: [
            str(prerequisite.get("flag"))
            for configuration in flag.configurations.values()
            for prerequisite in configuration.prerequisites
        ]
        for flag in flags
    }
    return _in_order({flag.key: flag for flag in flags}, needs)


def _in_order(things: dict[str, ThingT], needs: dict[str, list[str]]) -> list[ThingT]:
    try:
        return [things[key] for key in TopologicalSorter(needs).static_order() if key in things]
    except CycleError as error:
        circle = " -> ".join(f"`{key}`" for key in error.args[1])
        raise Invalid(errors=[FieldError("", f"these name each other in a circle: {circle}")]) from None


def _segments_in(condition: Any) -> list[str]:
    if isinstance(condition, dict):
        named = [condition["segment"]] if isinstance(condition.get("segment"), str) else []
        return named + [key for part in condition.values() for key in _segments_in(part)]
    if isinstance(condition, list):
        return [key for part in condition for key in _segments_in(part)]
    return []
