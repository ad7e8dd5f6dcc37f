"""How an instant is written: RFC 3339 in UTC with milliseconds."""

from datetime import UTC, datetime, timedelta
from typing import Final

from greenroom_server.policy.facts import Instant

DAY_MS: Final = 86_400_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def instant_text(at: Instant) -> str:
    """Such as `2026-11-20T11:00:00.000Z`."""
    return (_EPOCH + at * _MS).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def optional_text(at: Instant | None) -> str | None:
    return None if at is None else instant_text(at)


def earliest(*instants: Instant | None) -> Instant | None:
    """The first of those that there are."""
    return min((at for at in instants if at is not None), default=None)
