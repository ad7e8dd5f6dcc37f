"""One real PostgreSQL for the test run, and a copy of a migrated database for each test that wants one."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from greenroom_server.core import store_of
from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.database.engine import Database
from greenroom_server.database.migrate import migrate

# Nobody misses these databases after a power cut, and `greenroom.disposable` tells the start-up check so.
DISPOSABLE = {
    "fsync": "off",
    "full_page_writes": "off",
    "greenroom.disposable": "on",
}
Result = TypeVar("Result")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The server of this test process; its own database stays empty."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-tests-"))
    folder.chmod(0o711)  # started by root, PostgreSQL runs as somebody else
    try:
        with EmbeddedPostgres(folder / "data", settings=DISPOSABLE) as url:
            yield url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The name of a migrated database, to be copied and never connected to."""
    execute(postgres_url, 'CREATE DATABASE "template_greenroom"')
    run(migrate(with_database(postgres_url, "template_greenroom")))
    return "template_greenroom"


@pytest.fixture
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """A migrated, empty database of this test's own."""
    name = f"test_{uuid4().hex}"
    execute(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    yield with_database(postgres_url, name)
    execute(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database of this test's own in which nothing was migrated."""
    name = f"test_{uuid4().hex}"
    execute(postgres_url, f'CREATE DATABASE "{name}" STRATEGY FILE_COPY')
    yield with_database(postgres_url, name)
    execute(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The unit of work on this test's own database."""
    made = store_of(database_url, pool_size=5)
    yield made
    await made.dispose()


def with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def execute(url: str, statement: str) -> None:
    async def work() -> None:
        connection = await connect(url, Timeouts(statement_s=60), purpose="greenroom tests")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    run(work())


def run(work: Coroutine[Any, Any, Result]) -> Result:
    # A loop of its own: the test's may exist already, but is not running while fixtures are made.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
