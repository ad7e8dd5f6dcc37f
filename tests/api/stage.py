"""One server for many tests, and a project of its own for each: quicker than a database for each.

A folder's `conftest.py` takes `shared` and `stage` from here; its tests run on the session's loop.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from tests.api.conftest import Example, copy_of, serving
from tests.api.contract.client import ContractClient

from greenroom_server.app import Server
from greenroom_server.flags.work import plain
from greenroom_server.seed import example_document

__all__ = ["Shared", "Stage", "shared", "shared_url", "stage"]

_NUMBERS: Final = itertools.count(1)


class Shared:
    """The server that tests share, and the database behind it."""

    def __init__(self, server: Server, url: str, admin: ContractClient) -> None:
        self.server = server
        self.url = url
        self.admin = admin


class Stage:
    """A project of this test's own, a copy of the example, with somebody who may do everything."""

    def __init__(self, shared: Shared, key: str) -> None:
        self.url = shared.url
        self.admin = shared.admin
        self.key = key
        self.project = f"/api/v1/projects/{key}"
        self.flags = f"{self.project}/flags"
        self.segments = f"{self.project}/segments"
        self.environments = f"{self.project}/environments"
        self.audit = f"{self.project}/audit"

    def flag(self, key: str, environment: str | None = None) -> str:
        """The path of a flag, or of its configuration in an environment."""
        return f"{self.flags}/{key}" if environment is None else f"{self.environments}/{environment}/flags/{key}"

    def segment(self, key: str) -> str:
        return f"{self.segments}/{key}"

    def document(self) -> dict[str, Any]:
        """The example as it was imported, under this project's key."""
        document = plain(example_document())
        document["project"]["key"] = self.key
        return document

    async def bearing(self, kind: str, **limits: Any) -> ContractClient:
        """A client with a new token of this kind, limited to this project unless `projects` says otherwise."""
        body = {"name": kind, "kind": kind, "projects": [self.key], **limits}
        reply = await self.admin.post("/api/v1/tokens", json=body)
        assert reply.status_code == 201, reply.text
        return self.admin.bearing(reply.json()["token"])

    async def made(self, key: str, **members: Any) -> dict[str, Any]:
        """A new flag, of type boolean unless `members` say otherwise."""
        body = {"key": key, "purpose": "operational", "type": "boolean", **members}
        reply = await self.admin.post(self.flags, json=body)
        assert reply.status_code == 201, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    async def patched(self, path: str, patch: Any) -> dict[str, Any]:
        """The thing after a patch that must go well."""
        reply = await self.admin.patch(path, json=patch, headers={"If-Match": "*"})
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    async def got(self, path: str, **query: Any) -> dict[str, Any]:
        reply = await self.admin.get(path, params=query)
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer


@pytest.fixture(scope="session")
def shared_url(postgres_url: str, example: Example) -> Iterator[str]:
    """The database behind the shared server."""
    yield from copy_of(postgres_url, example)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(shared_url: str, example: Example, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """The server that tests share."""
    folder: Path = tmp_path_factory.mktemp("shared-server")
    async for server in serving(shared_url, folder):
        async with ContractClient(server).bearing(example.tokens["admin"]) as admin:
            yield Shared(server, shared_url, admin)


@pytest_asyncio.fixture(loop_scope="session")
async def stage(shared: Shared) -> Stage:
    """A project of this test's own on the shared server."""
    made = Stage(shared, f"shop-{next(_NUMBERS)}")
    reply = await shared.admin.post("/api/v1/import", json=made.document())
    assert reply.status_code == 200, reply.text
    return made
