"""A project whose production asks for others, and the people who ask, agree and apply."""

import itertools
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest_asyncio
from tests.api.contract.client import ContractClient
from tests.api.stage import Shared, Stage, shared, shared_url, stage

__all__ = ["Eyes", "Shared", "done", "eyes", "refused", "shared", "shared_url", "stage"]

ANY: Final = {"If-Match": "*"}
LIT: Final = "new-checkout"
DARK: Final = "express-delivery"
_PEOPLE: Final = itertools.count(1)


class Eyes:
    """Production asks for one other person; `author` is a developer, `ada` and `bo` are managers."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.admin = stage.admin
        self.production = f"{stage.environments}/production"
        self.requests = f"{self.production}/change-requests"
        self.settings = f"{self.production}/approval-settings"
        self.author: ContractClient
        self.ada: ContractClient
        self.bo: ContractClient

    async def person(self, kind: str = "manager", *roles: str, person: str | None = None) -> ContractClient:
        """A client of somebody, new unless they are named."""
        name = person or f"person-{next(_PEOPLE)}@shop.example"
        return await self.stage.bearing(kind, person=name, roles=list(roles))

    async def asks_for(self, environment: str = "production", **settings: Any) -> dict[str, Any]:
        """Make an environment ask for this."""
        path = f"{self.stage.environments}/{environment}/approval-settings"
        return done(await self.admin.patch(path, json={"reason": "for a test", **settings}, headers=ANY))

    async def asked(self, *changes: dict[str, Any], client: ContractClient | None = None, **members: Any) -> str:
        """The path of a new request."""
        body = {"title": "A change", "changes": list(changes) or [ENABLE], **members}
        made = done(await (client or self.author).post(self.requests, json=body))
        return f"{self.requests}/{made['number']}"

    async def read(self, path: str) -> dict[str, Any]:
        return done(await self.admin.get(path))

    async def state(self, path: str) -> str:
        return str((await self.read(path))["state"])

    async def approve(self, path: str, client: ContractClient | None = None, **members: Any) -> httpx.Response:
        """Agree to what it is now."""
        body = {"hash": (await self.read(path))["hash"], **members}
        reply: httpx.Response = await (client or self.ada).post(f"{path}/approve", json=body)
        return reply

    async def agreed(self, *changes: dict[str, Any], **members: Any) -> str:
        """The path of a new request that Ada has approved."""
        path = await self.asked(*changes, **members)
        assert done(await self.approve(path))["state"] == "approved"
        return path

    async def serves(self, flag: str = DARK, environment: str = "production") -> dict[str, Any]:
        """How the flag is served now."""
        return await self.stage.got(self.stage.flag(flag, environment))

    async def events(self, action: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.stage.got(self.stage.audit, action=action))["items"]
        return found


ENABLE: Final = {"op": "enable", "flag": DARK}


def done(reply: httpx.Response) -> dict[str, Any]:
    """The body of an answer that must be a success."""
    assert reply.is_success, reply.text
    body: dict[str, Any] = reply.json()
    return body


def refused(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that the answer must be."""
    problem: dict[str, Any] = reply.json()
    assert (reply.status_code, problem["code"]) == (status, code), reply.text
    return problem


@pytest_asyncio.fixture(loop_scope="session")
async def eyes(stage: Stage) -> AsyncIterator[Eyes]:
    """A project of this test's own, whose production asks for one other."""
    made = Eyes(stage)
    made.author = await made.person("developer")
    made.ada, made.bo = await made.person(), await made.person()
    await made.asks_for(required=1, expires_after="3d")
    yield made
