"""The change feed notices every change, hints or no hints."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager

import pytest
from sqlalchemy import text

from greenroom_server.database.change_feed import ChangeFeed
from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.database.engine import Database, announce
from greenroom_server.errors import Unavailable

NEVER_S = 3600.0
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
Freeze = Callable[[int], AbstractContextManager[None]]
LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'greenroom listen' AND datname = current_database()"
)


class Reader:
    """Reads a counter out of the store at each tick."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.seen = -1
        self.ticks = 0

    async def __call__(self) -> None:
        self.ticks += 1
        async with self.database.reading() as session:
            self.seen = await session.scalar(text("SELECT number FROM counter")) or 0


async def create(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE counter AS SELECT 0 AS number"))


async def count(database: Database, *, loudly: bool = True, dry_run: bool = False) -> None:
    async with database.transaction(dry_run=dry_run) as session:
        await session.execute(text("UPDATE counter SET number = number + 1"))
        if loudly:
            await announce(session)


@asynccontextmanager
async def running(
    database: Database, on_tick: Callable[[], Awaitable[None]], interval_s: float
) -> AsyncIterator[ChangeFeed]:
    feed = ChangeFeed(database, on_tick, interval_s=interval_s)
    await feed.start()
    try:
        yield feed
    finally:
        await feed.stop()


@pytest.mark.asyncio
async def test_a_hint_is_enough(database: Database, eventually: Eventually) -> None:
    """A committed and announced change is noticed at once, without the interval."""
    await create(database)
    reader = Reader(database)

    async with running(database, reader, NEVER_S) as feed:
        await eventually(lambda: feed.is_listening and reader.seen == 0)
        await count(database)
        await eventually(lambda: reader.seen == 1)


@pytest.mark.asyncio
async def test_the_interval_is_enough(database: Database, eventually: Eventually) -> None:
    """A change whose hint is lost is noticed at the next interval."""
    await create(database)
    reader = Reader(database)

    async with running(database, reader, 0.05) as feed:
        await eventually(lambda: feed.is_listening and reader.seen == 0)
        await count(database, loudly=False)
        await eventually(lambda: reader.seen == 1)


@pytest.mark.asyncio
async def test_what_this_process_commits_is_looked_for_once(
    database: Database, database_url: str, eventually: Eventually
) -> None:
    """The feed is woken by the commit itself and passes over the hint that follows; hints of others it takes."""
    await create(database)
    reader = Reader(database)
    elsewhere = Database(database_url, pool_size=1)

    async with running(database, reader, NEVER_S) as feed:
        await eventually(lambda: feed.is_listening and reader.ticks == 2)  # at the start, and when it listens
        await count(database)
        await eventually(lambda: reader.seen == 1 and reader.ticks == 3)
        await count(elsewhere)
        await eventually(lambda: reader.seen == 2)
        assert reader.ticks == 4
    await elsewhere.dispose()


@pytest.mark.asyncio
async def test_the_feed_rests_between_ticks(database: Database, eventually: Eventually) -> None:
    """Woken without end, it leaves writers more time than it takes, and goes on."""
    worked = 0.0

    async def work() -> None:
        nonlocal worked
        begun = time.monotonic()
        while time.monotonic() - begun < 0.002:
            pass
        worked += time.monotonic() - begun

    async with running(database, work, NEVER_S) as feed:
        begun = time.monotonic()
        async with asyncio.timeout(10):
            while worked < 0.05:
                feed.wake()
                await asyncio.sleep(0)
        assert worked < (time.monotonic() - begun) / 2


@pytest.mark.asyncio
async def test_what_is_rolled_back_is_not_announced(database: Database, eventually: Eventually) -> None:
    """No hint leaves a transaction that did not commit."""
    await create(database)
    hints: list[str] = []
    listener = await database.connect()
    await listener.listen("greenroom", lambda: hints.append("hint"), lambda: None)

    await count(database, dry_run=True)
    assert hints == []
    await count(database)
    await eventually(lambda: bool(hints))
    assert hints == ["hint"]
    await listener.close()


@pytest.mark.asyncio
async def test_a_killed_listener_listens_again(database: Database, eventually: Eventually) -> None:
    """After `pg_terminate_backend` hints arrive again, and what was announced meanwhile is not missed."""
    await create(database)
    reader = Reader(database)

    async with running(database, reader, NEVER_S) as feed:
        await eventually(lambda: feed.is_listening and reader.seen == 0)
        async with database.reading() as session:
            await session.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM ({LISTENERS}) AS listener"))
        await count(database)
        await eventually(lambda: reader.seen == 1)
        await count(database)
        await eventually(lambda: reader.seen == 2)


@pytest.mark.asyncio
async def test_ticks_do_not_overlap_and_bursts_become_one(database: Database, eventually: Eventually) -> None:
    """Any number of hints during a tick lead to exactly one more."""
    going, most, ticks = 0, 0, 0
    gate = asyncio.Event()

    async def on_tick() -> None:
        nonlocal going, most, ticks
        going, ticks = going + 1, ticks + 1
        most = max(most, going)
        await gate.wait()
        going -= 1

    async with running(database, on_tick, NEVER_S) as feed:
        await eventually(lambda: ticks == 1 and feed.is_listening)
        for _ in range(100):
            feed.wake()
        gate.set()
        await eventually(lambda: ticks == 2)
    assert (most, ticks) == (1, 2)


@pytest.mark.asyncio
async def test_a_tick_that_raises_is_tried_again(database: Database, eventually: Eventually) -> None:
    """Whatever it raises, the feed goes on, and its state tells."""
    is_broken = True
    calls = 0

    async def on_tick() -> None:
        nonlocal calls
        calls += 1
        if is_broken:
            raise ZeroDivisionError

    async with running(database, on_tick, 0.01) as feed:
        await eventually(lambda: calls > 3)
        assert not feed.is_healthy
        assert feed.last_success is None
        is_broken = False
        await eventually(lambda: feed.is_healthy)
        assert feed.last_success is not None


@pytest.mark.asyncio
async def test_a_hanging_server_is_survived(
    own_server: EmbeddedPostgres, frozen: Freeze, eventually: Eventually
) -> None:
    """While PostgreSQL hangs the feed is unhealthy; when it goes on, changes are noticed again."""
    database = Database(own_server.start())
    await create(database)
    reader = Reader(database)

    async with running(database, reader, 0.1) as feed:
        await eventually(lambda: feed.is_healthy)
        assert own_server.pid is not None
        with frozen(own_server.pid):
            await eventually(lambda: not feed.is_healthy)
        await eventually(lambda: feed.is_healthy)
        await count(database, loudly=False)
        await eventually(lambda: reader.seen == 1)
    await database.dispose()


@pytest.mark.asyncio
async def test_a_restarted_server_is_survived(own_server: EmbeddedPostgres, eventually: Eventually) -> None:
    """After a restart of PostgreSQL the feed listens again."""
    database = Database(own_server.start())
    await create(database)
    reader = Reader(database)

    async with running(database, reader, 0.1) as feed:
        await eventually(lambda: feed.is_healthy and feed.is_listening)
        own_server.stop()
        await eventually(lambda: not feed.is_healthy and not feed.is_listening)
        own_server.start()
        await eventually(lambda: feed.is_healthy and feed.is_listening)
        await count(database)
        await eventually(lambda: reader.seen == 1)
    await database.dispose()


@pytest.mark.asyncio
@pytest.mark.parametrize("raises", [False, True])
async def test_the_first_tick_can_be_waited_for(database: Database, raises: bool) -> None:
    """Until it ended, well or badly; and no longer than wanted."""
    may_end = asyncio.Event()

    async def tick() -> None:
        await may_end.wait()
        if raises:
            raise Unavailable

    async with running(database, tick, NEVER_S) as feed:
        begun = time.monotonic()
        await feed.wait_for_first_tick(0.05)
        assert time.monotonic() - begun >= 0.05
        waiting = asyncio.create_task(feed.wait_for_first_tick(NEVER_S))
        may_end.set()
        await waiting
        assert feed.is_healthy is not raises
