"""How reports get on disk: many of them in one transaction, each row once however often it is sent."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg
from asyncpg.exceptions._base import InterfaceError, PostgresError  # the package tells no type checker of them

from greenroom_server.errors import Unavailable
from greenroom_server.exposures.partitions import TABLES, Window, day_of_name, name_of, statements_to_make

_PARTITIONS_LOCK: Final = 0x6578706F73757265  # "exposure"
_ROWS_A_COPY: Final = 1_000
Row = tuple[Any, ...]
Connection = Any  # an asyncpg connection; its types say nothing


class Store(Protocol):
    """Opens connections of its own; `database.engine.Database` is one."""

    async def connect(self, *, purpose: str = ...) -> Any: ...


@dataclass(slots=True)
class Report:
    """The rows of one batch, as they are stored. `size` is about what they take in memory."""

    environment_id: UUID
    size: int
    exposures: list[Row] = field(default_factory=list)
    outcomes: list[Row] = field(default_factory=list)
    counts: list[Row] = field(default_factory=list)
    instance: Row | None = None
    days: set[int] = field(default_factory=set)

    @property
    def rows(self) -> int:
        return 1 + len(self.exposures) + len(self.outcomes) + len(self.counts)


async def store(connection: Connection, reports: Sequence[Report]) -> None:
    """Commit the reports together. Their ids may be there already, also from this very call."""
    try:
        await _store(connection, reports, _copy)
    except asyncpg.UniqueViolationError:
        await _store(connection, reports, _insert)  # something was sent again: look at each row


def is_about_data(error: Exception) -> bool:
    """Whether one of the reports is at fault, and not the store."""
    return isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError)


def lacks_partition(error: Exception) -> bool:
    """Whether there is no partition (any more) for one of the rows."""
    return isinstance(error, asyncpg.CheckViolationError)


async def make_partitions(connection: Connection, days: Iterable[int]) -> None:
    """Make what is missing for these days; safe from several servers at once."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _PARTITIONS_LOCK)
        for statement in statements_to_make(days):
            await connection.execute(statement)


async def drop_partitions(connection: Connection, window: Window) -> list[str]:
    """Drop the partitions of the days before the window; their names."""
    found = await connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = ANY($1::regclass[])", list(TABLES)
    )
    old = [row["name"] for row in found if day_of_name(row["name"]) < window.first]
    for name in old:
        await connection.execute(f"DROP TABLE IF EXISTS {name}")
    return sorted(old)


@asynccontextmanager
async def housekeeping(database: Store) -> AsyncIterator[Connection]:
    """A connection for work that nobody waits for; raises `Unavailable` for whatever goes wrong with the store."""
    try:
        connection = await database.connect(purpose="greenroom housekeeping")
        try:
            yield connection
        finally:
            await connection.close()
    except (PostgresError, InterfaceError, OSError, TimeoutError) as error:
        raise Unavailable from error


async def forget_instances(connection: Connection, before: datetime) -> None:
    """Forget the instances that were not seen since."""
    await connection.execute("DELETE FROM sdk_instance WHERE last_seen < $1", before)


async def _store(connection: Connection, reports: Sequence[Report], put: Any) -> None:
    async with connection.transaction():
        # In the order of their ids: the index grows at its end, and no two transactions wait for each other in a ring.
        await put(connection, "exposure", _EXPOSURE, sorted(row for one in reports for row in one.exposures))
        await put(connection, "outcome", _OUTCOME, sorted((row for one in reports for row in one.outcomes), key=_id_of))
        counts = {row[0]: row for one in reports for row in one.counts}
        if counts:
            await _add_counts(connection, counts)
        instances = {one.instance[:2]: one.instance for one in reports if one.instance is not None}
        if instances:
            await connection.executemany(_SEE_INSTANCE, [instances[key] for key in sorted(instances)])


async def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    # One COPY of all rows would encode them without a turn for anybody else.
    for start in range(0, len(rows), _ROWS_A_COPY):
        part = rows[start : start + _ROWS_A_COPY]
        await connection.copy_records_to_table(table, records=part, columns=columns)


async def _insert(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    if rows:
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        await connection.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT DO NOTHING",  # noqa: S608 (constants)
            rows,
        )


async def _add_counts(connection: Connection, counts: dict[str, Row]) -> None:
    fresh = await connection.fetch(_TAKE_RECEIPTS, sorted(counts))
    sums: dict[Row, int] = {}
    for (count_id,) in fresh:
        *key, count = counts[str(count_id)][1:]
        sums[tuple(key)] = sums.get(tuple(key), 0) + count
    await connection.executemany(_ADD_COUNT, [(*key, sums[key]) for key in sorted(sums)])


def _id_of(row: Row) -> str:
    return str(row[0])


def partition_names(days: Iterable[int]) -> list[str]:
    """What the partitions of these days are called."""
    return [name_of(table, day) for day in days for table in TABLES]


_EXPOSURE: Final = ("id", "environment_id", "flag", "variant", "targeting_key", "at")
_OUTCOME: Final = ("id", "environment_id", "name", "value", "targeting_key", "at")
_TAKE_RECEIPTS: Final = """
INSERT INTO count_receipt (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id
"""
_ADD_COUNT: Final = """
INSERT INTO exposure_count (environment_id, flag, variant, reason, minute, count) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (environment_id, flag, minute, variant, reason)
DO UPDATE SET count = exposure_count.count + excluded.count
"""
# Reports may overtake each other: an older one changes nothing but the sum of what was dropped.
_SEE_INSTANCE: Final = """
INSERT INTO sdk_instance AS known (environment_id, id, sdk, sdk_version, application, version, build, epoch, revision,
    reached_at, first_seen, last_seen, dropped)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10::timestamptz, $12), $12, $12, $11)
ON CONFLICT (environment_id, id) DO UPDATE SET
    sdk = excluded.sdk, sdk_version = excluded.sdk_version, application = excluded.application,
    version = excluded.version, build = excluded.build, epoch = excluded.epoch, revision = excluded.revision,
    reached_at = CASE
        WHEN $10::timestamptz IS NULL AND (known.epoch, known.revision) = (excluded.epoch, excluded.revision)
        THEN known.reached_at ELSE excluded.reached_at END,
    last_seen = excluded.last_seen, dropped = greatest(known.dropped, excluded.dropped)
WHERE known.last_seen <= excluded.last_seen
"""
