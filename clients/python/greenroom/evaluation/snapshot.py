"""A snapshot: all flags and segments of one environment at one revision, read, linked and ready to evaluate.

A flag or segment that cannot be used takes nothing else down: it is listed in `warnings`, a flag that needs it
answers `PARSE_ERROR`, and all others work.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from greenroom.evaluation import limits
from greenroom.evaluation.findings import Place, shown
from greenroom.evaluation.link import link_flags, segment_errors, touched_flags, uses_clock
from greenroom.evaluation.model import Evaluation, Flag, Segment
from greenroom.evaluation.parse import read_flag, read_segment
from greenroom.evaluation.shapes import read_integer, read_text

Program = Callable[[Any, int], Evaluation]
"""An evaluation function made for one flag: `program(context, now_ms)`."""

Bulk = tuple[list[Evaluation], list[tuple[int, Program]]]
"""The evaluations of all flags in order, right already where they never vary; (index, program) of the others."""


class SnapshotError(ValueError):
    """a snapshot or a change cannot be used"""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Which environment, and which state of it."""

    project: str
    environment: str
    epoch: str
    revision: int
    published_at: str


class Snapshot:
    """Immutable, but for `programs`, `constants` and `bulk`: flags are compiled at their first use and kept.

    `flags`, in the order of their keys, are as they are usable here: one that names an unknown segment or stands too
    deep in prerequisites is unusable although it could be read.
    """

    __slots__ = (
        "_read_flags",
        "bulk",
        "constants",
        "environment",
        "epoch",
        "flags",
        "is_clock_dependent",
        "programs",
        "project",
        "published_at",
        "revision",
        "segments",
        "warnings",
    )

    def __init__(
        self,
        envelope: Envelope,
        flags: Mapping[str, Flag],
        segments: Mapping[str, Segment],
        previous: "Snapshot | None" = None,
    ) -> None:
        self.project: Final = envelope.project
        self.environment: Final = envelope.environment
        self.epoch: Final = envelope.epoch
        self.revision: Final = envelope.revision
        self.published_at: Final = envelope.published_at
        self._read_flags: Final = flags
        errors = segment_errors(segments)
        before: Mapping[str, Flag] = {} if previous is None else previous.flags
        linked = link_flags(flags, segments, errors, before)
        self.flags: Final[Mapping[str, Flag]] = MappingProxyType(linked)
        self.segments: Final[Mapping[str, Segment]] = MappingProxyType(dict(segments))
        self.warnings: Final[tuple[str, ...]] = tuple(
            [f"segment `{key}`: {errors[key]}" for key in sorted(errors)]
            + [f"flag `{key}`: {flag.error}" for key, flag in linked.items() if flag.error is not None]
        )
        self.is_clock_dependent: Final = uses_clock(linked, segments)
        self.programs: Final[dict[str, Program]] = {} if previous is None else self._programs_of(previous)
        constants = {} if previous is None else dict(previous.constants)
        self.constants: Final[dict[str, Evaluation]] = {
            key: made for key, made in constants.items() if key in self.programs
        }
        self.bulk: Bulk | None = None

    def _programs_of(self, previous: "Snapshot") -> dict[str, Program]:
        changed = {
            key
            for key in self.segments.keys() | previous.segments.keys()
            if self.segments.get(key) is not previous.segments.get(key)
        }
        touched = touched_flags(self.flags, previous.flags, self.segments, changed)
        programs = dict(previous.programs)  # copied first: other threads may be adding to the original
        return {key: program for key, program in programs.items() if key in self.flags and key not in touched}

    def with_change(self, change: Mapping[str, Any]) -> "Snapshot":
        """The snapshot after a change set; flags that it does not touch keep their evaluations and programs.

        Raises SnapshotError, and leaves this one as it is, if the change is malformed, is of another environment or
        epoch, or does not begin at this revision.
        """
        where, start = _read_change(change)
        here = (self.project, self.environment, self.epoch)
        if (where.project, where.environment, where.epoch) != here:
            raise SnapshotError("the change is of another environment or epoch")
        if start != self.revision:
            raise SnapshotError(f"the change begins at revision {start} and not at {self.revision}")
        flags = _changed(self._read_flags, change["flags"], read_flag, "flags")
        segments = _changed(self.segments, change["segments"], read_segment, "segments")
        _check_numbers(flags, segments)
        return Snapshot(where, flags, segments, self)


def read_snapshot(document: Mapping[str, Any]) -> Snapshot:
    """The snapshot that a document describes; SnapshotError if its envelope is unusable or past a limit."""
    envelope = _read_envelope(document, "revision")
    flags, segments = _mapping(document, "flags"), _mapping(document, "segments")
    _check_numbers(flags, segments)
    return Snapshot(
        envelope,
        {key: read_flag(key, flag) for key, flag in flags.items()},
        {key: read_segment(key, segment) for key, segment in segments.items()},
    )


def _read_envelope(document: Any, revision: str) -> Envelope:
    if not isinstance(document, Mapping):
        raise SnapshotError("the document is not an object")
    schema = document.get("schema")
    if type(schema) is not int or schema != limits.SCHEMA:
        raise SnapshotError(f"schema {shown(schema)} is not {limits.SCHEMA}, the one that can be read here")
    place = Place([])
    texts = [
        read_text(document.get(name), place.at(name)) for name in ("project", "environment", "epoch", "published_at")
    ]
    number = read_integer(document.get(revision), place.at(revision), limits.MAX_INTEGER)
    if place.found:
        raise SnapshotError(f"{place.found[0].pointer}: {place.found[0].detail}")
    project, environment, epoch, published_at = texts
    return Envelope(project, environment, epoch, number, published_at)


def _read_change(change: Any) -> tuple[Envelope, int]:
    envelope = _read_envelope(change, "to")
    place = Place([])
    start = read_integer(change.get("from"), place.at("from"), limits.MAX_INTEGER)
    if place.found or envelope.revision <= start:
        raise SnapshotError("the change does not lead from one revision to a later one")
    for name in ("flags", "segments"):
        parts = _mapping(change, name)
        _mapping(parts, "put")
        removed = parts.get("removed")
        if not isinstance(removed, list) or not all(isinstance(key, str) for key in removed):
            raise SnapshotError(f"/{name}/removed: must be a list of keys")
    return envelope, start


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise SnapshotError(f"/{name}: must be an object")
    return value


def _changed(before: Mapping[str, Any], parts: Mapping[str, Any], read: Callable[[str, Any], Any], name: str) -> Any:
    removed = set(parts["removed"])
    if not removed.isdisjoint(parts["put"]):
        raise SnapshotError(f"/{name}: a key is both put and removed")
    kept = {key: value for key, value in before.items() if key not in removed}
    return kept | {key: read(key, document) for key, document in parts["put"].items()}


def _check_numbers(flags: Mapping[str, Any], segments: Mapping[str, Any]) -> None:
    for name, values, maximum in (
        ("flags", flags, limits.MAX_FLAGS),
        ("segments", segments, limits.MAX_SEGMENTS),
    ):
        if len(values) > maximum:
            raise SnapshotError(f"{len(values)} {name}: the limit is {maximum}")
