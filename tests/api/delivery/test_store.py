"""Delivery over the real store: what authors change is what clients are served."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.unit.delivery.rig import Clock, Keys, Stage

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.database.engine import Database
from greenroom_server.delivery.service import Delivery
from greenroom_server.delivery.store import StoredFlags
from greenroom_server.flags.service_configurations import find_place, switch_flag
from greenroom_server.flags.service_flags import create_flag
from greenroom_server.flags.service_projects import create_environment, create_project, delete_environment
from greenroom_server.flags.service_scope import find_environment_id
from greenroom_server.flags.wire import EnvironmentIn, FlagIn, ProjectIn
from greenroom_server.flags.work import Work
from greenroom_server.web.conditional import IfMatch

pytestmark = pytest.mark.asyncio

AUTHOR = Principal(uuid4(), "author", "admin", PERMISSIONS["admin"])


class Shop:
    """A project with one environment in a real database, and delivery over it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.environment_id: UUID | None = None
        self.keys = Keys()
        self.delivery = Delivery(StoredFlags(database), self.keys, clock=Clock(), stream_secret=b"secret")
        self.stage = Stage()
        self.stage.delivery, self.stage.keys = self.delivery, self.keys

    async def change(self, verb: Any, *arguments: Any, **named: Any) -> Any:
        async with self.database.transaction() as session:
            return await verb(Work(session, AUTHOR, datetime.now(UTC), IfMatch.parse("*")), *arguments, **named)

    async def set_up(self) -> None:
        await self.change(create_project, ProjectIn(key="shop", name="Shop"))
        wanted = EnvironmentIn(key="staging", name="Staging", tier="staging")
        await self.change(create_environment, "shop", wanted)
        async with self.database.reading() as session:
            self.environment_id = await find_environment_id(session, "shop", "staging")
        self.keys.add("server", "server", self.environment_id)

    async def add(self, key: str, **members: Any) -> None:
        wanted = FlagIn(key=key, purpose="operational", **{"type": "boolean", **members})
        await self.change(create_flag, "shop", wanted)

    async def switch(self, key: str, *, enabled: bool) -> None:
        async def verb(work: Work) -> None:
            await switch_flag(work, await find_place(work, "shop", "staging", key, lock=True), enabled=enabled)

        await self.change(verb)


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


async def test_new_flag_is_dark_and_then_switched_on(shop: Shop) -> None:
    """Each change arrives with one refresh, as a change and not as a whole document."""
    await shop.set_up()
    await shop.add("checkout")
    before = (await shop.stage.evaluate("checkout")).json()
    assert shop.environment_id is not None
    live = await shop.delivery.environments.get(shop.environment_id)
    revision = live.served.revision

    await shop.switch("checkout", enabled=True)
    await shop.delivery.refresh()

    after = (await shop.stage.evaluate("checkout")).json()
    assert (before["value"], before["reason"]) == (False, "DISABLED")
    assert after["value"] is True
    assert live.served.revision == revision + 1
    assert list(live.ring) == [revision]


async def test_a_change_and_a_fresh_load_give_the_same_bytes(shop: Shop) -> None:
    """Whatever the store does with floats and the order of members."""
    await shop.set_up()
    await shop.stage.snapshot()
    variants = {"z": {"b": 1.0, "a": [10.0, 1]}, "a": {}}
    await shop.add("limits", type="object", variants=variants)
    await shop.add("rate", type="float", variants={"low": 10.0, "high": 0.5})
    await shop.delivery.refresh()
    fresh = Shop(shop.database)
    fresh.keys.add("server", "server", shop.environment_id)

    changed, loaded = await shop.stage.snapshot(), await fresh.stage.snapshot()

    assert changed.content == loaded.content
    assert changed.headers["etag"] == loaded.headers["etag"]
    assert b'"z":{"b":1.0,"a":[10.0,1]}' in changed.content
    assert b'"low":10.0' in changed.content


async def test_deleted_environment_is_gone_after_a_refresh(shop: Shop) -> None:
    """Its key may live a moment longer, and reaches nothing."""
    await shop.set_up()
    assert (await shop.stage.snapshot()).status_code == 200

    await shop.change(delete_environment, "shop", "staging")
    await shop.delivery.refresh()

    assert (await shop.stage.snapshot()).status_code == 404
