"""The verbs on segments: conditions with a name, shared by the flags of a project."""

from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlmodel import col

from greenroom.evaluation import limits
from greenroom_server.errors import LimitExceeded
from greenroom_server.flags.checks import check_condition_of
from greenroom_server.flags.service_publish import publish, segment_document
from greenroom_server.flags.service_references import check_project_references, require_unused_segment, uses_of_segment
from greenroom_server.flags.service_scope import (
    bury_key,
    configurations_of,
    environments_of,
    get_flag,
    get_project,
    get_segment,
    require_free_key,
)
from greenroom_server.flags.tables import EnvironmentRow, ProjectRow, SegmentRow
from greenroom_server.flags.wire import SegmentIn, SegmentOut
from greenroom_server.flags.work import Outcome, Work, differences, patched, plain, require_environments
from greenroom_server.web.codec import write_json


async def page_segments(work: Work, project_key: str, *, after: str | None, limit: int) -> list[SegmentOut]:
    """Segments in the order of their keys."""
    project = await get_project(work.session, project_key)
    key = col(SegmentRow.key)
    query = select(SegmentRow).where(col(SegmentRow.project_id) == project.id).order_by(key).limit(limit)
    if after is not None:
        query = query.where(key > after)
    return [segment_out(row) for row in await work.session.scalars(query)]


async def read_segment(work: Work, project_key: str, key: str) -> SegmentOut:
    project = await get_project(work.session, project_key)
    return segment_out(await get_segment(work.session, project, key))


async def create_segment(work: Work, project_key: str, wanted: SegmentIn) -> Outcome[SegmentOut]:
    """A new segment; it is in every environment's snapshot from now on."""
    project = await get_project(work.session, project_key, lock=True)
    check_condition_of(wanted.when)
    await require_free_key(work.session, SegmentRow, project, wanted.key)
    count = select(func.count()).where(col(SegmentRow.project_id) == project.id)
    if (await work.session.execute(count)).scalar_one() >= limits.MAX_SEGMENTS:
        raise LimitExceeded("segments_per_project", limits.MAX_SEGMENTS)
    row = SegmentRow(
        id=uuid4(),
        project_id=project.id,
        **wanted.model_dump(),
        document_bytes=0,
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(row)
    await _publish(work, project, row)
    return await _noted(work, project, "segment.create", None, row)


async def update_segment(work: Work, project_key: str, key: str, patch: Any) -> Outcome[SegmentOut]:
    """Change the segment; every flag that uses it follows at once."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_segment(work.session, project, key)
    work.check_version(row.version)
    return await replace_segment(work, project, row, patched(SegmentIn, plain(authored_segment(row)), patch))


async def replace_segment(work: Work, project: ProjectRow, row: SegmentRow, wanted: SegmentIn) -> Outcome[SegmentOut]:
    """Make the segment what is wanted. Needs the project's lock."""
    check_condition_of(wanted.when)
    before = plain(segment_out(row))
    is_served_anew = row.when != wanted.when
    if is_served_anew:
        served_in = await _environments_served(work, project, row.key)
        require_environments(work, served_in, "a flag that is on uses this segment in")
    row.name, row.description, row.when = wanted.name, wanted.description, wanted.when
    if differences(before, plain(segment_out(row))):
        row.version, row.updated_at = row.version + 1, work.now
    if is_served_anew:
        await _publish(work, project, row)
    return await _noted(work, project, "segment.update", before, row)


async def delete_segment(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete a segment that nothing uses; its key is buried."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_segment(work.session, project, key)
    work.check_version(row.version)
    await require_unused_segment(work, project, key)
    changes = differences(plain(segment_out(row)), None)
    bury_key(work, SegmentRow, project, key)
    await work.session.flush()
    await work.session.execute(delete(SegmentRow).where(col(SegmentRow.id) == row.id))
    await publish(work, await environments_of(work.session, project), segment_keys=[key])
    await work.note(project_key, "segment.delete", segment_path(project_key, key), changes)
    return Outcome(None, changes)


def segment_out(row: SegmentRow) -> SegmentOut:
    return SegmentOut(**row.model_dump(exclude={"id", "project_id", "document_bytes"}))


def authored_segment(row: SegmentRow) -> SegmentIn:
    """The segment as its author writes it."""
    return SegmentIn.model_validate(row.model_dump(include=set(SegmentIn.model_fields)))


def segment_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/segments/{key}"


async def _publish(work: Work, project: ProjectRow, row: SegmentRow) -> None:
    row.document_bytes = len(write_json(segment_document(row))) + len(row.key) + 4
    await work.session.flush()
    await check_project_references(work, project)
    await publish(work, await environments_of(work.session, project), segment_keys=[row.key])


async def _environments_served(work: Work, project: ProjectRow, key: str) -> list[EnvironmentRow]:
    """The environments in which a flag that is on uses the segment, directly or through another segment."""
    environments = {row.key: row for row in await environments_of(work.session, project)}
    served: dict[str, EnvironmentRow] = {}
    pending, seen = [key], {key}
    while pending:
        for use in await uses_of_segment(work, project.key, pending.pop()):
            if use.segment is not None and use.segment not in seen:
                seen.add(use.segment)
                pending.append(use.segment)
            elif use.flag is not None and use.environment is not None:
                environment = environments[use.environment]
                flag = await get_flag(work.session, project, use.flag)
                rows = await configurations_of(work.session, [flag.id])
                if any(row.enabled for row in rows if row.environment_id == environment.id):
                    served[environment.key] = environment
    return list(served.values())


async def _noted(
    work: Work, project: ProjectRow, action: str, before: dict[str, Any] | None, row: SegmentRow
) -> Outcome[SegmentOut]:
    await work.session.flush()
    changes = differences(before, plain(segment_out(row)))
    if changes:
        await work.note(project.key, action, segment_path(project.key, row.key), changes)
    return Outcome(segment_out(row), changes)
