"""The queue in front of the store: bounded, and honest about what is on disk."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from tests.api.exposures.batches import new_id

from greenroom_server.database.engine import Database
from greenroom_server.errors import TooManyRequests, Unavailable
from greenroom_server.exposures.intake import Bounds, Intake
from greenroom_server.exposures.partitions import day_of_id
from greenroom_server.exposures.service_intake import Report

pytestmark = pytest.mark.asyncio
ENVIRONMENT = uuid4()
_MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outcome'::regclass"


def report(rows: int = 1, *, size: int = 100, day: int | None = None, text: str = "user-1") -> Report:
    """A report of so many outcomes."""
    made = Report(ENVIRONMENT, size)
    for _ in range(rows):
        id_ = new_id()
        made.days.add(day_of_id(id_) if day is None else day)
        made.outcomes.append((id_, ENVIRONMENT, "order", None, text, _MOMENT))
    return made


async def stored(database: Database) -> int:
    connection = await database.connect()
    try:
        return int(await connection.fetchval("SELECT count(*) FROM outcome"))  # type: ignore[no-untyped-call]
    finally:
        await connection.close()


async def test_what_is_past_the_bounds_is_refused_and_the_rest_stored(database: Database) -> None:
    """With nobody writing yet the queue fills up to its rows; once somebody writes there is room again."""
    intake = Intake(database, Bounds(rows=12))
    waiting = [asyncio.create_task(intake.accept(report(5))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests) as refused:
        await intake.accept(report(5))
    assert refused.value.retry_after_s >= 1

    await intake.start()
    await asyncio.gather(*waiting)
    assert (await stored(database), intake.rows, intake.size) == (10, 0, 0)
    await intake.accept(report(5))
    await intake.close()
    assert await stored(database) == 15


async def test_bytes_are_bounded_too(database: Database) -> None:
    """Few rows may be large; one report alone is always taken."""
    intake = Intake(database, Bounds(size=1_000))
    first = asyncio.create_task(intake.accept(report(size=5_000)))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await intake.accept(report(size=1))
    await intake.start()
    await first
    await intake.close()


async def test_a_report_that_cannot_be_stored_takes_no_other_down(database: Database) -> None:
    """Of a group of three the two good ones are stored, and the bad one alone is refused."""
    intake = Intake(database)
    reports = [report(), report(text="\0"), report()]
    waiting = [asyncio.create_task(intake.accept(one)) for one in reports]
    await asyncio.sleep(0)
    await intake.start()
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert [answer is None for answer in answers] == [True, False, True]
    assert (await stored(database), intake.rows) == (2, 0)
    await intake.close()


async def test_a_store_that_is_away_is_told_at_once() -> None:
    """Everything that waits fails as unavailable, and so does what comes in the second after."""
    intake = Intake(Database("postgresql://greenroom@/postgres?host=/nonexistent&port=5432"))
    await intake.start()
    with pytest.raises(Unavailable):
        await intake.accept(report())
    with pytest.raises(Unavailable):
        await intake.accept(report())
    assert intake.rows == 0
    await intake.close()


async def test_a_partition_that_was_dropped_is_made_again(database: Database) -> None:
    """Another server may drop what this one believes to be there."""
    intake = Intake(database)
    await intake.start()
    first = report()
    await intake.accept(first)
    connection = await database.connect()
    for row in await connection.fetch(PARTITIONS):
        await connection.execute(f"DROP TABLE {row[0]}")
    await connection.close()
    await intake.accept(report())
    assert await stored(database) == 1
    await intake.close()


async def test_days_follow_from_ids() -> None:
    """The id's first 48 bits are milliseconds since 1970."""
    assert day_of_id(str(UUID(int=(3 * 86_400_000) << 80))) == 3
    assert day_of_id(str(UUID(int=(3 * 86_400_000 - 1) << 80))) == 2
