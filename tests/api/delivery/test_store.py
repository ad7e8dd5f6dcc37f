"""Delivery over the real store: what authors change through the API is what clients are served."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from tests.unit.delivery.rig import Clock, Keys, Stage

from greenroom_server.app import Server
from greenroom_server.database.engine import Database
from greenroom_server.delivery.service import Delivery
from greenroom_server.delivery.store import StoredFlags

pytestmark = pytest.mark.asyncio

FLAGS = "/api/v1/projects/shop/flags"


class Author:
    """Somebody who changes flags over HTTP, and the SDK key of the same environment."""

    def __init__(self, server: Server, tokens: dict[str, str]) -> None:
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://greenroom.test")
        self._tokens = tokens

    async def post(self, path: str, body: Any = None) -> None:
        reply = await self.http.post(path, json=body, headers={"X-API-Key": self._tokens["admin"]})
        assert reply.is_success, reply.text

    async def snapshot(self) -> httpx.Response:
        return await self.http.get("/api/v1/sdk/snapshot", headers={"X-API-Key": self._tokens["server"]})

    async def snapshot_with(self, *keys: str) -> httpx.Response:
        """The snapshot, once it has these flags."""
        async with asyncio.timeout(10):
            while True:
                reply = await self.snapshot()
                if set(keys) <= set(reply.json()["flags"]):
                    return reply
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def author(server: Server, tokens: dict[str, str]) -> AsyncIterator[Author]:
    made = Author(server, tokens)
    async with made.http:
        yield made


async def test_change_arrives_by_itself(author: Author) -> None:
    """A new flag is in the snapshot without anybody asking for a refresh."""
    before = (await author.snapshot()).json()

    await author.post(FLAGS, {"key": "brand-new", "purpose": "operational", "type": "boolean"})

    after = (await author.snapshot_with("brand-new")).json()
    assert after["epoch"] == before["epoch"]
    assert after["revision"] == before["revision"] + 1
    assert after["flags"]["brand-new"]["enabled"] is False


async def test_changes_and_a_fresh_load_give_the_same_bytes(author: Author, example_url: str) -> None:
    """Whatever the store does with floats and the order of members."""
    await author.snapshot()
    variants = {"z": {"b": 1.0, "a": [10.0, 1]}, "a": {}}
    await author.post(FLAGS, {"key": "limits", "purpose": "operational", "type": "object", "variants": variants})
    rates = {"low": 10.0, "high": 0.5}
    await author.post(FLAGS, {"key": "rate", "purpose": "operational", "type": "float", "variants": rates})
    changed = await author.snapshot_with("limits", "rate")

    loaded = await _freshly_loaded(example_url, changed.headers["etag"])

    assert changed.content == loaded.content
    assert b'"z":{"b":1.0,"a":[10.0,1]}' in changed.content
    assert b'"low":10.0' in changed.content


async def _freshly_loaded(url: str, etag: str) -> httpx.Response:
    database = Database(url, pool_size=2)
    stage = Stage()
    try:
        async with StoredFlags(database).reading() as reader:
            ids = await _environment_ids(database)
            assert set((await reader.standing(ids))[1]) == set(ids)
        stage.delivery = Delivery(StoredFlags(database), stage.keys, clock=Clock(), stream_secret=b"secret")
        for environment_id in ids:
            stage.keys.add(str(environment_id), "server", environment_id)
            reply = await stage.snapshot(token=str(environment_id))
            if reply.headers["etag"] == etag:
                return reply
    finally:
        await database.dispose()
    raise AssertionError(f"no environment is at {etag}")


async def _environment_ids(database: Database) -> list[UUID]:
    connection = await database.connect()
    try:
        return [UUID(str(row["id"])) for row in await connection.fetch("SELECT id FROM environment")]
    finally:
        await connection.close()


async def test_key_without_environment_reaches_nothing(example_url: str) -> None:
    """An id that no row has is not found, and nothing is made up for it."""
    database = Database(example_url, pool_size=2)
    stage = Stage()
    stage.keys = Keys()
    stage.keys.add("server", "server", UUID(int=7))
    stage.delivery = Delivery(StoredFlags(database), stage.keys, clock=Clock(), stream_secret=b"secret")
    try:
        assert (await stage.snapshot()).status_code == 404
    finally:
        await database.dispose()
