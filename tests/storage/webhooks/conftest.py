"""A project in a database of the test's own, a clock that the test moves, a receiver, and senders to step by hand."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from tests.blackbox.webhooks.receiver import Receiver

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.audit.service import Event, record
from greenroom_server.database.engine import Database
from greenroom_server.flags.service_projects import create_environment, create_project
from greenroom_server.flags.wire import EnvironmentIn, ProjectIn
from greenroom_server.flags.work import Work
from greenroom_server.sealing import Sealer
from greenroom_server.web.conditional import IfMatch
from greenroom_server.webhooks import service
from greenroom_server.webhooks.address import Egress
from greenroom_server.webhooks.client import Client, Limits
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.sender import Pace, Webhooks
from greenroom_server.webhooks.wire import WebhookIn

PROJECT: Final = "shop"


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class Scene:
    """What the tests do and look at."""

    def __init__(self, database: Database, receiver: Receiver) -> None:
        self.database = database
        self.receiver = receiver
        self.clock = HandClock()
        self.desk = Desk(Egress(is_insecure=True), Sealer())
        self._admin = Principal(uuid4(), "admin", "admin", PERMISSIONS["admin"])

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        """A unit of work of an administrator who takes whatever version is there."""
        async with self.database.transaction() as session:
            yield Work(session, self._admin, self.clock.now(), IfMatch(()))

    async def make(self, key: str = "ops", *, url: str | None = None, events: Sequence[str] = ("flag.*",)) -> str:
        """A destination; its secret."""
        wanted = WebhookIn(key=key, url=url or self.receiver.url, events=list(events))
        async with self.work() as work:
            return (await service.create_webhook(work, self.desk, PROJECT, wanted)).result.secret

    async def patch(self, patch: Any, key: str = "ops") -> None:
        async with self.work() as work:
            await service.update_webhook(work, self.desk, PROJECT, key, patch)

    async def happens(self, action: str = "flag.enable", *, times: int = 1) -> None:
        """So many changes are audited, each in a transaction of its own."""
        target = f"/api/v1/projects/{PROJECT}/environments/production/flags/new-checkout"
        for _ in range(times):
            async with self.database.transaction() as session:
                await record(session, Event(PROJECT, "admin:1", action, target), self.clock.now())

    @asynccontextmanager
    async def sender(self, *, total_s: float = 15.0, **pace: Any) -> AsyncIterator[Webhooks]:
        """A server's sender that is not started: the test steps it. Its waits are in the middle of their spread."""
        client = Client(self.desk.egress, user_agent="greenroom tests", limits=Limits(total_s=total_s))
        made = Webhooks(self.database, client, self.desk, clock=self.clock, pace=Pace(**pace), dice=lambda: 0.5)
        try:
            yield made
        finally:
            self.receiver.let_go.set()
            await made.close()

    async def rows(self, query: str = "SELECT * FROM webhook_delivery ORDER BY sequence", **values: Any) -> list[Any]:
        async with self.database.reading() as session:
            return list(await session.execute(text(query), values))

    async def row(self, query: str = "SELECT * FROM webhook_delivery", **values: Any) -> Any:
        (row,) = await self.rows(query, **values)
        return row

    async def webhook(self, key: str = "ops") -> Any:
        return await self.row("SELECT * FROM webhook WHERE key = :key", key=key)

    async def audited(self) -> list[str]:
        return [row.action for row in await self.rows("SELECT action FROM audit_event ORDER BY sequence")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest_asyncio.fixture
async def scene(database: Database, receiver: Receiver) -> Scene:
    made = Scene(database, receiver)
    async with made.work() as work:
        await create_project(work, ProjectIn(key=PROJECT, name="Shop"))
        await create_environment(work, PROJECT, EnvironmentIn(key="production", name="Production", tier="production"))
    return made


async def worked_off(*senders: Webhooks) -> None:
    """Step all senders until nothing is being sent and none finds anything to do."""
    begun = 1
    while begun:
        for sender in senders:
            await sender.idle()
        begun = sum([await sender.step() for sender in senders])
