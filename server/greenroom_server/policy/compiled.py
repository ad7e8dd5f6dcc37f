"""A policy that can decide: its document, checked, with everything prepared that depends on zones."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from greenroom_server.policy.calendars import Calendar, compile_calendar
from greenroom_server.policy.document import PolicyDocument
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.lint import lint
from greenroom_server.policy.reading import MAX_REMARKS, read_document
from greenroom_server.policy.remarks import PolicyRefused, Remark
from greenroom_server.policy.zones import first_instant, read_local, tzdata_version, zone_of


@dataclass(frozen=True, slots=True)
class Policy:
    """One immutable version. `digest` names the document as authored; `version` is a number that the caller gives.

    `effective_from` has the rules that begin at a moment. `warnings` are what the linter tells about the document.
    """

    document: PolicyDocument
    version: int
    digest: str
    zone: ZoneInfo
    tzdata: str
    calendars: Mapping[str, Calendar]
    effective_from: Mapping[str, Instant]
    warnings: tuple[Remark, ...] = ()

    @property
    def name(self) -> str:
        return self.document.name


def compile_policy(authored: Any, version: int) -> Policy:
    """The policy that JSON-shaped data describes. Raises PolicyRefused with what is wrong, at most 50 remarks."""
    document, digest = read_document(authored)
    remarks = lint(document)
    if errors := [one for one in remarks if one.severity == "error"]:
        raise PolicyRefused(errors[:MAX_REMARKS])
    return _prepared(document, digest, version, remarks[:MAX_REMARKS])


def load_policy(authored: Any, version: int) -> Policy:
    """A version that was accepted once, which a linter that has learned since must not refuse. Raises ValueError."""
    document, digest = read_document(authored)
    return _prepared(document, digest, version, ())


def _prepared(document: PolicyDocument, digest: str, version: int, warnings: tuple[Remark, ...]) -> Policy:
    zone = zone_of(document.time_zone)
    calendars = {name: compile_calendar(spec, zone.key) for name, spec in document.calendars.items()}
    effective = {
        rule.id: first_instant(read_local(rule.effective_from), zone) for rule in document.rules if rule.effective_from
    }
    return Policy(
        document=document,
        version=version,
        digest=digest,
        zone=zone,
        tzdata=tzdata_version(),
        calendars=MappingProxyType(calendars),
        effective_from=MappingProxyType(effective),
        warnings=warnings,
    )
