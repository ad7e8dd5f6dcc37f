"""The unit of work on a real PostgreSQL."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
from asyncpg.exceptions import PostgresError
from sqlalchemy import JSON, Column, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.connect import Timeouts, driver_dsn
from greenroom_server.database.direct import fetch_one
from greenroom_server.database.engine import Database, announce, keep_anyway
from greenroom_server.database.translate import Busy
from greenroom_server.errors import Conflict, NotFound, Unavailable

thing = Table("thing", MetaData(), Column("id", Integer, primary_key=True), Column("document", JSON))


@pytest_asyncio.fixture(autouse=True)
async def _table(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE thing (id int PRIMARY KEY, document json)"))


async def ids(database: Database) -> list[int]:
    async with database.reading() as session:
        return list(await session.scalars(select(thing.c.id).order_by(thing.c.id)))


async def add(database: Database, number: int, document: Any = None, *, dry_run: bool = False) -> None:
    async with database.transaction(dry_run=dry_run) as session:
        await session.execute(insert(thing).values(id=number, document=document))


@pytest.mark.asyncio
async def test_a_block_that_ends_well_is_committed(database: Database) -> None:
    """What was written is there for the next transaction."""
    await add(database, 1)

    assert await ids(database) == [1]


@pytest.mark.asyncio
async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    """The error comes out as it was and the write is undone."""

    async def work() -> None:
        async with database.transaction() as session:
            await session.execute(insert(thing).values(id=1))
            raise NotFound

    with pytest.raises(NotFound):
        await work()
    assert await ids(database) == []


async def refuse(database: Database, keeps: int, error: Exception | None, *, dry_run: bool = False) -> None:
    """Write 1, have `keeps` kept anyway, and end with the error."""

    async def keep(session: AsyncSession) -> None:
        await session.execute(insert(thing).values(id=keeps))

    async with database.transaction(dry_run=dry_run) as session:
        await session.execute(insert(thing).values(id=1))
        keep_anyway(session, keep)
        if error is not None:
            raise error


@pytest.mark.asyncio
async def test_a_refusal_leaves_what_is_kept_anyway(database: Database) -> None:
    """Its writes are undone, and what belongs to the refusal is written by a transaction of its own."""
    with pytest.raises(NotFound):
        await refuse(database, 2, NotFound())
    assert await ids(database) == [2]

    with pytest.raises(NotFound, match="as it was"):
        await refuse(database, 2, NotFound("as it was"))  # it is there already, so it cannot be kept once more
    assert await ids(database) == [2]


@pytest.mark.asyncio
async def test_nothing_is_kept_besides_what_goes_well_or_wrong(database: Database) -> None:
    """Only of what was refused: not of a success, of a dry run, or of a defect."""
    with pytest.raises(NotFound):
        await refuse(database, 2, NotFound(), dry_run=True)
    with pytest.raises(ZeroDivisionError):
        await refuse(database, 3, ZeroDivisionError())
    await refuse(database, 4, None)

    assert await ids(database) == [1]


@pytest.mark.asyncio
async def test_the_sessions_own_commit_does_not_commit(database: Database) -> None:
    """Only the unit of work commits, so a service cannot split it by mistake."""

    async def work() -> None:
        async with database.transaction() as session:
            await session.execute(insert(thing).values(id=1))
            await session.commit()
            raise NotFound

    with pytest.raises(NotFound):
        await work()
    assert await ids(database) == []


@pytest.mark.asyncio
async def test_an_error_that_was_swallowed_is_no_commit(database: Database) -> None:
    """PostgreSQL undoes the transaction of which a statement failed; nobody is told that it was committed."""

    async def work() -> None:
        async with database.transaction() as session:
            await session.execute(insert(thing).values(id=1))
            with suppress(PostgresError):
                await fetch_one(session, "SELECT 1 / 0")

    with pytest.raises(RuntimeError, match="had failed"):
        await work()
    assert await ids(database) == []


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("INSERT INTO thing VALUES (1)", Conflict),
        ("SELECT pg_terminate_backend(pg_backend_pid())", Unavailable),
        ("SELECT pg_sleep(60) FROM set_config('statement_timeout', '10', true)", Busy),
        ("SELECT * FROM no_such_table", PostgresError),
    ],
)
@pytest.mark.asyncio
async def test_errors_straight_from_the_driver_are_translated_too(
    database: Database, sql: str, told: type[Exception]
) -> None:
    """Whichever way a statement goes, callers are told the same; and the pool is fine afterwards."""
    await add(database, 1)

    with pytest.raises(told):
        async with database.transaction() as session:
            await fetch_one(session, sql)
    assert await ids(database) == [1]
    assert database.in_use == 0


@pytest.mark.asyncio
async def test_both_ways_are_one_transaction(database: Database) -> None:
    """What goes straight to the driver is undone with the session's work, and sees what was flushed."""

    async def work() -> None:
        async with database.transaction() as session:
            await session.execute(insert(thing).values(id=1, document={"b": 10.0, "a": None}))
            found = await fetch_one(session, "INSERT INTO thing SELECT 2, document FROM thing RETURNING document")
            assert found is not None
            assert repr(found["document"]) == "{'b': 10.0, 'a': None}"
            assert list(await session.scalars(select(thing.c.id).order_by(thing.c.id))) == [1, 2]
            raise NotFound

    with pytest.raises(NotFound):
        await work()
    assert await ids(database) == []


