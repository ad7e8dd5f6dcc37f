"""The first administrator: once, with the token that the server printed last."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.api.conftest import serving
from tests.api.contract.client import ContractClient
from tests.api.store import contents, database

from greenroom_server.access import secrets
from greenroom_server.access import service as access

pytestmark = pytest.mark.asyncio
SETUP = "/api/v1/setup"


@pytest_asyncio.fixture
async def fresh(database_url: str, tmp_path: Path) -> AsyncIterator[ContractClient]:
    """A server that nobody has set up."""
    async for server in serving(database_url, tmp_path):
        async with ContractClient(server) as client:
            yield client


async def printed(url: str) -> str:
    async with database(url) as opened, opened.transaction() as session:
        token = await access.new_setup_token(session)
    assert token is not None
    return token


async def test_token_is_traded(fresh: ContractClient, database_url: str) -> None:
    """The set-up token gives an administrator's token, which works at once."""
    reply = await fresh.post(SETUP, json={"setup_token": await printed(database_url), "name": "Ada"})

    assert (reply.status_code, reply.json()["kind"], reply.json()["created_by"]) == (201, "admin", "setup")
    whoami = await fresh.bearing(reply.json()["token"]).get("/api/v1/whoami")
    assert whoami.json()["name"] == "Ada"


async def test_only_once(fresh: ContractClient, database_url: str) -> None:
    """The second time it is gone, with the right token and with any."""
    token = await printed(database_url)
    await fresh.post(SETUP, json={"setup_token": token})

    for again in (token, secrets.mint("setup"), "nonsense"):
        assert (await fresh.post(SETUP, json={"setup_token": again})).status_code == 410


async def test_once_also_at_the_same_time(fresh: ContractClient, database_url: str) -> None:
    """Of eight at once one wins."""
    token = await printed(database_url)

    replies = await asyncio.gather(*(fresh.post(SETUP, json={"setup_token": token}) for _ in range(8)))

    assert sorted(reply.status_code for reply in replies) == [201, *[410] * 7]


async def test_wrong_tokens(fresh: ContractClient, database_url: str) -> None:
    """Another token, one printed earlier and none at all do not open the door."""
    earlier = await printed(database_url)
    await printed(database_url)

    for wrong in (earlier, secrets.mint("setup"), secrets.mint("admin"), ""):
        assert (await fresh.post(SETUP, json={"setup_token": wrong})).status_code == 403


async def test_before_any_token_was_printed(fresh: ContractClient) -> None:
    """Without a printed token nothing fits."""
    assert (await fresh.post(SETUP, json={"setup_token": ""})).status_code == 403


async def test_dry_run(fresh: ContractClient, database_url: str) -> None:
    """A dry run shows no token, uses nothing up and leaves no trace."""
    token = await printed(database_url)
    before = await contents(database_url)

    reply = await fresh.post(SETUP, json={"setup_token": token}, params={"dry_run": "true"})

    assert (reply.status_code, reply.json()["result"]["token"]) == (200, "")
    assert await contents(database_url) == before
    assert (await fresh.post(SETUP, json={"setup_token": token})).status_code == 201


async def test_no_setup_token_after_set_up(fresh: ContractClient, database_url: str) -> None:
    """A server that is set up prints none."""
    await fresh.post(SETUP, json={"setup_token": await printed(database_url)})

    async with database(database_url) as opened, opened.transaction() as session:
        assert await access.new_setup_token(session) is None
