"""Reads flags and segments, JSON -> model. One that cannot be read becomes an unusable one; nothing here raises.

A flag that has an unknown member where it could change the meaning (in a rule, a condition, a serve) is unusable;
other members of the flag itself are for people and are passed over.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from greenroom.evaluation.bounds import within_bounds
from greenroom.evaluation.conditions import clauses_of, read_condition, segments_of
from greenroom.evaluation.configurations import CONFIGURATION_MEMBERS, Outcomes, read_configuration
from greenroom.evaluation.findings import Place
from greenroom.evaluation.limits import MAX_INTEGER
from greenroom.evaluation.model import Condition, Evaluation, Flag, Segment
from greenroom.evaluation.reasons import ERROR, PARSE_ERROR
from greenroom.evaluation.shapes import FLAG_KEY, read_boolean, read_integer, read_matching
from greenroom.evaluation.variants import TYPES, read_variants

EXPOSURES = ("none", "counts", "subjects")

_NO_VARIANTS: Mapping[str, Any] = MappingProxyType({})


def read_flag(key: str, document: Any) -> Flag:
    """The flag that the document describes, or an unusable one."""
    place = Place([])
    if not within_bounds(document, place) or not isinstance(document, dict):
        if not place.found:
            place.report("a flag must be an object")
        return _unusable(key, document if isinstance(document, dict) else {}, place)
    if document.get("key") != key:
        place.at("key").report("is not the key under which the flag stands")
    read_matching(key, place.at("key"), FLAG_KEY)
    kind = str(document.get("type"))
    if kind not in TYPES:
        place.at("type").report(f"must be one of {', '.join(TYPES)}")
    variants = read_variants(kind, document.get("variants"), place.at("variants"))
    version = read_integer(document.get("version"), place.at("version"), MAX_INTEGER)
    visible = read_boolean(document.get("client_visible", False), place.at("client_visible"))
    exposures = document.get("track_exposures", "counts")
    if exposures not in EXPOSURES:
        place.at("track_exposures").report(f"must be one of {', '.join(EXPOSURES)}")
    if place.found:
        return _unusable(key, document, place)
    outcomes = Outcomes(key, kind, version, variants)
    configured = {name: document[name] for name in CONFIGURATION_MEMBERS if name in document}
    configuration = read_configuration(configured, place, outcomes)
    if configuration is None:
        return _unusable(key, document, place)
    made = tuple(outcomes.made)
    return Flag(key, kind, version, visible, exposures, MappingProxyType(variants), configuration, made)


def unusable_flag(flag: Flag, error: str) -> Flag:
    """The same flag, unusable for a reason that only shows among other flags and segments."""
    evaluation = _parse_error(flag.key, flag.version, error)
    return Flag(
        flag.key,
        flag.type,
        flag.version,
        flag.client_visible,
        flag.track_exposures,
        flag.variants,
        None,
        (evaluation,),
        error,
    )


def _parse_error(key: str, version: int, error: str) -> Evaluation:
    metadata = MappingProxyType({"version": version})
    return Evaluation(key, None, None, ERROR, PARSE_ERROR, error, metadata)


def _unusable(key: str, document: dict[str, Any], place: Place) -> Flag:
    finding = place.found[0]
    error = f"{finding.pointer}: {finding.detail}" if finding.pointer else finding.detail
    scratch = Place([])
    version = read_integer(document.get("version"), scratch, MAX_INTEGER)
    visible = document.get("client_visible") is True
    exposures = document.get("track_exposures")
    kind = document.get("type")
    return Flag(
        key,
        kind if kind in TYPES else None,
        version,
        visible,
        exposures if exposures in EXPOSURES else "none",
        _NO_VARIANTS,
        None,
        (_parse_error(key, version, error),),
        error,
    )


def read_segment(key: str, document: Any) -> Segment:
    """The segment that the document describes, or an unusable one."""
    place = Place([])
    when: Condition | None = None
    version = 0
    if within_bounds(document, place):
        if isinstance(document, dict):
            if document.get("key") != key:
                place.at("key").report("is not the key under which the segment stands")
            version = read_integer(document.get("version"), place.at("version"), MAX_INTEGER)
            when = read_condition(document.get("when"), place.at("when"))
        else:
            place.report("a segment must be an object")
    if when is None or place.found:
        finding = place.found[0]
        return Segment(key, version, None, frozenset(), False, f"{finding.pointer}: {finding.detail}")
    uses_clock = any(clause.uses_clock for clause in clauses_of(when))
    return Segment(key, version, when, frozenset(segments_of(when)), uses_clock)
