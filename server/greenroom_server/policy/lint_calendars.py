"""What is wrong or doubtful in the calendars of a policy, and in the rules that use them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from greenroom_server.policy.calendars import Calendar, compile_calendar
from greenroom_server.policy.document import CalendarRule, CalendarSpec, PolicyDocument
from greenroom_server.policy.remarks import Remark, path_of
from greenroom_server.policy.weekly import WEEK, Stretch, merge_week, read_weekly
from greenroom_server.policy.zones import read_local, zone_names

_MINUTE: Final = 60_000


def calendar_remarks(document: PolicyDocument) -> Iterator[Remark]:
    """Calendars first, each at its path, then the rules of kind `calendar`."""
    zone = document.time_zone if document.time_zone in zone_names() else "UTC"
    compiled: dict[str, Calendar] = {}
    for name, spec in document.calendars.items():
        path = path_of("calendars", name)
        if errors := tuple(_errors(path, spec)):
            yield from errors
            continue
        try:
            compiled[name] = compile_calendar(spec, zone)
        except ValueError as error:
            yield Remark(path, str(error))
        else:
            yield from _warnings(path, spec, compiled[name])
    used: set[str] = set()
    for index, rule in enumerate(document.rules):
        if isinstance(rule, CalendarRule):
            used.update(rule.use)
            calendars = tuple(compiled[name] for name in rule.use if name in compiled)
            yield from _in_rule(path_of("rules", index), rule, calendars)
    for name in document.calendars.keys() - used:
        yield Remark(path_of("calendars", name), f"no rule uses the calendar `{name}`", "warning")


def _errors(path: str, spec: CalendarSpec) -> Iterator[Remark]:
    for index, text in enumerate(spec.weekly or ()):
        yield from unreadable(f"{path}/weekly/{index}", read_weekly, text)
    yield from unreadable(f"{path}/from", read_local, spec.from_)
    yield from unreadable(f"{path}/to", read_local, spec.to)


def unreadable(path: str, read: Callable[[str], object], text: str | None) -> Iterator[Remark]:
    """An error if a text that is there cannot be read."""
    try:
        if text is not None:
            read(text)
    except ValueError as error:
        yield Remark(path, str(error))


def _warnings(path: str, spec: CalendarSpec, calendar: Calendar) -> Iterator[Remark]:
    earlier: tuple[Stretch, ...] = ()
    for index, text in enumerate(spec.weekly or ()):
        mine = merge_week(read_weekly(text))
        together = merge_week(earlier + mine)
        if spec.type == "allow" and _minutes(together) < _minutes(earlier) + _minutes(mine):
            yield Remark(f"{path}/weekly/{index}", f"`{text}` overlaps another window of this calendar", "warning")
        earlier = together
    if calendar.weekly == ((0, WEEK),):
        said = "is frozen all of the time: nothing would ever go" if spec.type == "freeze" else "is never closed"
        yield Remark(f"{path}/weekly", f"the calendar {said}", "warning")
    if calendar.once and calendar.once.start >= calendar.once.end:
        yield Remark(path, "the clock changes just then, so that nothing is left between `from` and `to`", "warning")


def _minutes(stretches: Iterable[Stretch]) -> int:
    return sum(end - start for start, end in stretches)


def _in_rule(path: str, rule: CalendarRule, calendars: tuple[Calendar, ...]) -> Iterator[Remark]:
    opening = [one for one in calendars if one.type == "allow"]
    if 0 < len(opening) < len(calendars):
        text = "opens and freezes in one rule: write one rule for each, so that the answer tells which of them holds"
        yield Remark(f"{path}/use", text, "warning")
    if len(opening) > 1:
        text = "any one of these calendars opens: if all must be open, write one rule for each"
        yield Remark(f"{path}/use", text, "warning")
    longest = max((_longest(one) for one in opening), default=None)
    if rule.runway is not None and longest is not None and rule.runway >= longest:
        yield Remark(f"{path}/runway", "no window is longer than that, so that the rule never passes", "warning")


def _longest(calendar: Calendar) -> int:
    """The length of the longest window in milliseconds, as an ordinary week has it."""
    if calendar.once:
        return calendar.once.end - calendar.once.start
    return max(end - start for start, end in calendar.weekly) * _MINUTE
