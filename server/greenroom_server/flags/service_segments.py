"""The verbs on segments: conditions with a name, shared by the flags of a project."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlmodel import col

from greenroom.evaluation import limits
from greenroom_server.errors import LimitExceeded
from greenroom_server.flags.checks import check_condition_of
from greenroom_server.flags.documents import authored_segment
from greenroom_server.flags.edits import apply_segment, new_segment
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_gate import look
from greenroom_server.flags.service_publish import publish
from greenroom_server.flags.service_references import check_segment_references, lit_uses_of_segment
from greenroom_server.flags.service_scope import (
    bury_key,
    environments_of,
    get_project,
    get_segment,
    require_free_key,
)
from greenroom_server.flags.service_uses import require_unused_segment
from greenroom_server.flags.tables import ProjectRow, SegmentRow
from greenroom_server.flags.wire import SegmentIn, SegmentOut
from greenroom_server.flags.work import Changes, Outcome, Verdict, Work, differences, plain, require_environments
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
    row = new_segment(project.id, wanted, work.now)
    work.session.add(row)
    await work.session.flush()
    await check_segment_references(work, project, row)
    await publish(work, await environments_of(work.session, project), segment_keys=[row.key])
    return await _noted(work, project, row, "segment.create", differences(None, plain(wanted)))


async def update_segment(work: Work, project_key: str, key: str, patch: Any) -> Outcome[SegmentOut]:
    """Change the segment; every flag that uses it follows at once."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_segment(work.session, project, key)
    work.check_version(row.version)
    wanted = patched(SegmentIn, plain(authored_segment(row)), patch)
    check_condition_of(wanted.when)
    seen = await look(work, project)
    before, bytes_before = row.when, row.document_bytes
    changes = apply_segment(row, wanted, work.now)
    if write_json(row.when) != write_json(before):
        served_in = [environment for environment, _ in await lit_uses_of_segment(work, project, row.key)]
        require_environments(work, served_in, "a flag that is on uses this segment in")
        await check_segment_references(work, project, row)
        await publish(
            work,
            await environments_of(work.session, project),
            segment_keys=[row.key],
            may_grow=row.document_bytes > bytes_before,
        )
    return await _noted(work, project, row, "segment.update", changes, await seen.settle())


async def delete_segment(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete a segment that nothing uses; its key is buried."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_segment(work.session, project, key)
    work.check_version(row.version)
    await require_unused_segment(work, project, key)
    changes = differences(plain(authored_segment(row)), None)
    bury_key(work, SegmentRow, project, key)
    await work.session.flush()
    await work.session.execute(delete(SegmentRow).where(col(SegmentRow.id) == row.id))
    await publish(work, await environments_of(work.session, project), segment_keys=[key], may_grow=False)
    await work.note(project_key, "segment.delete", segment_path(project_key, key), changes)
    return Outcome(None, changes)


def segment_out(row: SegmentRow) -> SegmentOut:
    return SegmentOut(**row.model_dump(exclude={"id", "project_id", "document_bytes"}))


def segment_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/segments/{key}"


async def _noted(
    work: Work,
    project: ProjectRow,
    row: SegmentRow,
    action: str,
    changes: Changes,
    verdicts: Sequence[Verdict] = (),
) -> Outcome[SegmentOut]:
    await work.session.flush()
    if changes:
        await work.note(project.key, action, segment_path(project.key, row.key), changes)
    return Outcome(segment_out(row), changes, verdicts)
