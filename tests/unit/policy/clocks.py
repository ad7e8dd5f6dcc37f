"""A slow walk over the minutes of a zone's clock, to hold the calendars against."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from greenroom_server.policy.zones import zone_of

MINUTE = 60_000
WEEK = 7 * 24 * 60
AROUND = 2 * WEEK
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (the clock's own time has no offset)

# Zones and Mondays near which their clocks do something; the last is an ordinary week.
ODD_WEEKS = {
    "Europe/Berlin": ("2026-03-23", "2026-10-19", "2026-06-15"),
    "America/New_York": ("2026-03-02", "2026-10-26", "2026-12-28"),
    "Australia/Lord_Howe": ("2026-03-30", "2026-09-28", "2026-01-05"),
    "Africa/Casablanca": ("2026-02-09", "2026-03-16", "2026-07-06"),
    "Pacific/Apia": ("2011-12-26", "2011-03-28", "2011-09-19"),
    "America/Havana": ("2025-03-03", "2025-10-27", "2025-05-05"),
    "Asia/Kathmandu": ("2026-03-23", "1985-12-30", "2026-08-03"),
    "UTC": ("2026-03-23", "2026-10-19", "2024-02-26"),
}


class Clock(NamedTuple):
    """What is shown in each minute from `start` (in minutes since 1970) on, in minutes of local time since 1970."""

    start: int
    shown: tuple[int, ...]
    first: dict[int, int]
    last: dict[int, int]

    def first_of(self, local: int) -> int:
        return self.first.get(local) or self.jump(local)

    def last_of(self, local: int) -> int:
        return self.last.get(local) or self.jump(local)

    def jump(self, local: int) -> int:
        """The minute at which the clock goes over a time that it does not show."""
        return next(self.start + index for index, shown in enumerate(self.shown) if shown > local)


@cache
def clock_around(zone: str, monday: str) -> Clock:
    """The clock from two weeks before a date to three weeks after it."""
    begin = datetime.fromisoformat(monday).replace(tzinfo=UTC) - timedelta(minutes=AROUND)
    start = int(begin.timestamp()) // 60
    where = zone_of(zone)  # the machine may know other rules
    shown: list[int] = []
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for step in range(AROUND + 3 * WEEK):
        local = (begin + timedelta(minutes=step)).astimezone(where).replace(tzinfo=None)
        minute = (local - EPOCH) // timedelta(minutes=1)
        shown.append(minute)
        first.setdefault(minute, start + step)
        last[minute] = start + step
    return Clock(start, tuple(shown), first, last)


def covered_minutes(clock: Clock, stretches: Iterable[tuple[int, int]], kind: str) -> bytearray:
    """Whether each minute is in a window of the stretches: (minute of the week, length). Not true of the first week."""
    ring = bytearray(WEEK)
    for start, length in stretches:
        ring[start : start + length] = b"\1" * (min(start + length, WEEK) - start)
        ring[: max(start + length - WEEK, 0)] = b"\1" * max(start + length - WEEK, 0)
    covered = bytearray([all(ring)]) * len(clock.shown)
    begins, ends = (clock.first_of, clock.last_of) if kind == "freeze" else (clock.last_of, clock.first_of)
    for start, end in _runs(ring, clock.shown[0], clock.shown[-1]):
        low, high = begins(start) - clock.start, ends(end) - clock.start
        if low < high:
            covered[low:high] = b"\1" * (high - low)
    return covered


def _runs(ring: bytearray, low: int, high: int) -> Iterable[tuple[int, int]]:
    """Local minutes from and to which the ring is covered, wholly inside the walk."""
    offset = 3 * 24 * 60  # 1970 began on a Thursday
    flips = [minute for minute in range(WEEK) if ring[minute] != ring[minute - 1]]
    start = None
    for week in range((low + offset) // WEEK, (high + offset) // WEEK + 1):
        for flip in flips:
            local = week * WEEK + flip - offset
            if not low < local < high:
                continue
            if ring[flip]:
                start = local
            elif start is not None:
                yield start, local
