"""A project in a database of the test's own, a clock to be moved, a Prometheus, and samplers to step by hand."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import text
from tests.blackbox.webhooks.receiver import Answer, Receiver
from tests.storage.webhooks.conftest import HandClock

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.database.engine import Database
from greenroom_server.exposures.partitions import day_of, statements_to_make
from greenroom_server.flags.service_flags import create_flag
from greenroom_server.flags.service_projects import create_environment, create_project
from greenroom_server.flags.service_scope import find_environment_id, get_project
from greenroom_server.flags.wire import EnvironmentIn, FlagIn, ProjectIn
from greenroom_server.flags.work import Work
from greenroom_server.guardrails import service
from greenroom_server.guardrails.asking import Asker
from greenroom_server.guardrails.judging import Verdict
from greenroom_server.guardrails.sampler import Guardrails, Pace
from greenroom_server.guardrails.service_alerts import take_alerts
from greenroom_server.guardrails.wire import AlertReceiptOut, GuardrailIn
from greenroom_server.sealing import Sealer
from greenroom_server.web.conditional import IfMatch
from greenroom_server.webhooks.address import Egress
from greenroom_server.webhooks.client import Client, Limits
from greenroom_server.webhooks.desk import Desk

PROJECT: Final = "shop"
FLAG: Final = "new-checkout"


@dataclass(frozen=True)
class Step:
    """A running step, as rollouts tell of it."""

    project_id: UUID
    since: datetime
    project: str = PROJECT
    environment: str = "production"
    release_id: UUID = field(default_factory=uuid4)
    release: str = "winter"
    step: int = 1
    flags: Collection[str] = (FLAG,)
    guardrails: Collection[str] = ()


class Scene:
    """What the tests do and look at."""

    def __init__(self, database: Database, prometheus: Receiver) -> None:
        self.database = database
        self.prometheus = prometheus
        self.clock = HandClock()
        self.desk = Desk(Egress(is_insecure=True), Sealer())
        self.project_id = uuid4()
        self.environment_id = uuid4()
        self._admin = Principal(uuid4(), "admin", "admin", PERMISSIONS["admin"])

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        async with self.database.transaction() as session:
            yield Work(session, self._admin, self.clock.now(), IfMatch(()))

    async def make(self, key: str = "errors", **members: Any) -> str | None:
        """A guardrail that asks Prometheus, unless `members` say otherwise; the secret that the server made."""
        known = {
            "source": {"kind": "prometheus", "url": self.prometheus.url.removesuffix("/in"), "query": "up"},
            "condition": {"kind": "threshold", "op": "gt", "value": 0.5},
            "action": "step_back",
        }
        async with self.work() as work:
            wanted = GuardrailIn.model_validate({"key": key, **known, **members})
            return (await service.create_guardrail(work, self.desk, PROJECT, wanted)).result.secret

    async def patch(self, patch: Any, key: str = "errors") -> None:
        async with self.work() as work:
            await service.update_guardrail(work, self.desk, PROJECT, key, patch)

    def says(self, *values: str, **members: Any) -> None:
        """From now on Prometheus answers these values, of this moment unless `stamp` says otherwise."""
        stamp = members.pop("stamp", self.clock.now().timestamp())
        series = [{"metric": {"job": str(number)}, "value": [stamp, one]} for number, one in enumerate(values)]
        data = {"resultType": "vector", "result": series}
        self.answers(orjson.dumps({"status": "success", "data": data, **members}))

    def answers(self, body: bytes, status: int = 200) -> None:
        self.prometheus.usual = Answer(status, body=body, Content_Type="application/json")

    def step(self, **members: Any) -> Step:
        """A step that begins now."""
        return Step(self.project_id, self.clock.now(), **members)

    @asynccontextmanager
    async def sampler(self, *, total_s: float = 5.0, egress: Egress | None = None) -> AsyncIterator[Guardrails]:
        """A server's sampler that is not started: the test steps it."""
        client = Client(egress or self.desk.egress, user_agent="greenroom tests", limits=Limits(total_s=total_s))
        asker = Asker(self.database, client, self.desk)
        made = Guardrails(self.database, asker, time_of=self._time, pace=Pace(poll_s=0.05))
        try:
            yield made
        finally:
            self.prometheus.let_go.set()
            await made.close()
            await client.close()

    async def _time(self, _: Any) -> datetime:
        return self.clock.now()

    async def told(self, sampler: Guardrails, step: Step) -> Verdict:
        """What the step is told at this moment."""
        async with self.database.reading() as session:
            return await sampler.reader.verdict_of(session, step, self.clock.now())

    async def asks(self, sampler: Guardrails, step: Step) -> Verdict:
        """What the step is told once what watches it was asked: its asking is what makes the sampler ask."""
        await self.told(sampler, step)
        await sampler.step()
        await sampler.idle()
        return await self.told(sampler, step)

    async def told_in_time(self, sampler: Guardrails, step: Step, outcome: str) -> Verdict:
        """Wait until the step is told this; the test's own timeout ends the waiting."""
        while (verdict := await self.told(sampler, step)).outcome != outcome:  # noqa: ASYNC110  the sampler's task is waited for
            await asyncio.sleep(0.05)
        return verdict

    async def alerts(self, key: str, headers: dict[str, str], body: bytes) -> AlertReceiptOut:
        async with self.database.transaction() as session:
            return await take_alerts(session, self.desk, (PROJECT, key), headers, body, self.clock.now())

    async def rows(self, query: str = "SELECT * FROM guardrail_reading ORDER BY at", **values: Any) -> list[Any]:
        async with self.database.reading() as session:
            return list(await session.execute(text(query), values))

    async def do(self, statement: str, rows: list[dict[str, Any]]) -> None:
        async with self.database.transaction() as session:
            await session.execute(text(statement), rows)

    async def audited(self) -> list[str]:
        """What was noted about guardrails, without their making."""
        rows = await self.rows("SELECT action FROM audit_event WHERE action LIKE 'guardrail.%' ORDER BY sequence")
        return [row.action for row in rows if row.action != "guardrail.create"]


@pytest.fixture
def prometheus() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest_asyncio.fixture
async def scene(database: Database, prometheus: Receiver) -> Scene:
    made = Scene(database, prometheus)
    async with made.work() as work:
        await create_project(work, ProjectIn(key=PROJECT, name="Shop"))
        await create_environment(work, PROJECT, EnvironmentIn(key="production", name="Production", tier="production"))
        await create_flag(work, PROJECT, FlagIn(key=FLAG, purpose="operational", type="boolean"))
        made.project_id = (await get_project(work.session, PROJECT)).id
        environment_id = await find_environment_id(work.session, PROJECT, "production")
        assert environment_id is not None
        made.environment_id = environment_id
        days = {day_of(made.clock.now() + timedelta(days=day)) for day in (-1, 0, 1)}
        for statement in statements_to_make(days):
            await work.session.execute(text(statement))
    return made
