"""Rows as documents: what authors write, and what SDKs get."""

from datetime import UTC, datetime
from typing import Any

from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow, SegmentRow
from greenroom_server.flags.wire import ConfigurationIn, EnvironmentIn, FlagIn, ProjectIn, SegmentIn
from greenroom_server.flags.work import plain

_CONFIGURED = tuple(ConfigurationIn.model_fields)


def authored_project(row: ProjectRow) -> ProjectIn:
    return ProjectIn.model_validate(row.model_dump(include=set(ProjectIn.model_fields)))


def authored_environment(row: EnvironmentRow) -> EnvironmentIn:
    return EnvironmentIn.model_validate(row.model_dump(include=set(EnvironmentIn.model_fields)))


def authored_flag(row: FlagRow) -> FlagIn:
    return FlagIn.model_validate(row.model_dump(include=set(FlagIn.model_fields)))


def authored_segment(row: SegmentRow) -> SegmentIn:
    return SegmentIn.model_validate(row.model_dump(include=set(SegmentIn.model_fields)))


def configured(row: ConfigurationRow) -> dict[str, Any]:
    """A configuration as its author writes it."""
    return {name: getattr(row, name) for name in _CONFIGURED}


def flag_facts(row: FlagRow) -> dict[str, Any]:
    """What a change of a flag can change, for the differences."""
    return {**plain(authored_flag(row)), "archived": row.archived_at is not None}


def flag_document(flag: FlagRow, configuration: ConfigurationRow) -> dict[str, Any]:
    """One flag as a snapshot has it; `version` is the revision at which what it serves last changed."""
    return {
        "key": flag.key,
        "type": flag.type,
        "variants": flag.variants,
        "client_visible": flag.client_visible,
        "track_exposures": flag.track_exposures,
        "version": configuration.served_revision,
        "enabled": configuration.enabled,
        "off_variant": configuration.off_variant,
        "prerequisites": configuration.prerequisites,
        "rules": configuration.rules,
        "fallthrough": configuration.fallthrough,
    }


def segment_document(row: SegmentRow) -> dict[str, Any]:
    """One segment as a snapshot has it."""
    return {"key": row.key, "when": row.when, "version": row.version}


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
