"""Which day a row belongs to, and what the partition of a day is called and holds. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

DAY_MS: Final = 86_400_000
BY_ID: Final = ("exposure", "outcome", "count_receipt")
BY_MINUTE: Final = "exposure_count"
TABLES: Final = (*BY_ID, BY_MINUTE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """The days, counted from 1970, of which rows are taken in: the retention, and one day for clocks that are ahead."""

    first: int
    last: int

    @classmethod
    def around(cls, now: datetime, retention_days: int) -> "Window":
        today = day_of(now)
        return cls(today - retention_days, today + 1)

    def holds(self, day: int) -> bool:
        return self.first <= day <= self.last


def day_of(moment: datetime) -> int:
    """The day of a moment."""
    return (moment - _EPOCH).days


def day_of_id(report_id: str) -> int:
    """The day in which a UUID of version 7 was made."""
    return int(report_id[:8] + report_id[9:13], 16) // DAY_MS


def start_of(day: int) -> datetime:
    return _EPOCH + timedelta(days=day)


def name_of(table: str, day: int) -> str:
    return f"{table}_p{start_of(day):%Y%m%d}"


def day_of_name(name: str) -> int:
    """The day of a partition called `name`; raises ValueError for any other table."""
    return day_of(datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC))


def bounds_of(table: str, day: int) -> tuple[str, str]:
    """From and to, as PostgreSQL reads them; no user's text is in them."""
    if table == BY_MINUTE:
        return start_of(day).isoformat(), start_of(day + 1).isoformat()
    return str(_lowest_id(day)), str(_lowest_id(day + 1))


def statements_to_make(days: Iterable[int]) -> list[str]:
    """What makes the partitions of these days, where they are missing.

    Made apart and attached, which lets everybody go on reading and writing the others.
    """
    statements = []
    for day in sorted(days):
        for table in TABLES:
            name, (low, high) = name_of(table, day), bounds_of(table, day)
            statements.append(
                f"DO $$ BEGIN IF to_regclass('{name}') IS NULL THEN"
                f" CREATE TABLE {name} (LIKE {table} INCLUDING ALL);"
                f" ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}');"
                f" END IF; END $$"
            )
    return statements


def lowest_id_at(moment: datetime) -> UUID:
    """Not above any id that was made at the moment or later."""
    return UUID(int=max(0, (moment - _EPOCH) // timedelta(milliseconds=1)) << 80)


def _lowest_id(day: int) -> UUID:
    return UUID(int=(day * DAY_MS) << 80)
