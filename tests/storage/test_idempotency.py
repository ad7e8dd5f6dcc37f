"""Answers to `Idempotency-Key`s."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from greenroom_server.database.connect import Timeouts
from greenroom_server.database.engine import Database
from greenroom_server.database.idempotency import RememberedReply, SqlIdempotencyStore
from greenroom_server.errors import Conflict, NotFound

REPLY = RememberedReply("f1", 201, {"etag": '"1"', "location": "/x"}, b'{"rate":10.0}')


class MovableClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


async def remember(database: Database, store: SqlIdempotencyStore, reply: RememberedReply = REPLY) -> None:
    async with database.transaction() as session:
        await store.save(session, "scope", "key", reply.fingerprint, reply)


async def recall(database: Database, store: SqlIdempotencyStore, key: str = "key") -> RememberedReply | None:
    async with database.transaction() as session:
        return await store.find(session, "scope", key)


@pytest.mark.asyncio
async def test_a_reply_is_found_as_it_was(database: Database) -> None:
    """Status, headers and the bytes of the body come back; another key has none."""
    store = SqlIdempotencyStore(MovableClock())
    await remember(database, store)

    assert await recall(database, store) == REPLY
    assert await recall(database, store, "other") is None


@pytest.mark.asyncio
async def test_a_reply_is_remembered_only_with_its_effect(database: Database) -> None:
    """What is rolled back was never answered."""
    store = SqlIdempotencyStore(MovableClock())

    async def work() -> None:
        async with database.transaction() as session:
            await store.save(session, "scope", "key", "f1", REPLY)
            raise NotFound

    with pytest.raises(NotFound):
        await work()
    assert await recall(database, store) is None


@pytest.mark.asyncio
async def test_a_second_reply_is_refused(database: Database) -> None:
    """Under one key there is one answer."""
    store = SqlIdempotencyStore(MovableClock())
    await remember(database, store)

    with pytest.raises(Conflict):
        await remember(database, store)


@pytest.mark.asyncio
async def test_a_reply_is_forgotten_after_a_day(database: Database) -> None:
    """An old key is as good as new, whether or not it was pruned."""
    clock = MovableClock()
    store = SqlIdempotencyStore(clock)
    await remember(database, store)
    clock.time += timedelta(hours=24)

    assert await recall(database, store) is None
    await remember(database, store)
    assert await recall(database, store) == REPLY


@pytest.mark.asyncio
async def test_pruning_removes_what_is_old(database: Database) -> None:
    """Only replies older than a day go."""
    clock = MovableClock()
    store = SqlIdempotencyStore(clock)
    await remember(database, store)

    async with database.transaction() as session:
        assert await store.prune(session) == 0
        clock.time += timedelta(hours=24)
        assert await store.prune(session) == 1


@pytest.mark.asyncio
async def test_twins_have_one_effect(database: Database) -> None:
    """Of requests with one key that come at once one does the work, and the others wait and get its answer."""
    store = SqlIdempotencyStore(MovableClock())
    effects = 0

    async def request() -> RememberedReply:
        nonlocal effects
        async with database.transaction() as session:
            earlier = await store.find(session, "scope", "key")
            if earlier is not None:
                return earlier
            effects += 1
            await store.save(session, "scope", "key", "f1", REPLY)
        return REPLY

    assert await asyncio.gather(*(request() for _ in range(5))) == [REPLY] * 5
    assert effects == 1


@pytest.mark.asyncio
async def test_a_twin_that_waits_too_long_is_a_conflict(database_url: str) -> None:
    """The first one is still at work when the second one's patience ends."""
    database = Database(database_url, timeouts=Timeouts(lock_s=0.2))
    store = SqlIdempotencyStore(MovableClock())

    async with database.transaction() as session:
        await store.find(session, "scope", "key")
        with pytest.raises(Conflict, match="still being served"):
            await recall(database, store)
    await database.dispose()
