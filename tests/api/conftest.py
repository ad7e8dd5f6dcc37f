"""The whole server in memory, with the example project and a token of every kind, behind a client that checks.

The example is imported once per test run, into a database that each test then gets a copy of.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.api.contract.client import ContractClient
from tests.conftest import execute, run, with_database

from greenroom_server.access import service as access
from greenroom_server.access.principal import Principal
from greenroom_server.access.wire import SetupIn, TokenCreated, TokenIn
from greenroom_server.app import Server, create_app
from greenroom_server.clock import SystemClock
from greenroom_server.core import store_of
from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.flags.service_import import import_project
from greenroom_server.flags.service_scope import find_environment_id
from greenroom_server.flags.work import Work
from greenroom_server.seed import PROJECT, example_document
from greenroom_server.settings import Settings

# A token of each kind without limits, and the limited and fallen ones. `other` names nothing that exists.
TOKENS = {
    "admin": TokenIn(name="admin", kind="admin"),
    "manager": TokenIn(name="manager", kind="manager"),
    "developer": TokenIn(name="developer", kind="developer"),
    "pipeline": TokenIn(name="pipeline", kind="pipeline"),
    "server": TokenIn(name="server", kind="server", project=PROJECT, environment="production"),
    "client": TokenIn(name="client", kind="client", project=PROJECT, environment="production"),
    "server of staging": TokenIn(name="server", kind="server", project=PROJECT, environment="staging"),
    "admin of shop": TokenIn(name="admin", kind="admin", projects=[PROJECT]),
    "admin of another project": TokenIn(name="admin", kind="admin", projects=["other"]),
    "manager of another project": TokenIn(name="manager", kind="manager", projects=["other"]),
    "manager of another environment": TokenIn(name="manager", kind="manager", environments=["other"]),
    "developer of development": TokenIn(
        name="developer", kind="developer", projects=[PROJECT], environments=["development"]
    ),
    "revoked": TokenIn(name="revoked", kind="admin"),
    "expired": TokenIn(name="expired", kind="admin", expires_at=datetime(2999, 1, 1, tzinfo=UTC)),
}


class Example:
    """A database with the example in it, to be copied, and the texts and ids of the tokens in it."""

    def __init__(self, template: str, created: dict[str, TokenCreated]) -> None:
        self.template = template
        self.tokens = {name: one.token for name, one in created.items()}
        self.token_ids = {name: str(one.id) for name, one in created.items()}


@pytest.fixture(scope="session")
def example(postgres_url: str, template: str) -> Example:
    """The project `shop` as the seed command makes it, and `TOKENS`."""
    name = "template_example"
    execute(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    return Example(name, run(_fill(with_database(postgres_url, name))))


@pytest.fixture
def example_url(postgres_url: str, example: Example) -> Iterator[str]:
    """A copy of the example's database for one test."""
    yield from copy_of(postgres_url, example)


@pytest_asyncio.fixture
async def server(example_url: str, tmp_path: Path) -> AsyncIterator[Server]:
    """The server on this test's own copy of the example."""
    async for opened in serving(example_url, tmp_path):
        yield opened


@pytest.fixture(scope="module")
def shared_url(postgres_url: str, example: Example) -> Iterator[str]:
    """A copy of the example's database for tests that leave it as it is."""
    yield from copy_of(postgres_url, example)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_server(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server for a module's tests, which mark themselves with `loop_scope="module"`."""
    async for opened in serving(shared_url, tmp_path_factory.mktemp("shared")):
        yield opened


@pytest_asyncio.fixture
async def anonymous(server: Server) -> AsyncIterator[ContractClient]:
    """A client without a credential; `.bearing(token)` gives one with."""
    async with ContractClient(server) as client:
        yield client


@pytest_asyncio.fixture
async def admin(server: Server, tokens: dict[str, str]) -> AsyncIterator[ContractClient]:
    """A client that may do everything an administrator may."""
    async with ContractClient(server).bearing(tokens["admin"]) as client:
        yield client


@pytest.fixture
def tokens(example: Example) -> dict[str, str]:
    """The texts of `TOKENS` by their names here."""
    return example.tokens


def copy_of(postgres_url: str, example: Example) -> Iterator[str]:
    """A copy of the example's database, dropped in the end."""
    name = f"test_{uuid4().hex}"
    execute(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{example.template}" STRATEGY FILE_COPY')
    yield with_database(postgres_url, name)
    execute(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def serving(url: str, data_dir: Path, **settings: object) -> AsyncIterator[Server]:
    """The server, opened; closed in the end."""
    opened = create_app(Settings.model_validate({"database_url": url, "data_dir": data_dir, **settings}))
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def _fill(url: str) -> dict[str, TokenCreated]:
    database = store_of(url, pool_size=2)
    now = SystemClock().now()
    try:
        async with database.transaction() as session:
            await access.ensure_installation(session, now)
            setup_token = await access.new_setup_token(session)
            assert setup_token is not None
            first = await access.set_up(session, SetupIn(setup_token=setup_token), now)
            author = Principal(first.id, "first", "admin", frozenset())
            await import_project(Work(session, _all_powerful(author), now), example_document())
            made = {
                name: await access.create_token(session, author, wanted, find_environment_id, now)
                for name, wanted in TOKENS.items()
            }
            await access.revoke_token(session, author, made["revoked"].id, now)
    finally:
        await database.dispose()
    await _expire(url, made["expired"].id.hex, now)
    return made


def _all_powerful(author: Principal) -> Principal:
    return Principal(author.token_id, author.name, "admin", frozenset({"production.write"}))


async def _expire(url: str, token_id: str, now: datetime) -> None:
    connection = await connect(url, Timeouts(), purpose="greenroom tests")
    try:
        await connection.execute(
            "UPDATE token SET expires_at = $1 WHERE id = $2::uuid", now - timedelta(seconds=1), token_id
        )
    finally:
        await connection.close()
