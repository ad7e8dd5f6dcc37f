"""What is committed is put in line, once for each destination that wants it, and nothing else is."""

import asyncio

import pytest
from sqlalchemy import text
from tests.storage.webhooks.conftest import PROJECT, Scene, worked_off

from greenroom_server.audit.service import Event, record
from greenroom_server.errors import Invalid
from greenroom_server.webhooks.events import Happening
from greenroom_server.webhooks.service_outbox import MAX_WAITING, Callback, call_back, enqueue, hand_out

pytestmark = pytest.mark.asyncio


async def test_each_event_is_put_in_line_once(scene: Scene) -> None:
    """Though many senders look at the same time, and again."""
    await scene.make()
    await scene.happens(times=20)

    async def look() -> int:
        async with scene.database.transaction() as session:
            return await hand_out(session, scene.clock.now())

    made = await asyncio.gather(*(look() for _ in range(5)), return_exceptions=False)
    made.append(await look())

    assert sum(made) == 20
    assert len(await scene.rows()) == 20


async def test_what_is_rolled_back_is_never_told(scene: Scene) -> None:
    """Neither a change nor an alert."""
    await scene.make()
    async with scene.database.transaction(dry_run=True) as session:
        await record(session, Event(PROJECT, "admin:1", "flag.enable", "/"), scene.clock.now())
        assert await enqueue(session, Happening(PROJECT, "flag.served_while_dark", scene.clock.now(), {})) == 1

    async with scene.sender() as sender:
        assert await sender.step() == 0


async def test_destinations_hear_what_they_asked_for(scene: Scene) -> None:
    """By type and environment, from when they were made, and only while they are on."""
    await scene.happens()
    await scene.make("enabled", events=["flag.enable"])
    await scene.make("all", events=["*"])
    await scene.make("off", events=["*"])
    await scene.patch({"enabled": False}, "off")
    await scene.happens("flag.enable")
    await scene.happens("flag.disable")
    async with scene.sender() as sender:
        await worked_off(sender)

    rows = await scene.rows("SELECT w.key, d.type FROM webhook_delivery d JOIN webhook w ON w.id = webhook_id")
    heard = {(row.key, row.type) for row in rows}
    assert {pair for pair in heard if pair[1].startswith("flag.")} == {
        ("enabled", "flag.enable"),
        ("all", "flag.enable"),
        ("all", "flag.disable"),
    }


async def test_switched_on_again_it_hears_of_what_comes(scene: Scene) -> None:
    """What happened in between is not sent."""
    await scene.make()
    await scene.patch({"enabled": False})
    await scene.happens("flag.archive")
    await scene.patch({"enabled": True})
    await scene.happens("flag.restore")
    async with scene.sender() as sender:
        await worked_off(sender)

    assert [message.document["type"] for message in scene.receiver.messages] == ["flag.restore"]


async def test_an_alert_is_told_with_its_own_data_and_once(scene: Scene) -> None:
    """Its audit event is passed over."""
    secret = await scene.make()
    data = {"flag": "new-checkout", "variant": "on"}
    async with scene.database.transaction() as session:
        await record(session, Event(PROJECT, "greenroom:darkness", "flag.served_while_dark", "/"), scene.clock.now())
        await enqueue(session, Happening(PROJECT, "flag.served_while_dark", scene.clock.now(), data))
    async with scene.sender() as sender:
        await worked_off(sender)

    (message,) = scene.receiver.messages
    assert message.verified_by(secret)["data"] == data


async def test_a_full_line_leaves_changes_in_the_log(scene: Scene) -> None:
    """They follow when there is room again, none is lost; what has no log behind it is given up where one sees it."""
    await scene.make()
    await scene.happens(times=3)
    full = f"""INSERT INTO webhook_delivery (id, webhook_id, type, body, state, attempts, next_at, created_at)
        SELECT gen_random_uuid(), w.id, 'x', '', 'waiting', 0, now() + interval '1 day', now()
        FROM webhook w, generate_series(1, {MAX_WAITING - 1})"""
    async with scene.database.transaction() as session:
        await session.execute(text(full))
        handed_out = [await hand_out(session, scene.clock.now()) for _ in range(2)]
        await enqueue(session, Happening(PROJECT, "flag.served_while_dark", scene.clock.now(), {}))

    given_up = await scene.row("SELECT * FROM webhook_delivery WHERE type = 'flag.served_while_dark'")
    assert (handed_out, given_up.state, given_up.last_error) == ([1, 0], "dead", "queue_full")
    async with scene.database.transaction() as session:
        await session.execute(text("DELETE FROM webhook_delivery WHERE type = 'x'"))
        assert await hand_out(session, scene.clock.now()) == 2


async def test_a_callback_goes_to_an_address_that_nobody_configured(scene: Scene) -> None:
    """Signed by the secret that it was asked with, each secret for itself."""
    secrets = ["whsec_" + "QUJD" * 8, "whsec_" + "REVG" * 8]
    async with scene.database.transaction() as session:
        for secret in (*secrets, secrets[0]):
            asked = Callback(PROJECT, scene.receiver.url, secret, "release.decided", {"result": "allow"})
            await call_back(session, scene.desk, asked, scene.clock.now())
    async with scene.sender() as sender:
        await worked_off(sender)

    assert len(await scene.rows("SELECT * FROM webhook WHERE key IS NULL")) == 2
    by_secret = [sum(_fits(message, secret) for message in scene.receiver.messages) for secret in secrets]
    assert by_secret == [2, 1]


async def test_a_callback_goes_nowhere_inside(scene: Scene) -> None:
    """Its URL is checked as any other."""
    asked = Callback(PROJECT, "http://169.254.169.254/", "whsec_QUJD", "release.decided", {})
    with pytest.raises(Invalid):
        async with scene.database.transaction() as session:
            await call_back(session, scene.desk, asked, scene.clock.now())


def _fits(message: object, secret: str) -> bool:
    try:
        message.verified_by(secret)  # type: ignore[attr-defined]
    except Exception:
        return False
    return True
