"""Weekly windows of wall-clock time: the values of `within`.

    {"op": "within", "values": [{"zone": "Europe/Stockholm", "days": ["mon", "fri"], "from": "09:00", "to": "17:00"}]}

`zone` is an IANA name. `days` (every day if absent) are the days on which a window begins. `from` is inside, `to` is
not; `24:00` is the end of the day, and a `to` before `from` is on the following day, so Friday 22:00 to 06:00 ends on
Saturday morning. Times are what a clock on a wall in that zone shows: where an hour is repeated both are inside, and an
hour that is skipped is in no window. The rules of the zones come from the `tzdata` package, the same on every machine,
and are read when a flag is compiled.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from greenroom.evaluation.findings import Place, shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """One weekly window; `start` and `end` are minutes of the day, `days` count from Monday."""

    zone: ZoneInfo
    days: frozenset[int]
    start: int
    end: int

    def holds(self, now_ms: int) -> bool:
        """Whether the wall clock is inside at this moment."""
        local = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return self.start <= minute < self.end and day in self.days
        return (minute >= self.start and day in self.days) or (minute < self.end and (day - 1) % 7 in self.days)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """The IANA names that a window may use."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """The rules of a zone, or None if there is no such zone."""
    if name not in zone_names():
        return None
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def read_window(document: Any, place: Place) -> Window | None:
    """The window that a value of `within` describes; what is wrong with it is reported."""
    if not isinstance(document, dict):
        place.report("a window must be an object with zone, days, from and to")
        return None
    before = len(place.found)
    for name in document:
        if name not in ("zone", "days", "from", "to"):
            place.at(name).report("unknown member")
    zone = _zone(document.get("zone"), place.at("zone"))
    days = _days(document.get("days", list(DAYS)), place.at("days"))
    start = _minute(document.get("from"), place.at("from"))
    end = 1440 if document.get("to") == "24:00" else _minute(document.get("to"), place.at("to"))
    if start == end and start is not None:
        place.report("`from` and `to` are the same: for a whole day say 00:00 to 24:00")
    if len(place.found) > before or zone is None or start is None or end is None:
        return None
    return Window(zone, days, start, end)


def _zone(value: Any, place: Place) -> ZoneInfo | None:
    zone = zone_named(value) if isinstance(value, str) else None
    if zone is None:
        place.report(f"{shown(value)} is not an IANA time zone")
    return zone


def _days(value: Any, place: Place) -> frozenset[int]:
    if not isinstance(value, list) or not value:
        place.report("days must be a list of mon, tue, wed, thu, fri, sat, sun")
        return frozenset()
    for index, day in enumerate(value):
        if day not in DAYS:
            place.at(index).report(f"{shown(day)} is not one of mon, tue, wed, thu, fri, sat, sun")
    return frozenset(DAYS.index(day) for day in value if day in DAYS)


def _minute(value: Any, place: Place) -> int | None:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        place.report(f"{shown(value)} is not a time of day like 09:00")
        return None
    return int(match[1]) * 60 + int(match[2])
