"""Moments in time as whole milliseconds since 1970, read from RFC 3339 text, epoch milliseconds or `now-30d`.

Relative moments are for authors only. Their units are `s` seconds, `m` minutes, `h` hours, `d` days of 24 hours and
`w` weeks; `now` alone is allowed. A date without a time or an offset is not a moment. Fractions are cut to
milliseconds.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_RELATIVE = re.compile(r"now(?:([+-])([0-9]{1,9})([smhdw]))?")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=1024)
def parse_moment(text: str) -> int | None:
    """Epoch milliseconds of RFC 3339 text, or None if it is none. Second 60 is the first of the next minute."""
    match = _MOMENT.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hour, offset_minute = match.groups()[6:]
    offset = (int(offset_hour or 0), int(offset_minute or 0))
    if hour > 23 or minute > 59 or second > 60 or offset[0] > 23 or offset[1] > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    shift = (offset[0] * 60 + offset[1]) * (-1 if sign == "-" else 1)
    whole = ((days * 24 + hour) * 60 + minute - shift) * 60 + second
    return whole * 1_000 + int(((fraction or "") + "000")[:3])


def parse_relative(text: str) -> int | None:
    """The milliseconds to add to now that `now-30d` stands for, or None if the text is not relative."""
    match = _RELATIVE.fullmatch(text)
    if match is None:
        return None
    sign, amount, unit = match.groups()
    if sign is None:
        return 0
    distance = int(amount) * _UNITS[unit]
    return -distance if sign == "-" else distance


def moment_of(value: Any) -> int | float | None:
    """The moment that an attribute stands for, or None if it stands for none.

    An aware `datetime` is taken too, since applications have them at hand; a naive one says no moment.
    """
    if isinstance(value, str):
        return parse_moment(value)
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else value
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return (value - _EPOCH) // _MILLISECOND
    return None
