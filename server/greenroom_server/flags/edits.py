"""Changes on rows in memory: new rows, and rows made to be what is wanted. Nothing is asked of the store here.

Every `apply_…` answers the differences, and moves the version only if there are any.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from greenroom_server.flags.documents import (
    authored_environment,
    authored_project,
    authored_segment,
    configured,
    flag_facts,
    segment_document,
)
from greenroom_server.flags.place import Configuration, Flag
from greenroom_server.flags.standing import derive
from greenroom_server.flags.tables import EnvironmentRow, FlagRow, ProjectRow, SegmentRow
from greenroom_server.flags.wire import ConfigurationIn, EnvironmentIn, FlagIn, ProjectIn, SegmentIn
from greenroom_server.flags.work import Changes, differences, plain
from greenroom_server.web.codec import write_json

Versioned = ProjectRow | EnvironmentRow | FlagRow | Configuration | SegmentRow


def new_project(wanted: ProjectIn, now: datetime) -> ProjectRow:
    return ProjectRow(id=uuid4(), **wanted.model_dump(), created_at=now, updated_at=now)


def apply_project(row: ProjectRow, wanted: ProjectIn, now: datetime) -> Changes:
    before = plain(authored_project(row))
    row.name, row.description = wanted.name, wanted.description
    return _moved(row, differences(before, plain(authored_project(row))), now)


def new_environment(
    project_id: UUID, others: Sequence[EnvironmentRow], wanted: EnvironmentIn, now: datetime
) -> EnvironmentRow:
    """The new environment, put in its place among the others."""
    row = EnvironmentRow(
        id=uuid4(),
        project_id=project_id,
        **wanted.model_dump(exclude={"position"}),
        position=len(others),
        published_at=now,
        created_at=now,
        updated_at=now,
    )
    if wanted.position is not None:
        arrange(others, row, wanted.position)
    return row


def apply_environment(
    row: EnvironmentRow, others: Sequence[EnvironmentRow], wanted: EnvironmentIn, now: datetime
) -> Changes:
    before = plain(authored_environment(row))
    row.name, row.tier, row.production_like = wanted.name, wanted.tier, wanted.production_like
    if wanted.position is not None and wanted.position != row.position:
        arrange(others, row, wanted.position)
    return _moved(row, differences(before, plain(authored_environment(row))), now)


def arrange(others: Sequence[EnvironmentRow], row: EnvironmentRow, position: int) -> None:
    """Put `row` at `position` among the others, which keep their order."""
    order = [other for other in others if other.id != row.id]
    order.insert(min(position, len(order)), row)
    for place, environment in enumerate(order):
        environment.position = place


def new_flag(project_id: UUID, wanted: FlagIn, variants: dict[str, Any], now: datetime) -> FlagRow:
    return FlagRow(id=uuid4(), project_id=project_id, **_columns(wanted, variants), created_at=now, updated_at=now)


def apply_flag(row: FlagRow, wanted: FlagIn, variants: dict[str, Any], now: datetime) -> Changes:
    before = flag_facts(row)
    for name, value in _columns(wanted, variants).items():
        setattr(row, name, value)
    return _moved(row, differences(before, flag_facts(row)), now)


def set_archived(row: FlagRow, is_archived: bool, now: datetime) -> Changes:
    before = flag_facts(row)
    if is_archived != (row.archived_at is not None):
        row.archived_at = now if is_archived else None
    return _moved(row, differences(before, flag_facts(row)), now)


def apply_configuration(flag: Flag, row: Configuration, wanted: ConfigurationIn, now: datetime) -> Changes:
    before = configured(row)
    changes = differences(before, wanted.model_dump())
    if changes:
        for name, value in wanted.model_dump().items():
            setattr(row, name, value)
        derive(flag, row)
    return _moved(row, changes, now)


def new_segment(project_id: UUID, wanted: SegmentIn, now: datetime) -> SegmentRow:
    row = SegmentRow(
        id=uuid4(), project_id=project_id, **wanted.model_dump(), document_bytes=0, created_at=now, updated_at=now
    )
    _measure(row)
    return row


def apply_segment(row: SegmentRow, wanted: SegmentIn, now: datetime) -> Changes:
    before = plain(authored_segment(row))
    row.name, row.description, row.when = wanted.name, wanted.description, wanted.when
    changes = _moved(row, differences(before, plain(authored_segment(row))), now)
    _measure(row)
    return changes


def _measure(row: SegmentRow) -> None:
    row.document_bytes = len(write_json(segment_document(row))) + len(row.key) + 4


def _columns(wanted: FlagIn, variants: dict[str, Any]) -> dict[str, Any]:
    """The members of `FlagIn` as columns; `FlagDocument` has more members, which are none."""
    columns = wanted.model_dump(include=set(FlagIn.model_fields))
    return {**columns, "variants": variants}


def _moved(row: Versioned, changes: Changes, now: datetime) -> Changes:
    if changes:
        row.version, row.updated_at = row.version + 1, now
    return changes
