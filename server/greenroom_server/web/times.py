"""Days and moments in requests: RFC 3339 texts and nothing else, where pydantic would take numbers too."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def moment_of(text: str) -> datetime:
    """The moment that a text written by `datetime.isoformat` names, in UTC; ValueError for anything else."""
    return _in_utc(datetime.fromisoformat(text))


def moment_in(text: str) -> datetime:
    """The moment that a query parameter names, in UTC; ValueError for anything else."""
    return moment_of(_moment_text(text).upper())


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs its offset from UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment lies outside of the calendar") from None


def _day_text(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError("must be a day as `2026-01-31`")


def _moment_text(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _MOMENT.fullmatch(value)):
        return value
    raise ValueError("must be a moment as `2026-01-31T12:00:00Z`")


Day = Annotated[date, Field(strict=False), BeforeValidator(_day_text)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_moment_text), AfterValidator(_in_utc)]