@pytest.mark.asyncio
async def test_a_single_statement_is_a_transaction_by_itself(database: Database) -> None:
    """It is there at once for everybody, and a failure of it is told as in a transaction, with nothing left behind."""
    async with database.single() as session:
        await fetch_one(session, "INSERT INTO thing (id) VALUES (1)")
        assert await ids(database) == [1]

    with pytest.raises(Conflict):
        async with database.single() as session:
            await fetch_one(session, "INSERT INTO thing (id) VALUES (2), (1)")
    assert await ids(database) == [1]
    assert database.in_use == 0


@pytest.mark.asyncio
async def test_a_single_statement_announces_nothing(database: Database) -> None:
    """What was announced would never be sent: that is a defect, and is told."""
    with pytest.raises(RuntimeError, match="announces nothing"):
        async with database.single() as session:
            await announce(session)


@pytest.mark.asyncio
async def test_a_glance_is_one_row(database: Database) -> None:
    """The first row or none, and errors as from a transaction."""
    await add(database, 7)

    row = await database.glance("SELECT id FROM thing WHERE id = $1", 7)

    assert (row and row["id"], await database.glance("SELECT id FROM thing WHERE id = $1", 8)) == (7, None)
    with pytest.raises(PostgresError):
        await database.glance("SELECT no_such_column FROM thing")
    assert database.in_use == 0


@pytest.mark.asyncio
async def test_a_dry_run_leaves_nothing(database: Database) -> None:
    """A dry run writes, so that it fails where the real one would, and is rolled back."""
    await add(database, 1, dry_run=True)

    assert await ids(database) == []
    with pytest.raises(Conflict):
        async with database.transaction(dry_run=True) as session:
            await session.execute(insert(thing).values([{"id": 1}, {"id": 1}]))


@pytest.mark.asyncio
async def test_a_duplicate_is_a_conflict(database: Database) -> None:
    """A unique violation does not leave the store as a driver error."""
    await add(database, 1)

    with pytest.raises(Conflict):
        await add(database, 1)


@pytest.mark.asyncio
async def test_a_defect_stays_visible(database: Database) -> None:
    """A statement that is wrong is neither the client's fault nor an outage."""
    with pytest.raises(DBAPIError, match="no_such_table"):
        async with database.transaction() as session:
            await session.execute(text("SELECT * FROM no_such_table"))


@pytest.mark.asyncio
async def test_reading_cannot_write(database: Database) -> None:
    """The server itself refuses writes in a reading transaction."""
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with database.reading() as session:
            await session.execute(insert(thing).values(id=1))


@pytest.mark.asyncio
async def test_reading_sees_one_state(database: Database) -> None:
    """A change committed meanwhile is not seen half-way."""
    async with database.reading() as session:
        before = await session.scalar(text("SELECT count(*) FROM thing"))
        await add(database, 1)
        after = await session.scalar(text("SELECT count(*) FROM thing"))

    assert (before, after) == (0, 0)


@pytest.mark.parametrize(
    "document",
    [10.0, 10, {"b": 1, "a": {"z": 1, "y": 10.0}}, 2**53, -(2**53), "ß\u2028\U0001f600", None, [True, 1, 1.5e-7], {}],
    ids=repr,
)
@pytest.mark.asyncio
async def test_a_document_comes_back_as_it_was(database: Database, document: Any) -> None:
    """Number forms, the order of members and the largest integers survive the store."""
    await add(database, 1, document)

    async with database.reading() as session:
        found = await session.scalar(select(thing.c.document))
    assert repr(found) == repr(document)


@pytest.mark.asyncio
async def test_the_session_is_in_utc(database: Database) -> None:
    """Moments are read in UTC whatever the server's zone is."""
    async with database.reading() as session:
        assert await session.scalar(text("SHOW timezone")) == "UTC"


