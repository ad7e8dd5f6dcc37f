"""A server that moves no release by itself, a project for each test, and a scheduler that the test drives."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.api.conftest import Example, serving
from tests.api.contract.client import ContractClient
from tests.api.stage import Shared, Stage, shared_url, stage
from tests.api.store import database, statement

from greenroom_server.database.engine import Database
from greenroom_server.guardrails.judging import Verdict
from greenroom_server.rollouts.guardrail_reader import Finding, RunningStep
from greenroom_server.rollouts.scheduler import Scheduler

__all__ = ["Guard", "Scene", "scene", "shared", "shared_url", "stage"]

PLAN: dict[str, Any] = {
    "key": "autumn",
    "environment": "production",
    "flags": [{"flag": "express-delivery"}, {"flag": "recommendations-plus"}],
    "steps": [
        {"audience": "internal", "advance": {"after": "1h"}},
        {"audience": {"percent": 5}, "advance": {"after": "1h"}},
        {"audience": {"percent": 25}, "advance": {"after": "1h"}},
        {"audience": "everyone"},
    ],
}


class Guard:
    """A guardrail that says what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.says: Finding = "ok"
        self.raises: Exception | None = None
        self.data_at: datetime | None = None
        self.is_tripped = True
        self.asked: list[RunningStep] = []

    async def verdict_of(self, session: AsyncSession, step: RunningStep, now: datetime) -> Verdict:
        self.asked.append(step)
        if self.raises is not None:
            raise self.raises
        return Verdict(self.says, f"the guardrail says {self.says}", self.data_at, self.is_tripped)


class Scene:
    """A project with two dark flags in production, and releases of them."""

    def __init__(self, stage: Stage, database: Database) -> None:
        self.stage = stage
        self.admin = stage.admin
        self.database = database
        self.guard = Guard()
        self.scheduler = Scheduler(database, self.guard)
        self.releases = f"{stage.project}/releases"

    def path(self, key: str = "autumn") -> str:
        return f"{self.releases}/{key}"

    async def made(self, **members: Any) -> dict[str, Any]:
        reply = await self.admin.post(self.releases, json={**PLAN, **members})
        assert reply.status_code == 201, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    async def told(self, verb: str, body: Any = None, *, key: str = "autumn", by: Any = None) -> dict[str, Any]:
        """The release after a verb that must go well."""
        reply = await (by or self.admin).post(f"{self.path(key)}/{verb}", json=body or {})
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    async def refused(self, verb: str, body: Any = None, *, by: Any = None) -> tuple[int, str]:
        """The status and code of a verb that must be refused."""
        reply = await (by or self.admin).post(f"{self.path()}/{verb}", json=body or {})
        assert not reply.is_success, reply.text
        return reply.status_code, reply.json()["code"]

    async def read(self, key: str = "autumn") -> dict[str, Any]:
        return await self.stage.got(self.path(key))

    async def passes(self, interval: str) -> None:
        """Let time pass for all releases of the project: their moments go back."""
        moved = ", ".join(f"{name} = {name} - interval '{interval}'" for name in _MOMENTS)
        await statement(self.stage.url, f"UPDATE named_release SET {moved} WHERE project = '{self.stage.key}'")

    async def comes_due(self) -> None:
        """Let the time come for which a release is scheduled."""
        due = "due_at = now() - interval '1 second'"
        await statement(self.stage.url, f"UPDATE named_release SET {due} WHERE project = '{self.stage.key}'")

    async def release_id(self) -> UUID:
        """The id of the project's only release."""
        (found,) = await self.release_ids()
        return found

    async def release_ids(self) -> list[UUID]:
        async with self.database.reading() as session:
            query = text("SELECT id FROM named_release WHERE project = :project")
            return list((await session.execute(query, {"project": self.stage.key})).scalars())

    async def ticks(self, scheduler: Scheduler | None = None) -> None:
        """The scheduler looks at the project's releases, and does what is to be done; others' are left to others."""
        mover = scheduler or self.scheduler
        for release_id in await self.release_ids():
            look = await mover.look(release_id)
            if look is not None:
                await mover.act(look)

    async def goes_on(self) -> dict[str, Any]:
        """The release an hour later."""
        await self.passes("1 hour")
        await self.ticks()
        return await self.read()

    async def configuration(self, flag: str = "express-delivery") -> dict[str, Any]:
        return await self.stage.got(self.stage.flag(flag, "production"))

    async def events(self, *actions: str) -> list[dict[str, Any]]:
        """The releases' events, oldest first, of these actions or of all."""
        items = reversed((await self.stage.got(self.stage.audit, limit=200))["items"])
        found = [one for one in items if one["action"].startswith("release.")]
        return [one for one in found if not actions or one["action"].removeprefix("release.") in actions]

    async def person(self, name: str, *roles: str, kind: str = "manager") -> ContractClient:
        body = {"name": name, "kind": kind, "person": f"{name}@shop.example", "roles": list(roles)}
        reply = await self.admin.post("/api/v1/tokens", json={**body, "projects": [self.stage.key]})
        assert reply.status_code == 201, reply.text
        return self.admin.bearing(reply.json()["token"])


_MOMENTS = ("since", "counts_from", "due_at", "waits_until")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(shared_url: str, example: Example, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """A server whose own scheduler sleeps for longer than the tests take."""
    folder: Path = tmp_path_factory.mktemp("shared-server")
    async for server in serving(shared_url, folder, release_interval_s=3600):
        async with ContractClient(server).bearing(example.tokens["admin"]) as admin:
            yield Shared(server, shared_url, admin)


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    """Staff are internal; `express-delivery` and `recommendations-plus` are off in production."""
    await stage.made("recommendations-plus")
    settings = await stage.admin.put(f"{stage.project}/release-settings", json={"internal_segment": "staff"})
    assert settings.status_code == 200, settings.text
    async with database(stage.url) as opened:
        yield Scene(stage, opened)
