"""A service that is decided on, whose policy asks for permits and knows a break-glass, and those who use them."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest_asyncio
from tests.api.contract.client import ContractClient
from tests.api.decisions.conftest import Deciding, deciding, releases, shared, shared_url, stage
from tests.api.releases.conftest import digest_of, done

__all__ = ["Permitting", "deciding", "permitting", "releases", "shared", "shared_url", "stage"]

ENVIRONMENTS: Final[dict[str, Any]] = {
    "staging": {"order": 10, "tier": "staging", "production_like": True},
    "production": {"order": 20, "tier": "production", "after": ["staging"], "permits": "required"},
}
BREAK_GLASS: Final[dict[str, Any]] = {
    "roles": ["incident-commander"],
    "max_ttl": "4h",
    "review_within": "2d",
}


class Permitting:
    """What the tests do again and again, on deploying build 1 to production."""

    def __init__(self, deciding: Deciding) -> None:
        self.deciding = deciding
        self.releases = deciding.releases
        self.pipeline = deciding.pipeline
        self.project = deciding.project
        self.permits = f"{deciding.project}/permits"
        self.keys = f"{deciding.project}/permit-keys"
        self.glasses = f"{deciding.project}/break-glass"

    async def ruled_by(self, *rules: dict[str, Any], **members: Any) -> str:
        """A policy that asks for permits is in force."""
        members = {"environments": ENVIRONMENTS, "break_glass": BREAK_GLASS, **members}
        return await self.deciding.ruled_by(*rules, **members)

    async def ready(self) -> None:
        """Everything is well with build 1."""
        await self.ruled_by()
        await self.deciding.green()

    async def ask(self, number: int = 1, *, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
        body = {"service": "web", "environment": "production", "digest": digest_of(number), **members}
        return await self.pipeline.post(self.permits, json=body, headers=headers or {})

    async def issued(self, number: int = 1, **members: Any) -> dict[str, Any]:
        """A permit, with its signature."""
        reply = await self.ask(number, **members)
        assert reply.status_code == 201, reply.text
        answer: dict[str, Any] = reply.json()
        return {**answer["permit"], "attestation": answer["attestation"]}

    async def read(self, permit: dict[str, Any]) -> dict[str, Any]:
        return done(await self.pipeline.get(f"{self.permits}/{permit['id']}"))

    async def use(self, permit: dict[str, Any]) -> httpx.Response:
        return await self.pipeline.post(f"{self.permits}/{permit['id']}/use")

    async def started(self, number: int = 1, **members: Any) -> dict[str, Any]:
        """A deployment that was told of."""
        body = {"digest": digest_of(number), "environment": "production", **members}
        return done(await self.pipeline.post(self.releases.deployments, json=body))

    async def told(self, deployment: dict[str, Any], verb: str) -> dict[str, Any]:
        path = f"{self.project}/deployments/{deployment['id']}/{verb}"
        return done(await self.pipeline.post(path, json={}))

    async def opened(self, client: ContractClient, number: int = 1, **members: Any) -> dict[str, Any]:
        """A break-glass that somebody opened."""
        return done(await client.post(self.glasses, json=glass_for(number, **members)))

    async def glass(self, opened: dict[str, Any], verb: str, client: ContractClient, **body: Any) -> httpx.Response:
        return await client.post(f"{self.glasses}/{opened['id']}/{verb}", json=body)

    async def audited(self, action: str) -> list[dict[str, Any]]:
        """The audit events of this action, newest first."""
        page = done(await self.deciding.author.get(f"{self.project}/audit", params={"action": action}))
        items: list[dict[str, Any]] = page["items"]
        return items


def glass_for(number: int = 1, **members: Any) -> dict[str, Any]:
    """What opens a break-glass for deploying the build of this number to production."""
    return {
        "service": "web",
        "environment": "production",
        "digest": digest_of(number),
        "reason": "customers cannot pay",
        "ticket": "INC-1",
        **members,
    }


def codes_of(answer: dict[str, Any]) -> set[str]:
    """What is in the way, by the decision of an answer."""
    rules = answer["decision"]["rules"]
    return {rule["code"] for rule in rules if rule["outcome"] in ("pending", "fail", "error")}


@pytest_asyncio.fixture(loop_scope="session")
async def permitting(deciding: Deciding) -> AsyncIterator[Permitting]:
    """The service `web`, on which nothing is decided yet."""
    yield Permitting(deciding)
