"""Moments as the decision core counts them."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_of(moment: datetime) -> int:
    """Whole milliseconds since 1970, what is less cut off, exactly."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
