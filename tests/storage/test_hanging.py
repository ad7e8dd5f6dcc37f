"""A PostgreSQL that hangs is worse than one that is down: every step has an end all the same."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
import pytest_asyncio
from sqlalchemy import text

from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.database.engine import Database
from greenroom_server.errors import Unavailable

Freeze = Callable[[int], AbstractContextManager[None]]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def pid_of(server: EmbeddedPostgres) -> int:
    assert server.pid is not None
    return server.pid


@pytest_asyncio.fixture
async def database(own_server: EmbeddedPostgres) -> AsyncIterator[Database]:
    made = Database(own_server.start(), pool_size=3)
    async with made.transaction() as session:
        await session.execute(text("CREATE TABLE thing (id int)"))
    yield made
    await made.dispose()


async def look(database: Database) -> None:
    async with database.reading() as session:
        await session.execute(text("SELECT count(*) FROM thing"))


async def glance(database: Database) -> None:
    await database.glance("SELECT count(*) FROM thing")


@pytest.mark.parametrize("look", [look, glance])
@pytest.mark.asyncio
async def test_a_new_transaction_is_unavailable_soon_and_works_again_later(
    look: Callable[[Database], Awaitable[None]], database: Database, own_server: EmbeddedPostgres, frozen: Freeze
) -> None:
    """With a connection from the pool, with a new one and with none left; afterwards as if nothing had been."""
    with frozen(pid_of(own_server)):
        for _ in range(2):
            with within(4), pytest.raises(Unavailable):
                await look(database)
        with within(6):
            results = await asyncio.gather(*(look(database) for _ in range(12)), return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)

    with within(4):
        await look(database)
    assert database.in_use == 0


@pytest.mark.parametrize("ending", ["statement", "commit", "raise"])
@pytest.mark.asyncio
async def test_a_transaction_that_was_open_ends_in_time(
    database: Database, own_server: EmbeddedPostgres, frozen: Freeze, ending: str
) -> None:
    """Whether it is the next statement, the commit or the rollback that meets the hanging server."""

    async def work(stack: ExitStack) -> None:
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO thing VALUES (1)"))
            stack.enter_context(frozen(pid_of(own_server)))
            if ending == "statement":
                await session.execute(text("INSERT INTO thing VALUES (2)"))
            if ending == "raise":
                raise ZeroDivisionError

    with ExitStack() as stack, within(7), pytest.raises((Unavailable, ZeroDivisionError)):
        await work(stack)

    assert database.in_use == 0
    await look(database)


@pytest.mark.asyncio
async def test_a_cancelled_task_ends_in_time(database: Database, own_server: EmbeddedPostgres, frozen: Freeze) -> None:
    """A client that hangs up does not wait for the server, and its connection is free again."""
    sleeping = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as session:
            sleeping.set()
            await session.execute(text("SELECT pg_sleep(3)"))

    task = asyncio.create_task(work())
    await sleeping.wait()
    with frozen(pid_of(own_server)):
        task.cancel()
        with within(2), pytest.raises(asyncio.CancelledError):
            await task
        assert database.in_use == 0


@pytest.mark.asyncio
async def test_disposing_ends_in_time(database: Database, own_server: EmbeddedPostgres, frozen: Freeze) -> None:
    """A graceful shutdown does not wait for the goodbye of a hanging server."""
    await asyncio.gather(*(look(database) for _ in range(3)))

    with frozen(pid_of(own_server)), within(4):
        await database.dispose()


@pytest.mark.asyncio
async def test_a_server_that_is_down_is_unavailable_at_once(database: Database, own_server: EmbeddedPostgres) -> None:
    """A refused connection needs no patience, and a restarted server no new pool."""
    own_server.stop()
    with within(1), pytest.raises(Unavailable):
        await look(database)

    own_server.start()
    await look(database)
