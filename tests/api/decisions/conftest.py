"""A project whose service `web` is decided on, and those who write policies, supply facts and ask."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest_asyncio
from tests.api.contract.client import ContractClient
from tests.api.releases.conftest import Releases, digest_of, done, releases, shared, shared_url, stage

__all__ = ["Deciding", "deciding", "policy_of", "releases", "shared", "shared_url", "stage"]

RULES: Final[list[dict[str, Any]]] = [
    {"id": "tested", "kind": "suites", "condition": "C1", "actions": ["deploy", "release"]},
    {"id": "shown", "kind": "demo", "condition": "C2", "actions": ["release"]},
    {"id": "clear", "kind": "obstacles", "condition": "C3", "actions": ["deploy", "release"]},
]


def policy_of(*rules: dict[str, Any], name: str = "web", **members: Any) -> dict[str, Any]:
    """A policy that wants unit tests, no obstacles, and what `rules` say."""
    return {
        "schema": "release-policy/v1",
        "name": name,
        "time_zone": "Europe/Berlin",
        "environments": {
            "staging": {"order": 10, "tier": "staging", "production_like": True},
            "production": {"order": 20, "tier": "production", "after": ["staging"]},
        },
        "suites": {"unit": {"kind": "test.unit", "max_age": "1h"}},
        "rules": [*RULES, *rules],
        **members,
    }


class Deciding:
    """What the tests do again and again."""

    def __init__(self, releases: Releases, author: ContractClient, activator: ContractClient) -> None:
        self.releases = releases
        self.author = author
        self.activator = activator
        self.pipeline = releases.pipeline
        self.project = releases.project
        self.policies = f"{releases.project}/policies"
        self.decisions = f"{releases.project}/decisions"

    async def ruled_by(self, *rules: dict[str, Any], services: list[str] | None = None, **members: Any) -> str:
        """Store a policy and have somebody else activate it; the path of the version."""
        made = done(await self.author.post(self.policies, json=policy_of(*rules, **members)))
        version = f"{self.policies}/{made['name']}/versions/{made['version']}"
        body = {} if services is None else {"services": services}
        done(await self.activator.post(f"{version}/activate", json=body))
        return version

    async def asked(self, number: int = 1, **members: Any) -> dict[str, Any]:
        """The decision on deploying the build of this number to production."""
        return done(await self.pipeline.post(self.decisions, json=question(number, **members)))

    async def gate(self, mode: str, environment: str = "production") -> None:
        """What becomes of decisions on flags that are to be lit there."""
        path = f"{self.project}/environments/{environment}/release-gate"
        done(await self.author.put(path, json={"mode": mode}, headers={"If-Match": "*"}))

    async def green(self, number: int = 1) -> None:
        """A build of this number, with all that the policy wants."""
        await self.releases.built(number)
        await self.releases.checked(number, suite="unit", counts={"total": 3, "passed": 3})


def question(number: int = 1, **members: Any) -> dict[str, Any]:
    """May the build of this number go to production?"""
    named: dict[str, Any] = {} if "commit" in members else {"digest": digest_of(number)}
    return {"action": "deploy", "service": "web", "environment": "production", **named, **members}


def found(decision: dict[str, Any], rule: str) -> tuple[str, str]:
    """Outcome and code of a rule."""
    (one,) = (one for one in decision["rules"] if one["id"] == rule)
    return one["outcome"], one["code"]


@pytest_asyncio.fixture(loop_scope="session")
async def deciding(releases: Releases) -> AsyncIterator[Deciding]:
    """The service `web`, an author of policies and somebody else who activates them."""
    yield Deciding(releases, await releases.person("manager"), await releases.person("manager", "product"))
