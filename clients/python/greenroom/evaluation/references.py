"""Checks what flags and segments name in each other, over all documents of one environment."""

from collections.abc import Iterator, Mapping
from typing import Any

from greenroom.evaluation.findings import Finding, Place, shown
from greenroom.evaluation.graph import depths
from greenroom.evaluation.limits import MAX_JSON_DEPTH, MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH

Named = tuple[str, Place]


def check_references(flags: Mapping[str, Any], segments: Mapping[str, Any]) -> list[Finding]:
    """Unknown segments, prerequisite flags and variants; cycles; chains that are too deep.

    Pointers begin with `/flags/<key>` or `/segments/<key>`. Documents that are not in shape are passed over: their
    own checks report them.
    """
    root = Place([])
    _check_segments(flags, segments, root)
    _check_prerequisites(flags, root.at("flags"))
    return root.found


def _check_segments(flags: Mapping[str, Any], segments: Mapping[str, Any], root: Place) -> None:
    names: dict[str, list[str]] = {}
    for key, document in segments.items():
        place = root.at("segments").at(key).at("when")
        named = list(_segments_in(_member(document, "when"), place))
        names[key] = [name for name, _ in named]
        _report_unknown(named, segments)
    for key, level in depths(names).items():
        place = root.at("segments").at(key)
        if level is None:
            place.report("names itself through other segments")
        elif level > MAX_SEGMENT_DEPTH:
            place.report(
                f"stands on more than {MAX_SEGMENT_DEPTH} levels of segments", "segment_depth", MAX_SEGMENT_DEPTH
            )
    for key, document in flags.items():
        for index, rule in enumerate(_list(document, "rules")):
            place = root.at("flags").at(key).at("rules").at(index).at("when")
            _report_unknown(_segments_in(_member(rule, "when"), place), segments)


def _report_unknown(named: Any, segments: Mapping[str, Any]) -> None:
    for name, place in named:
        if name not in segments:
            place.report(f"there is no segment {shown(name)}")


def _check_prerequisites(flags: Mapping[str, Any], place: Place) -> None:
    names: dict[str, list[str]] = {}
    for key, document in flags.items():
        names[key] = []
        for index, prerequisite in enumerate(_list(document, "prerequisites")):
            here = place.at(key).at("prerequisites").at(index)
            flag = _member(prerequisite, "flag")
            if not isinstance(flag, str):
                continue
            names[key].append(flag)
            if flag not in flags:
                here.at("flag").report(f"there is no flag {shown(flag)}")
                continue
            variants = _member(flags[flag], "variants")
            for at, variant in enumerate(_list(prerequisite, "variants")):
                if isinstance(variants, Mapping) and isinstance(variant, str) and variant not in variants:
                    here.at("variants").at(at).report(f"{shown(variant)} is not a variant of {shown(flag)}")
    for key, level in depths(names).items():
        here = place.at(key).at("prerequisites")
        if level is None:
            here.report("is a prerequisite of itself, or of one of its prerequisites")
        elif level > MAX_PREREQUISITE_DEPTH:
            here.report(
                f"stands on more than {MAX_PREREQUISITE_DEPTH} levels of prerequisites",
                "prerequisite_depth",
                MAX_PREREQUISITE_DEPTH,
            )


def _segments_in(condition: Any, place: Place, depth: int = 1) -> Iterator[Named]:
    if not isinstance(condition, Mapping) or depth > MAX_JSON_DEPTH:
        return
    for kind in ("all", "any"):
        for index, part in enumerate(_list(condition, kind)):
            yield from _segments_in(part, place.at(kind).at(index), depth + 1)
    yield from _segments_in(condition.get("not"), place.at("not"), depth + 1)
    if isinstance(condition.get("segment"), str):
        yield condition["segment"], place.at("segment")


def _member(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else None


def _list(document: Any, name: str) -> list[Any]:
    value = _member(document, name)
    return value if isinstance(value, list) else []
