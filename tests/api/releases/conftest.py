"""A project of its own for each test, with a service in it, and those who send facts."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest_asyncio
from tests.api.contract.client import ContractClient
from tests.api.stage import Shared, Stage, shared, shared_url, stage

__all__ = ["Releases", "commit_of", "digest_of", "moments_ago", "shared", "shared_url", "stage"]

_PEOPLE: Final = itertools.count(1)


def digest_of(number: int) -> str:
    """A digest, another one for each number."""
    return f"sha256:{number:064x}"


def commit_of(number: int) -> str:
    """A commit, another one for each number."""
    return f"{number:040x}"


def moments_ago(**ago: float) -> str:
    """A moment that lies back (`minutes=5`), as requests carry it."""
    return (datetime.now(UTC) - timedelta(**ago)).isoformat().replace("+00:00", "Z")


class Releases:
    """The service `web` of a test's project, seen by an administrator and by a pipeline."""

    def __init__(self, stage: Stage, pipeline: ContractClient) -> None:
        self.stage = stage
        self.admin = stage.admin
        self.pipeline = pipeline
        self.project = stage.project
        self.service = f"{stage.project}/services/web"
        self.builds = f"{self.service}/builds"
        self.deployments = f"{self.service}/deployments"
        self.evidence = f"{stage.project}/evidence"

    async def person(self, kind: str = "manager", *roles: str, **limits: Any) -> ContractClient:
        """A client of somebody new, who has these roles."""
        return await self.stage.bearing(
            kind, person=f"person-{next(_PEOPLE)}@shop.example", roles=list(roles), **limits
        )

    async def built(self, number: int, **members: Any) -> dict[str, Any]:
        """A registered build with the digest and commit of this number."""
        body = {"digests": [digest_of(number)], "commit": commit_of(number), **members}
        return done(await self.pipeline.post(self.builds, json=body))

    async def deployed(self, number: int, environment: str = "production", **members: Any) -> dict[str, Any]:
        """A deployment that runs."""
        finish = {name: members.pop(name) for name in ("finished_at", "live", "duration_ms") if name in members}
        body = {"digest": digest_of(number), "environment": environment, **members}
        started = done(await self.pipeline.post(self.deployments, json=body))
        path = f"{self.project}/deployments/{started['id']}/finish"
        return done(await self.pipeline.post(path, json=finish))

    async def checked(self, number: int, kind: str = "test.unit", **members: Any) -> dict[str, Any]:
        """Evidence about the build of this number; the receipt."""
        return done(await self.pipeline.post(self.evidence, json=evidence_of(number, kind, **members)))

    async def said(self, plural: str, body: Any, client: ContractClient | None = None) -> dict[str, Any]:
        """A fact, added by the client (the administrator)."""
        return done(await (client or self.admin).post(f"{self.project}/{plural}", json=body))


def evidence_of(number: int, kind: str = "test.unit", **members: Any) -> dict[str, Any]:
    """A piece of evidence, passed a minute ago."""
    return {
        "kind": kind,
        "subject": {"digest": digest_of(number)},
        "outcome": "pass",
        "run": {"id": f"run-{number}"},
        "finished_at": moments_ago(minutes=1),
        **members,
    }


def done(reply: httpx.Response) -> dict[str, Any]:
    """The body of an answer that must be a success."""
    assert reply.is_success, reply.text
    body: dict[str, Any] = reply.json()
    return body


@pytest_asyncio.fixture(loop_scope="session")
async def releases(shared: Shared, stage: Stage) -> AsyncIterator[Releases]:
    """The service `web` in a project of this test's own."""
    made = Releases(stage, await stage.bearing("pipeline"))
    done(await stage.admin.post(f"{stage.project}/services", json={"key": "web", "name": "The pages"}))
    yield made
