"""The lock of a service in an environment: one transaction at a time, and nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from tests.api.releases.conftest import Releases, digest_of, done
from tests.api.store import database

from greenroom_server.access.principal import Principal
from greenroom_server.clock import SystemClock
from greenroom_server.database.engine import Database
from greenroom_server.flags.work import Work
from greenroom_server.releases.service_places import NO_SERVICE, lock_places
from greenroom_server.releases.service_scope import open_ledger, place_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPETITIONS: Final = 200
WITHIN_S: Final = 60
_FEW: Final = [("web", "production"), ("api", "production"), ("web", "staging"), (NO_SERVICE, "production")]
_WAITING: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest_asyncio.fixture(loop_scope="session")
async def opened(releases: Releases) -> AsyncIterator[Database]:
    async with database(releases.stage.url, pool_size=6) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def project_id(releases: Releases, opened: Database) -> UUID:
    async with opened.reading() as session:
        return (await place_of(Work(session, somebody(), SystemClock().now()), releases.stage.key)).project_id


def somebody() -> Principal:
    return Principal(uuid4(), "test", "admin", frozenset())


async def test_one_at_a_time_in_two_hundred_races(opened: Database, project_id: UUID) -> None:
    """Those who lock the same places, named in whatever order, never overlap, and none of them is turned away."""
    held: set[tuple[str, str]] = set()

    async def hold(pairs: Sequence[tuple[str, str]]) -> None:
        async with opened.transaction() as session:
            await lock_places(Work(session, somebody(), SystemClock().now()), project_id, pairs)
            assert not held.intersection(pairs)
            held.update(pairs)
            await session.execute(text("SELECT pg_advisory_xact_lock(1)"))  # lets the others run
            held.difference_update(pairs)

    async with asyncio.timeout(WITHIN_S):
        for number in range(REPETITIONS):
            new = [(f"service-{number}", "production")]  # one whose first users meet
            pairs = _FEW + new
            await asyncio.gather(hold(pairs), hold(pairs[::-1]), hold(pairs[2:]), hold(new))


async def test_who_waited_reads_what_the_holder_left(releases: Releases, opened: Database, project_id: UUID) -> None:
    """A deployment that is started while somebody holds its place is told only once they let go."""
    body = {"digest": digest_of(1), "environment": "production"}
    async with opened.transaction() as session:
        work = Work(session, somebody(), SystemClock().now())
        await lock_places(work, project_id, [("web", "production")])
        start = asyncio.create_task(releases.pipeline.post(releases.deployments, json=body))
        async with asyncio.timeout(WITHIN_S):
            while not (await session.execute(_WAITING)).scalar_one():
                pass
        seq_before = (await open_ledger(work, releases.stage.key)).row.seq  # the other holds no ledger while it waits

    made = done(await start)

    assert made["seq"] == seq_before + 1


async def test_other_places_are_free(releases: Releases, opened: Database, project_id: UUID) -> None:
    """Who deploys to staging does not wait for who decides on production."""
    async with opened.transaction() as session:
        work = Work(session, somebody(), SystemClock().now())
        await lock_places(work, project_id, [("web", "production")])

        body = {"digest": digest_of(1), "environment": "staging"}
        assert done(await releases.pipeline.post(releases.deployments, json=body))["state"] == "started"
