"""Windows that recur every week, as a policy writes them: `Mon-Thu 09:00-16:00`, `Fri 18:00-Mon 08:00`, `22:00-02:00`.

A week is a ring of minutes that starts on Monday at 00:00 of local time. A stretch on it is half-open and may run over
the ring's seam.
"""

import re
from typing import Final, TypeAlias

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY: Final = 24 * 60
WEEK: Final = 7 * DAY
Stretch: TypeAlias = tuple[int, int]

_NAME: Final = "|".join(DAYS)
_TIME: Final = r"[0-9]{2}:[0-9]{2}"
_ACROSS: Final = re.compile(rf"({_NAME}) ({_TIME})-({_NAME}) ({_TIME})")
_DAILY: Final = re.compile(rf"(?:((?:{_NAME})(?:[-,](?:{_NAME}))*))?(?:(?:^|(?<=[a-z]) )({_TIME})-({_TIME}))?")
EXAMPLES: Final = "`Mon-Thu 09:00-16:00`, `Fri 18:00-Mon 08:00`, `Mon,Wed 10:00-12:00`, `22:00-02:00` or `Sat,Sun`"


def read_weekly(text: str) -> tuple[Stretch, ...]:
    """The stretches of one entry, each at most a week long and beginning in [0, WEEK). Raises ValueError."""
    if across := _ACROSS.fullmatch(text):
        day, start, last_day, end = across.groups()
        return (_across(text, DAYS.index(day), start, DAYS.index(last_day), end),)
    daily = _DAILY.fullmatch(text)
    if not text or not daily:
        raise ValueError(f"`{text}` is no weekly window: write it like {EXAMPLES}")
    names, start, end = daily.groups()
    opens, closes = (0, DAY) if start is None else _hours(text, start, end)
    return tuple((day * DAY + opens, day * DAY + closes) for day in _days(text, names))


def merge_week(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    """The same time without overlaps and seams, in order; one stretch [0, WEEK) if it is all of the week."""
    cut = sorted(part for stretch in stretches for part in _cut_at_seam(stretch))
    merged: list[Stretch] = []
    for start, end in cut:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    if len(merged) > 1 and merged[0][0] == 0 and merged[-1][1] == WEEK:
        merged[-1] = (merged[-1][0], WEEK + merged.pop(0)[1])
    return tuple(merged)


def _cut_at_seam(stretch: Stretch) -> tuple[Stretch, ...]:
    start, end = stretch
    return (stretch,) if end <= WEEK else ((start, WEEK), (0, end - WEEK))


def _across(text: str, day: int, start: str, last_day: int, end: str) -> Stretch:
    opens = day * DAY + _minutes(text, start)
    length = (last_day * DAY + _minutes(text, end, is_end=True) - opens) % WEEK
    if length == 0 and end != "24:00":
        raise ValueError(f"`{text}` ends where it starts: for all of the week write `Mon-Sun`")
    return opens, opens + (length or WEEK)


def _hours(text: str, start: str, end: str) -> Stretch:
    opens, closes = _minutes(text, start), _minutes(text, end, is_end=True)
    if opens == closes:
        raise ValueError(f"`{text}` ends where it starts: for whole days write the days alone, or `00:00-24:00`")
    return opens, closes if opens < closes else closes + DAY


def _minutes(text: str, time: str, *, is_end: bool = False) -> int:
    hours, minutes = int(time[:2]), int(time[3:])
    if time == "24:00" and is_end:
        return DAY
    if hours > 23 or minutes > 59:
        raise ValueError(f"`{time}` in `{text}` is no time of day: write `00:00` to `23:59`, or `24:00` as an end")
    return hours * 60 + minutes


def _days(text: str, names: str | None) -> tuple[int, ...]:
    if names is None:
        return tuple(range(7))
    days: list[int] = []
    for part in names.split(","):
        first, *rest = part.split("-")
        if len(rest) > 1:
            raise ValueError(f"`{part}` in `{text}` is no range of days: write it like `Mon-Thu`")
        start, length = DAYS.index(first), (DAYS.index((rest or [first])[0]) - DAYS.index(first)) % 7
        days.extend((start + step) % 7 for step in range(length + 1))
    return tuple(days)
