"""A project of its own for each test, on a server that all of them share, and an application that reports."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from sqlalchemy import text
from tests.api.contract.client import ContractClient
from tests.api.exposures.batches import PATH, batch
from tests.api.stage import Shared, Stage, shared, shared_url, stage
from tests.api.store import database

__all__ = ["Application", "shared", "shared_url", "stage"]


class Application:
    """An application with a key of one environment of the test's project."""

    def __init__(self, client: ContractClient, url: str) -> None:
        self.client = client
        self.url = url

    async def reports(self, *, instance: str = "web-1", **members: Any) -> dict[str, Any]:
        """Sends a batch, which must be taken; the receipt."""
        reply = await self.client.post(PATH, json=batch(instance, **members))
        assert reply.status_code == 202, reply.text
        receipt: dict[str, Any] = reply.json()
        return receipt


async def application_of(shared: Shared, stage: Stage, *, kind: str = "server") -> Application:
    wanted = {"name": kind, "kind": kind, "project": stage.key, "environment": "production"}
    reply = await stage.admin.post("/api/v1/tokens", json=wanted)
    assert reply.status_code == 201, reply.text
    return Application(stage.admin.bearing(reply.json()["token"]), shared.url)


@pytest_asyncio.fixture(loop_scope="session")
async def application(shared: Shared, stage: Stage) -> AsyncIterator[Application]:
    """An application on a server, in production."""
    yield await application_of(shared, stage)


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared: Shared, stage: Stage) -> AsyncIterator[Application]:
    """An application in a browser, in production."""
    yield await application_of(shared, stage, kind="client")


async def stored(url: str, table: str, ids: list[str]) -> list[dict[str, Any]]:
    """The rows with these ids."""
    return await rows_of(url, f"SELECT * FROM {table} WHERE id::text = ANY(:ids)", ids=ids)


async def rows_of(url: str, query: str, **values: Any) -> list[dict[str, Any]]:
    async with database(url) as opened, opened.reading() as session:
        return [dict(row) for row in (await session.execute(text(query), values)).mappings()]