@pytest.mark.asyncio
async def test_a_deadlock_can_be_tried_again(database: Database) -> None:
    """Of two transactions in a deadlock one goes on and the other is told to come again."""
    await add(database, 1)
    await add(database, 2)
    both_hold_one = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.transaction() as session:
            await session.execute(select(thing).where(thing.c.id == first).with_for_update())
            await both_hold_one.wait()
            await session.execute(select(thing).where(thing.c.id == second).with_for_update())

    results = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert {type(result) for result in results} == {Busy, type(None)}


@pytest.mark.asyncio
async def test_a_full_pool_is_unavailable(database_url: str) -> None:
    """Who finds no connection in time is told to come again, and finds one when there is one."""
    small = Database(database_url, pool_size=1, timeouts=Timeouts(acquire_s=0.1))

    async with small.reading():
        with pytest.raises(Unavailable, match="busy"):
            async with small.reading():
                pass
    assert await ids(small) == []
    await small.dispose()


@pytest.mark.asyncio
async def test_connections_that_the_server_closed_are_replaced(database: Database) -> None:
    """After a restart of the server no request pays for the connections that died in the pool."""
    async with database.reading() as one, database.reading() as two, database.reading() as three:
        pids = [await session.scalar(text("SELECT pg_backend_pid()")) for session in (one, two, three)]

    killer = await database.connect()
    for pid in pids:
        await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await killer.close()

    for _ in pids:
        assert await ids(database) == []


@pytest.mark.asyncio
async def test_a_connection_lost_in_mid_transaction_is_unavailable(database: Database) -> None:
    """The outcome is an outage for this request only."""

    async def work() -> None:
        async with database.transaction() as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            killer = await database.connect()
            await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            await killer.close()
            await session.execute(insert(thing).values(id=1))

    with pytest.raises(Unavailable):
        await work()
    assert await ids(database) == []
    assert database.in_use == 0


@pytest.mark.asyncio
async def test_a_slow_statement_is_cut_off(database_url: str) -> None:
    """A statement past its limit is unavailable, and its connection serves on."""
    database = Database(database_url, pool_size=1, timeouts=Timeouts(statement_s=0.3))

    with pytest.raises(Unavailable):
        async with database.reading() as session:
            await session.execute(text("SELECT pg_sleep(30)"))
    assert await ids(database) == []
    await database.dispose()


@pytest.mark.asyncio
async def test_a_migration_under_way_can_be_tried_again(database_url: str) -> None:
    """A statement prepared for the old schema fails once, as something to repeat, and then works."""
    database = Database(database_url, pool_size=1)
    await ids(database)
    migrating = await database.connect()
    await migrating.execute("ALTER TABLE thing ALTER id TYPE bigint")
    await migrating.close()

    with pytest.raises(Busy):
        await ids(database)
    assert await ids(database) == []
    await database.dispose()


@pytest.mark.asyncio
async def test_cancelled_transactions_return_their_connections(
    database: Database, eventually: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    """Tasks cancelled at any moment, some of them twice, leave no connection behind, in the pool or in the server."""
    chance = random.Random(20261123)

    async def work(number: int) -> None:
        async with database.transaction() as session:
            await session.execute(insert(thing).values(id=number))
            await session.execute(text("SELECT pg_sleep(0.005)"))
            await asyncio.sleep(0.002)

    async def cut_short(number: int) -> None:
        task = asyncio.create_task(work(number))
        await asyncio.sleep(chance.uniform(0, 0.03))
        task.cancel()
        await asyncio.sleep(chance.choice([0, 0.001]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for start in range(0, 200, 10):
        await asyncio.gather(*(cut_short(number) for number in range(start, start + 10)))

    await eventually(lambda: database.in_use == 0)
    await asyncio.gather(*(ids(database) for _ in range(20)))
    async with database.reading() as session:
        mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert (await session.scalar(text(mine)) or 0) <= 5
        stuck = await session.scalar(text(f"{mine} AND state = 'idle in transaction' AND pid <> pg_backend_pid()"))
        assert stuck == 0


@pytest.mark.asyncio
async def test_a_server_that_calls_itself_disposable_is_left_in_peace(database: Database) -> None:
    """The tests' server has fsync off and says so."""
    assert await database.check_durability() == []


def test_a_url_of_another_kind_is_refused() -> None:
    """Only PostgreSQL is a store."""
    with pytest.raises(ValueError, match="postgresql://"):
        driver_dsn("mysql://localhost/x")
