"""Moments as people type and read them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from greenroom.cli.errors import UsageError

_SPAN: Final = re.compile(r"([0-9]{1,5})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str | None, *, now: datetime | None = None, is_ahead: bool = False) -> str | None:
    """What the API takes. `30m` and `2d` lie back, or ahead; a day or a moment is that. Raises UsageError."""
    if text is None:
        return None
    length = _span(text)
    if length is not None:
        made = (now or datetime.now(UTC)) + (length if is_ahead else -length)
    else:
        try:
            made = datetime.fromisoformat(text).astimezone()  # without an offset it is the user's own
        except (ValueError, OverflowError):
            raise UsageError(f"`{text}` is no moment: write `30m`, `2d`, `2026-01-31` or `2026-01-31T12:00Z`") from None
    return made.astimezone(UTC).isoformat().replace("+00:00", "Z")


def span(text: str) -> timedelta:
    """A length of time, such as `20m`. Raises UsageError."""
    length = _span(text)
    if length is None:
        raise UsageError(f"`{text}` is no length of time: write `90s`, `20m` or `2h`")
    return length


def shown(text: str | None) -> str:
    """A moment of the API in the reader's own time, to the second; other texts as they are."""
    if text is None:
        return "never"
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return text


def length(seconds: float) -> str:
    """A length of time, in the two largest units that it has: `45s`, `12m 30s`, `3d 4h`."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0") or len(parts) == 1)


def _span(text: str) -> timedelta | None:
    found = _SPAN.fullmatch(text)
    return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})
