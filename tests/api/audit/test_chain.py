"""The chain: tampering is found, and the store itself refuses the careless kind."""

import asyncio
from uuid import uuid4

import pytest
from tests.api.stage import Stage
from tests.api.store import database, statement
from tests.api.verbs import NEW_FLAG

from greenroom_server.audit import service as audit
from greenroom_server.audit.service import Event, EventFilter
from greenroom_server.clock import SystemClock
from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.engine import Database

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def written(url: str, count: int = 6) -> str:
    """A new chain of so many events."""
    chain = f"chain-{uuid4()}"
    async with database(url) as opened:
        for number in range(count):
            async with opened.transaction() as session:
                event = Event(
                    chain, "admin:1", "thing.update", f"/things/{number}", [{"path": "", "op": "add", "to": 10.0}]
                )
                await audit.record(session, event, SystemClock().now())
    return chain


async def verdict(url: str, chain: str) -> int | None:
    async with database(url) as opened, opened.reading() as session:
        return await audit.verify(session, chain)


@pytest.mark.parametrize(
    ("harm", "first_wrong"),
    [
        ("UPDATE audit_event SET body = replace(body, 'thing', 'other') WHERE sequence = 3 AND chain = '{chain}'", 3),
        ("UPDATE audit_event SET actor = 'admin:2' WHERE sequence = 3 AND chain = '{chain}'", 3),
        ("UPDATE audit_event SET at = at + interval '1 second' WHERE sequence = 3 AND chain = '{chain}'", 3),
        ("UPDATE audit_event SET target = '/things/9' WHERE sequence = 3 AND chain = '{chain}'", 3),
        ("UPDATE audit_event SET hash = sha256('x') WHERE sequence = 3 AND chain = '{chain}'", 3),
        ("DELETE FROM audit_event WHERE sequence = 1 AND chain = '{chain}'", 1),
        ("DELETE FROM audit_event WHERE sequence = 4 AND chain = '{chain}'", 4),
        ("DELETE FROM audit_event WHERE sequence = 6 AND chain = '{chain}'", 6),
        ("DELETE FROM audit_event WHERE sequence > 3 AND chain = '{chain}'", 4),
        ("DELETE FROM audit_event WHERE chain = '{chain}'", 1),
        ("DELETE FROM audit_head WHERE chain = '{chain}'", 7),
        ("UPDATE audit_event SET sequence = 7 - sequence - 10 WHERE sequence IN (3, 4) AND chain = '{chain}'", 1),
        (
            "UPDATE audit_event SET body = (SELECT body FROM audit_event WHERE chain = '{chain}' AND sequence = 5)"
            " WHERE chain = '{chain}' AND sequence = 2",
            2,
        ),
        (
            "INSERT INTO audit_event SELECT chain, 7, at, actor, action, target, body, previous_hash, hash"
            " FROM audit_event WHERE chain = '{chain}' AND sequence = 6",
            7,
        ),
    ],
)
async def test_tampering_is_found(harm: str, first_wrong: int, shared_url: str) -> None:
    """Whoever edits, deletes, swaps or inserts is found out at the first event that does not fit."""
    chain = await written(shared_url)
    assert await verdict(shared_url, chain) is None

    await statement(shared_url, harm.replace("{chain}", chain))

    assert await verdict(shared_url, chain) == first_wrong


async def test_swapping_two_events_is_found(shared_url: str) -> None:
    """Two events in each other's place."""
    chain = await written(shared_url)

    await statement(
        shared_url,
        f"UPDATE audit_event SET sequence = sequence + 100 WHERE sequence IN (3, 4) AND chain = '{chain}';"
        f" UPDATE audit_event SET sequence = 107 - sequence WHERE sequence > 100 AND chain = '{chain}'",
    )

    assert await verdict(shared_url, chain) == 3


@pytest.mark.parametrize(
    "sql",
    ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"],
)
async def test_store_refuses(sql: str, shared_url: str) -> None:
    """The log is append-only for whoever has a shell and a moment of inattention."""
    chain = await written(shared_url, 1)
    connection = await connect(shared_url, Timeouts(), purpose="greenroom tests")
    try:
        with pytest.raises(Exception, match="append-only"):
            await connection.execute(sql)
    finally:
        await connection.close()
    assert await verdict(shared_url, chain) is None


async def test_parallel_writers_make_one_chain(stage: Stage) -> None:
    """Eight at once: as many events, one after the other, none lost and no fork."""
    before = (await stage.got(stage.audit, limit=1))["items"][0]["sequence"]

    replies = await asyncio.gather(
        *(stage.admin.post(stage.flags, json={**NEW_FLAG, "key": f"new-{at}"}) for at in range(8))
    )

    assert {reply.status_code for reply in replies} == {201}
    items = (await stage.got(stage.audit, limit=8))["items"]
    assert [one["sequence"] for one in items] == list(range(before + 8, before, -1))
    assert await verdict(stage.url, stage.key) is None


async def test_writers_who_share_nothing_but_the_chain_make_one(shared_url: str) -> None:
    """Eight at once on a chain that is not there yet, with no other lock between them: no fork and no gap."""
    chain = f"chain-{uuid4()}"

    async def write(opened: Database) -> None:
        for number in range(10):
            async with opened.transaction() as session:
                await audit.record(session, Event(chain, "admin:1", "thing.update", f"/{number}"), SystemClock().now())

    async with database(shared_url) as opened:
        await asyncio.gather(*(write(opened) for _ in range(8)))
        async with opened.reading() as session:
            events = await audit.page_of_chain(session, chain, EventFilter(), before=None, limit=100)

    assert [event.sequence for event in events] == list(range(80, 0, -1))
    assert await verdict(shared_url, chain) is None


async def test_failed_change_leaves_no_event(stage: Stage) -> None:
    """A change that is refused at its end rolls back its event too."""
    before = await stage.got(stage.audit)

    reply = await stage.admin.patch(
        stage.flag("gift-cards", "production"),
        json={"prerequisites": [{"flag": "missing", "variants": ["on"]}]},
        headers={"If-Match": "*"},
    )

    assert reply.status_code == 400
    assert await stage.got(stage.audit) == before


async def test_two_chains_are_apart(shared_url: str) -> None:
    """Harm to one chain does not make another one look wrong; a chain that never was holds."""
    harmed, other = await written(shared_url), await written(shared_url)
    await statement(shared_url, f"DELETE FROM audit_event WHERE chain = '{harmed}' AND sequence = 2")

    assert await verdict(shared_url, harmed) == 2
    assert await verdict(shared_url, other) is None
    assert await verdict(shared_url, "never was") is None
