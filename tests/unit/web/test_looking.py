"""What comes before a handler that writes: a glance, a look where that was not enough, and what they say of it."""

from typing import Any

import pytest
from tests.unit.web.rig import Rig

from greenroom_server.web.routing import Call, Reply, Route

pytestmark = pytest.mark.asyncio


def deciding(known: str | None) -> Route:
    """A route that knows the answer or has to look for it, and keeps it by one statement."""

    async def glance(call: Call) -> str | None:
        assert call.session is None
        call.is_single = True
        return known

    async def look(call: Call) -> str:
        assert call.session == []
        return "looked up"

    async def keep(call: Call) -> Reply:
        call.session.append(call.seen)
        return Reply(body={"seen": call.seen})

    return Route("POST", "/things", "keep_thing", "thing.write", keep, idempotent=True, looks=look, glances=glance)


@pytest.mark.parametrize(
    ("known", "seen", "opened"),
    [("known", "known", [(True, False)]), (None, "looked up", [(False, False), (True, False)])],
)
async def test_a_look_is_for_what_a_glance_does_not_know(known: Any, seen: str, opened: Any) -> None:
    """A glance has no session, a look has one that reads, and the handler is told what was seen."""
    rig = Rig()
    async with rig.client(deciding(known)) as client:
        reply = await client.post("/things")

    assert (reply.json(), rig.ledger.kept, rig.ledger.opened) == ({"seen": seen}, [seen], opened)


@pytest.mark.parametrize(
    ("headers", "query", "singles"),
    [({}, "", 1), ({"Idempotency-Key": "k"}, "", 0), ({}, "?dry_run=true", 0)],
)
async def test_one_statement_needs_no_transaction(headers: dict[str, str], query: str, singles: int) -> None:
    """Unless an `Idempotency-Key` is remembered with it, or nothing is to be kept of it."""
    rig = Rig()
    async with rig.client(deciding("known")) as client:
        reply = await client.post(f"/things{query}", headers=headers)

    assert (reply.status_code, rig.ledger.singles) == (200, singles)
