"""When a delivery is tried again, and when one gives up: decided from numbers and a clock that are handed in. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Literal

# 5 s, 30 s, 2 min, 10 min, 1 h, 3 h, 8 h after the first, second, ... try: twelve hours in all.
DELAYS_S: Final = (5, 30, 120, 600, 3_600, 10_800, 28_800)
MAX_ATTEMPTS: Final = len(DELAYS_S) + 1
JITTER: Final = 0.2
MAX_RETRY_AFTER: Final = timedelta(hours=8)
# A destination that accepted nothing for so long is switched off when the next delivery to it is given up.
DISABLED_AFTER: Final = timedelta(days=3)

# Why a try failed. What the receiver said beyond its status is never kept.
Problem = Literal["refused", "secret", "dns", "connect", "tls", "timeout", "protocol", "redirect", "status"]


@dataclass(frozen=True, slots=True)
class Tried:
    """How one try went; `status` is the answer's, if there was one, and `problem` None if it was taken."""

    status: int | None = None
    problem: Problem | None = None
    retry_after: timedelta | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants to hear nothing any more."""
        return self.status == 410


def tried(status: int, retry_after: timedelta | None) -> Tried:
    """What an answer means: only 2xx is success, and a redirect is never followed."""
    if 200 <= status < 300:
        return Tried(status)
    return Tried(status, "redirect" if 300 <= status < 400 else "status", retry_after)


def next_try(attempts: int, result: Tried, now: datetime, dice: float) -> datetime | None:
    """When to try again after `attempts` tries in vain, or None to give up; `dice` is from 0 to 1."""
    if result.is_gone or attempts >= MAX_ATTEMPTS:
        return None
    delay = timedelta(seconds=DELAYS_S[attempts - 1] * (1 + JITTER * (2 * dice - 1)))
    return now + max(delay, result.retry_after or delay)


def retry_after_of(header: str | None, now: datetime) -> timedelta | None:
    """The wait that a `Retry-After` header asks for, in seconds or as a date; None if it makes no sense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    wait = moment.replace(tzinfo=moment.tzinfo or UTC) - now
    return min(max(wait, timedelta(0)), MAX_RETRY_AFTER)
