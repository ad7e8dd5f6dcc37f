"""Lengths of time as a policy writes them: `90s`, `10m`, `24h`, `7d`, and sums such as `1h30m`."""

import re
from typing import Final

from greenroom_server.policy.facts import Instant

MAX_DAYS: Final = 3660
_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
PATTERN: Final = r"^([0-9]{1,9}(ms|s|m|h|d))+$"
_PART: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def duration_ms(text: str) -> Instant:
    """The length in milliseconds; a day has 24 hours. Raises ValueError."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"`{text}` is no duration such as `10m`, `24h` or `7d`")
    units = [unit for _, unit in parts]
    if len(set(units)) != len(units):
        raise ValueError(f"`{text}` names a unit twice")
    total = sum(int(number) * _MS[unit] for number, unit in parts)
    if not 0 < total <= MAX_DAYS * _MS["d"]:
        raise ValueError(f"`{text}` must be more than nothing and at most {MAX_DAYS}d")
    return total


def duration_text(length: Instant) -> str:
    """The length as a policy writes it, such as `10m1ms`."""
    parts = []
    for unit, size in sorted(_MS.items(), key=lambda item: -item[1]):
        count, length = divmod(length, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0ms"
