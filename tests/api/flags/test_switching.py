"""Switching a flag: what it asks of the store, and what a writer finds who had to wait for another one."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.api.stage import Stage
from tests.api.statements import listening_to
from tests.api.store import database
from tests.api.verbs import NEW_FLAG

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.clock import SystemClock
from greenroom_server.database.engine import Database
from greenroom_server.delivery.store import StoredReader
from greenroom_server.errors import PreconditionFailed
from greenroom_server.flags.service_configurations import roll_out, switch_flag
from greenroom_server.flags.service_flags import create_flag
from greenroom_server.flags.service_place import get_place
from greenroom_server.flags.service_scope import find_environment_id, find_place, get_project
from greenroom_server.flags.wire import FlagIn, RolloutIn
from greenroom_server.flags.work import Work
from greenroom_server.web.conditional import IfMatch, etag_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAG = "switched"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _flag(stage: Stage) -> None:
    await stage.made(FLAG)


def work_in(session: AsyncSession, if_match: IfMatch | None = None) -> Work:
    admin = Principal(UUID(int=1), "tests", "admin", PERMISSIONS["admin"])
    return Work(session, admin, SystemClock().now(), if_match)


async def switch(opened: Database, stage: Stage, *, enabled: bool, if_match: IfMatch | None = None) -> Any:
    async with opened.transaction() as session:
        path = (stage.key, "production", FLAG)
        return (await switch_flag(work_in(session, if_match), path, enabled=enabled)).result


async def waits(stage: Stage, other: "asyncio.Task[Any]") -> None:
    """Until somebody waits for a lock."""
    async with database(stage.url) as looking, asyncio.timeout(10):
        while True:
            assert not other.done()
            async with looking.reading() as session:
                if await session.scalar(text(WAITING)):
                    return


async def test_switching_takes_five_statements(stage: Stage) -> None:
    """Begin, the locked place, what becomes of it, the audit event, commit; and one more for a document that grows."""
    async with database(stage.url, pool_size=1) as opened:
        await switch(opened, stage, enabled=False)
        asked = await listening_to(opened)
        for enabled in (True, False):
            await switch(opened, stage, enabled=enabled)
            assert len(said := await asked.since()) == 5, said
        async with opened.transaction() as session:
            await roll_out(work_in(session), (stage.key, "production", FLAG), RolloutIn(percent=20))
        assert len(said := await asked.since()) == 6, said


async def test_switching_to_what_it_is_writes_nothing(stage: Stage) -> None:
    """Begin, the locked place, commit."""
    async with database(stage.url, pool_size=1) as opened:
        await switch(opened, stage, enabled=True)
        asked = await listening_to(opened)
        await switch(opened, stage, enabled=True)
        assert len(said := await asked.since()) == 3, said


async def test_a_look_takes_three_statements_and_a_change_two_more(stage: Stage) -> None:
    """Begin, the epoch with the revisions, rollback; and for news the changes and the flags that they touch."""
    async with database(stage.url, pool_size=1) as opened:
        await switch(opened, stage, enabled=False)
        async with opened.reading() as session:
            id_ = await find_environment_id(session, stage.key, "production")
            assert id_ is not None
            await StoredReader(session).standing([id_])  # the driver learns what an array is
        asked = await listening_to(opened)

        async with opened.reading() as session:
            _, revisions = await StoredReader(session).standing([id_])
        assert len(said := await asked.since()) == 3, said

        await switch(opened, stage, enabled=True)
        await asked.since()
        async with opened.reading() as session:
            await StoredReader(session).standing([id_])
            change = await StoredReader(session).load_change(id_, revisions[id_])
        assert len(said := await asked.since()) == 5, said
    assert change is not None
    assert list(change["flags"]["put"]) == [FLAG]


async def after_waiting(
    stage: Stage,
    first: Callable[[AsyncSession], Awaitable[None]],
    second: Callable[[Database], Coroutine[Any, Any, Any]],
) -> Any:
    """What `second` gives, which had to wait for the transaction of `first`."""
    async with database(stage.url) as opened:
        async with opened.transaction() as session:
            await get_project(session, stage.key, lock=True)
            waiting = asyncio.create_task(second(opened))
            await waits(stage, waiting)
            await first(session)
        return await waiting


async def test_who_waited_finds_what_was_left(stage: Stage) -> None:
    """The flag, its configuration and the revision are those of the writer before, although they were asked for
    earlier; and rows that the writer before changes after that do not make the two wait for each other.
    """

    async def rename_and_switch(session: AsyncSession) -> None:
        project = await get_project(session, stage.key)
        environment, flag, row = await find_place(session, project, "production", FLAG)
        environment.revision += 7
        flag.track_exposures = "none"
        row.version += 3
        await session.flush()

    async def look(opened: Database) -> Any:
        async with opened.transaction() as session:
            return await get_place(session, (stage.key, "production", FLAG), lock=True)

    async with database(stage.url) as opened, opened.reading() as session:
        before = await get_place(session, (stage.key, "production", FLAG))
    place = await after_waiting(stage, rename_and_switch, look)

    assert place.environment.revision == before.environment.revision + 7
    assert place.configuration.version == before.configuration.version + 3
    assert place.flag.track_exposures == "none"


async def test_who_waited_with_an_old_version_is_refused(stage: Stage) -> None:
    """`If-Match` is compared with what the writer before left."""

    async def first(session: AsyncSession) -> None:
        await switch_flag(work_in(session), (stage.key, "production", FLAG), enabled=True)

    version = (await stage.got(stage.flag(FLAG, "production")))["version"]
    with pytest.raises(PreconditionFailed):
        await after_waiting(
            stage,
            first,
            lambda opened: switch(opened, stage, enabled=False, if_match=IfMatch.parse(etag_of(version))),
        )


async def test_who_waited_for_a_new_flag_finds_it(stage: Stage) -> None:
    """A flag that was made while its switch waited is there."""

    async def first(session: AsyncSession) -> None:
        await create_flag(work_in(session), stage.key, FlagIn.model_validate(NEW_FLAG))

    async def second(opened: Database) -> Any:
        async with opened.transaction() as session:
            path = (stage.key, "production", NEW_FLAG["key"])
            return (await switch_flag(work_in(session), path, enabled=True)).result

    assert (await after_waiting(stage, first, second)).enabled
