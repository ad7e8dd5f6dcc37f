"""Links flags and segments that were read one by one: what they name must exist and must not go in circles.

What is wrong makes the flags that need it unusable, and nothing else.
"""

from collections.abc import Collection, Mapping

from greenroom.evaluation.graph import closure, depths
from greenroom.evaluation.limits import MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH
from greenroom.evaluation.model import Flag, Segment
from greenroom.evaluation.parse import unusable_flag


def segment_errors(segments: Mapping[str, Segment]) -> dict[str, str]:
    """Why segments are unusable: by themselves, or because of a segment that they name."""
    levels = depths({key: segment.segments for key, segment in segments.items()})
    errors: dict[str, str] = {}
    for key, level in sorted(levels.items(), key=lambda item: (item[1] is not None, item[1] or 0, item[0])):
        segment = segments[key]
        unknown = sorted(name for name in segment.segments if name not in segments)
        broken = sorted(name for name in segment.segments if name in errors)
        if segment.error is not None:
            errors[key] = segment.error
        elif level is None:
            errors[key] = "names itself through other segments"
        elif level > MAX_SEGMENT_DEPTH:
            errors[key] = f"stands on more than {MAX_SEGMENT_DEPTH} levels of segments"
        elif unknown:
            errors[key] = f"names the unknown segment `{unknown[0]}`"
        elif broken:
            errors[key] = f"names the unusable segment `{broken[0]}`"
    return errors


def link_flags(
    flags: Mapping[str, Flag], segments: Mapping[str, Segment], errors: Mapping[str, str], before: Mapping[str, Flag]
) -> dict[str, Flag]:
    """The flags, in the order of their keys, as they are usable beside each other and these segments.

    `errors` are those of the segments; `before` are the flags of an earlier snapshot, kept where nothing changed.
    """
    levels = depths(_prerequisites(flags))
    linked = {}
    for key in sorted(flags):
        flag = flags[key]
        error = _flag_error(flag, segments, errors, levels.get(key, 0))
        if error is not None:
            earlier = before.get(key)
            flag = earlier if earlier is not None and _says(earlier, flag, error) else unusable_flag(flag, error)
        linked[key] = flag
    return linked


def _says(earlier: Flag, flag: Flag, error: str) -> bool:
    """Whether `earlier` was made unusable for this reason, and from this very flag: its document was not put again."""
    return earlier.error == error and earlier.variants is flag.variants and earlier.version == flag.version


def _flag_error(
    flag: Flag, segments: Mapping[str, Segment], errors: Mapping[str, str], level: int | None
) -> str | None:
    if flag.configuration is None:
        return None
    for key in sorted(flag.configuration.segments):
        if key not in segments:
            return f"names the unknown segment `{key}`"
        if key in errors:
            return f"names the unusable segment `{key}`"
    if level is None:
        return "is a prerequisite of itself, or of one of its prerequisites"
    if level > MAX_PREREQUISITE_DEPTH:
        return f"stands on more than {MAX_PREREQUISITE_DEPTH} levels of prerequisites"
    return None


def _prerequisites(flags: Mapping[str, Flag]) -> dict[str, list[str]]:
    """The keys that flags name as prerequisites; flags without any are left out."""
    return {
        key: [named.flag for named in flag.configuration.prerequisites]
        for key, flag in flags.items()
        if flag.configuration is not None and flag.configuration.prerequisites
    }


def touched_flags(
    flags: Mapping[str, Flag],
    before: Mapping[str, Flag],
    segments: Mapping[str, Segment],
    changed_segments: Collection[str],
) -> set[str]:
    """Keys of all flags whose result may be another than before, directly or through what they name."""
    stale = closure(changed_segments, _naming_segments(segments))
    direct = {key for key in flags.keys() | before.keys() if flags.get(key) is not before.get(key)}
    for key, flag in flags.items():
        if flag.configuration is not None and not flag.configuration.segments.isdisjoint(stale):
            direct.add(key)
    return closure(direct, _naming(_prerequisites(flags)))


def _naming(names: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    naming: dict[str, list[str]] = {}
    for key, named in names.items():
        for name in named:
            naming.setdefault(name, []).append(key)
    return naming


def _naming_segments(segments: Mapping[str, Segment]) -> dict[str, list[str]]:
    return _naming({key: segment.segments for key, segment in segments.items() if segment.segments})


def uses_clock(flags: Mapping[str, Flag], segments: Mapping[str, Segment]) -> bool:
    """Whether what any of the linked flags serves can change with time alone."""
    by_clock = closure([key for key, segment in segments.items() if segment.uses_clock], _naming_segments(segments))
    configurations = [flag.configuration for flag in flags.values() if flag.configuration is not None]
    return any(
        configuration.is_enabled and (configuration.uses_clock or not configuration.segments.isdisjoint(by_clock))
        for configuration in configurations
    )
