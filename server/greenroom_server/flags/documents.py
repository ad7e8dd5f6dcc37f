"""Rows as documents: what authors write, and what SDKs get."""

from datetime import UTC, datetime
from typing import Any, Final

from greenroom_server.flags.place import Configuration, Flag
from greenroom_server.flags.tables import EnvironmentRow, FlagRow, ProjectRow, SegmentRow
from greenroom_server.flags.wire import ConfigurationIn, EnvironmentIn, FlagIn, ProjectIn, SegmentIn
from greenroom_server.flags.work import plain

CONFIGURED: Final = tuple(ConfigurationIn.model_fields)
SERVED_OF_FLAG: Final = ("key", "type", "variants", "client_visible", "track_exposures")


def authored_project(row: ProjectRow) -> ProjectIn:
    return ProjectIn.model_validate(row.model_dump(include=set(ProjectIn.model_fields)))


def authored_environment(row: EnvironmentRow) -> EnvironmentIn:
    return EnvironmentIn.model_validate(row.model_dump(include=set(EnvironmentIn.model_fields)))


def authored_flag(row: FlagRow) -> FlagIn:
    return FlagIn.model_validate(row.model_dump(include=set(FlagIn.model_fields)))


def authored_segment(row: SegmentRow) -> SegmentIn:
    return SegmentIn.model_validate(row.model_dump(include=set(SegmentIn.model_fields)))


def configured(row: Configuration) -> dict[str, Any]:
    """A configuration as its author writes it."""
    return {name: getattr(row, name) for name in CONFIGURED}


def flag_facts(row: FlagRow) -> dict[str, Any]:
    """What a change of a flag can change, for the differences."""
    return {**plain(authored_flag(row)), "archived": row.archived_at is not None}


def flag_document(flag: Flag, configuration: Configuration) -> dict[str, Any]:
    """One flag as a snapshot has it; `version` is the revision at which what it serves last changed."""
    facts = {name: getattr(flag, name) for name in SERVED_OF_FLAG}
    return {**facts, "version": configuration.served_revision, **configured(configuration)}


def segment_document(row: SegmentRow) -> dict[str, Any]:
    """One segment as a snapshot has it."""
    return {"key": row.key, "when": row.when, "version": row.version}


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
