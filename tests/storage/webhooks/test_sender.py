"""Sending: at least once, tried again by the clock, given up visibly, and nobody waits for anybody."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from tests.blackbox.webhooks.receiver import Answer, Receiver
from tests.storage.webhooks.conftest import PROJECT, Scene, worked_off

from greenroom_server.sealing import Sealer
from greenroom_server.webhooks import service, service_deliveries
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.schedule import DELAYS_S, Tried
from greenroom_server.webhooks.sender import LEASE
from greenroom_server.webhooks.service_outbox import hand_out
from greenroom_server.webhooks.service_queue import Capacity, claim, prune, settle
from greenroom_server.webhooks.signing import sign
from greenroom_server.webhooks.wire import SecretRotationIn

pytestmark = pytest.mark.asyncio


async def test_two_senders_share_the_work(scene: Scene) -> None:
    """Every event arrives, signed, and none of them twice while no sender dies."""
    secret = await scene.make()
    await scene.happens(times=40)
    async with scene.sender() as one, scene.sender() as another:
        while sum(await asyncio.gather(one.step(), another.step())):
            await asyncio.gather(one.idle(), another.idle())

    messages = scene.receiver.messages
    assert len({message.id for message in messages}) == len(messages) == 40
    sequences = {message.verified_by(secret)["data"]["sequence"] for message in messages}
    assert len(sequences) == 40
    assert {row.state for row in await scene.rows()} == {"delivered"}


async def test_a_burst_of_changes_is_looked_for_together(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Woken with every commit, it looks a few times and not each time, and nothing stays behind."""
    await scene.make()
    looks = 0

    async with scene.sender(poll_s=3600.0) as sender:
        step = sender.step

        async def counted() -> int:
            nonlocal looks
            looks += 1
            return await step()

        monkeypatch.setattr(sender, "step", counted)
        await sender.start()
        for _ in range(30):
            await scene.happens()
            sender.wake()
        seen_at_once = looks
        await asyncio.to_thread(scene.receiver.wait_for, 30)

    assert len({message.id for message in scene.receiver.messages}) == 30
    assert seen_at_once < 30


async def test_a_sender_that_dies_between_sending_and_noting_sends_again(scene: Scene) -> None:
    """Another one does, when the lease is over and not before, under the same id and with a signature of its own."""
    secret = await scene.make()
    await scene.happens()
    scene.receiver.plan = [Answer(hangs=True)]
    async with scene.sender() as dying, scene.sender() as heir:
        assert await dying.step() == 1
        await asyncio.to_thread(scene.receiver.wait_for, 1)
        for task in asyncio.all_tasks():
            if task.get_name() == "webhook delivery":
                task.cancel()
        await dying.idle()
        assert await heir.step() == 0
        scene.clock.move(seconds=LEASE.total_seconds())
        await worked_off(heir)

    first, second = scene.receiver.messages
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    second.verified_by(secret)
    row = await scene.row()
    assert (row.state, row.attempts) == ("delivered", 1)


async def test_who_lost_the_lease_has_nothing_to_say(scene: Scene) -> None:
    """A sender that was frozen and comes back does not undo what another one wrote."""
    await scene.make()
    await scene.happens()
    room = Capacity(10, 10)
    async with scene.sender() as sender, scene.database.transaction() as session:
        assert await sender.step() == 1
        await sender.idle()
        await session.execute(text("UPDATE webhook_delivery SET state = 'waiting', next_at = now() - interval '1 h'"))
        (zombie,) = await claim(session, room, scene.clock.now(), LEASE)
        scene.clock.move(seconds=LEASE.total_seconds())
        (heir,) = await claim(session, room, scene.clock.now(), LEASE)
        said = [
            await settle(session, heir, Tried(204), scene.clock.now(), 0.5),
            await settle(session, zombie, Tried(500, "status"), scene.clock.now(), 0.5),
        ]

    assert said == ["delivered", "lost"]
    assert (await scene.row()).state == "delivered"


async def test_failures_are_tried_again_by_the_clock(scene: Scene) -> None:
    """Never before the wait is over; the first success ends it."""
    await scene.make()
    await scene.happens()
    scene.receiver.plan = [Answer(500), Answer(502), Answer(302, Location="/")]
    async with scene.sender() as sender:
        await worked_off(sender)
        for number, wait_s in enumerate(DELAYS_S[:3], start=1):
            row = await scene.row()
            assert (row.attempts, row.next_at) == (number, scene.clock.now() + timedelta(seconds=wait_s))
            scene.clock.move(seconds=wait_s - 0.1)
            assert await sender.step() == 0
            scene.clock.move(seconds=0.1)
            await worked_off(sender)

    row = await scene.row()
    assert (row.state, row.attempts, row.last_status, row.last_error) == ("delivered", 4, 204, None)
    assert len({message.id for message in scene.receiver.messages}) == 1
    assert (await scene.webhook()).failing_since is None


async def test_given_up_it_can_be_sent_again(scene: Scene) -> None:
    """After eight tries it is dead and stays so; a replay sends it under its old id."""
    await scene.make()
    await scene.happens()
    scene.receiver.usual = Answer(500)
    async with scene.sender() as sender:
        for wait_s in (0, *DELAYS_S, 100_000):
            scene.clock.move(seconds=wait_s)
            await worked_off(sender)
        row = await scene.row()
        assert (row.state, row.attempts, row.last_status) == ("dead", 8, 500)
        assert len(scene.receiver.messages) == 8

        scene.receiver.usual = Answer()
        async with scene.work() as work:
            await service_deliveries.replay_delivery(work, PROJECT, "ops", row.id)
        await worked_off(sender)

    assert (await scene.row()).state == "delivered"
    assert {message.id for message in scene.receiver.messages} == {str(row.id)}


async def test_gone_switches_it_off(scene: Scene) -> None:
    """At once, with an audit event, and nothing is sent there any more."""
    await scene.make()
    await scene.happens(times=2)
    scene.receiver.usual = Answer(410)
    async with scene.sender(per_destination=1) as sender:
        await sender.step()
        await sender.idle()
        scene.clock.move(days=1)
        await worked_off(sender)

    webhook = await scene.webhook()
    assert (webhook.enabled, webhook.disabled_because, webhook.version) == (False, "gone", 2)
    assert len(scene.receiver.messages) == 1
    assert (await scene.audited()).count("webhook.disable") == 1


async def test_failing_for_days_switches_it_off(scene: Scene) -> None:
    """Three days without a single success; the audit log says who did it and why."""
    await scene.make()
    scene.receiver.usual = Answer(503)
    async with scene.sender() as sender:
        for day in range(4):
            assert (await scene.webhook()).enabled, f"after {day} days"
            await scene.happens()
            for wait_s in (0, *DELAYS_S, 12 * 3600):
                scene.clock.move(seconds=wait_s)
                await worked_off(sender)

    webhook = await scene.webhook()
    assert (webhook.enabled, webhook.disabled_because) == (False, "failing")
    (event,) = await scene.rows("SELECT * FROM audit_event WHERE action = 'webhook.disable'")
    assert (event.actor, event.target) == ("greenroom:webhooks", f"/api/v1/projects/{PROJECT}/webhooks/ops")


async def test_one_failure_after_a_long_silence_switches_nothing_off(scene: Scene) -> None:
    """Though the last one that succeeded was weeks ago: it takes a delivery that is given up."""
    await scene.make()
    scene.receiver.plan = [Answer(503)] * 9
    async with scene.sender() as sender:
        await scene.happens()
        for wait_s in (0, *DELAYS_S, 1_000_000):
            scene.clock.move(seconds=wait_s)
            await worked_off(sender)
        await scene.happens()
        await worked_off(sender)
        assert (await scene.webhook()).enabled
        scene.clock.move(seconds=DELAYS_S[0])
        await worked_off(sender)

    assert (await scene.webhook()).failing_since is None


async def test_retry_after_holds_for_the_whole_destination(scene: Scene) -> None:
    """Who says that they are overloaded gets nothing, no other message either, until it is over."""
    await scene.make()
    await scene.happens()
    scene.receiver.plan = [Answer(429, Retry_After="600")]
    async with scene.sender() as sender:
        await worked_off(sender)
        await scene.happens()
        scene.clock.move(seconds=599)
        assert await sender.step() == 0
        scene.clock.move(seconds=1)
        await worked_off(sender)

    assert [row.state for row in await scene.rows()] == ["delivered"] * 2


async def test_one_that_hangs_delays_nobody(scene: Scene) -> None:
    """The others' messages go out meanwhile, no connection to the store is held, and few wait on the one that hangs."""
    scene.receiver.usual = Answer(hangs=True)
    with Receiver() as quick:
        await scene.make("slow")
        await scene.make("quick", url=quick.url)
        await scene.happens(times=30)
        async with scene.sender(per_destination=2) as sender:
            await sender.step()
            await asyncio.to_thread(scene.receiver.wait_for, 2)
            while len(quick.messages) < 30:
                await sender.step()
                await asyncio.sleep(0)
            assert len(scene.receiver.messages) < 4
            async with asyncio.timeout(10):
                while scene.database.in_use:  # noqa: ASYNC110  the last of the quick ones' outcomes are written down
                    await asyncio.sleep(0)
            scene.receiver.let_go.set()
            await worked_off(sender)
    assert {row.state for row in await scene.rows()} == {"delivered"}


async def test_one_that_fails_is_tried_one_message_at_a_time(scene: Scene) -> None:
    """What is in line behind it does not all run into the same timeout."""
    await scene.make()
    await scene.happens(times=20)
    scene.receiver.usual = Answer(500)
    async with scene.sender() as sender:
        assert await sender.step() == 4
        await sender.idle()
        assert await sender.step() == 1


async def test_those_that_fail_leave_room_for_those_that_do_not(scene: Scene) -> None:
    """However many of them hang: half of what a server sends at a time is kept from them."""
    scene.receiver.usual = Answer(hangs=True)
    with Receiver() as quick:
        for number in range(6):
            await scene.make(f"slow-{number}")
        async with scene.database.transaction() as session:
            await session.execute(text("UPDATE webhook SET failing_since = now()"))
        await scene.make("quick", url=quick.url)
        await scene.happens(times=3)
        async with scene.sender(at_once=4) as sender, asyncio.timeout(30):
            while len(quick.messages) < 3 or len(scene.receiver.messages) < 2:
                await sender.step()
            assert await sender.step() == 0
            assert len(scene.receiver.messages) == 2


async def test_two_secrets_sign_while_they_overlap(scene: Scene) -> None:
    """And then the new one does alone, and the old one is forgotten."""
    old = await scene.make()
    async with scene.work() as work:
        rotated = await service.rotate_secret(work, scene.desk, PROJECT, "ops", SecretRotationIn(overlap_hours=1))
    async with scene.sender() as sender:
        await scene.happens()
        await worked_off(sender)
        scene.clock.move(hours=1)
        await scene.happens()
        await worked_off(sender)
        await sender.keep_house()

    during, after = scene.receiver.messages
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(after.headers["webhook-signature"].split()) == 1
    during.verified_by(old)
    for message in (during, after):
        # The library looks at the time, which stands still here but for the hour that was moved.
        assert _signed_by(rotated.result.secret, message.headers, message.body)
    assert (await scene.webhook()).previous_secret is None


async def test_a_secret_that_no_key_opens_is_told(scene: Scene) -> None:
    """Nothing goes out unsigned; the delivery says why and is tried again."""
    scene.desk = Desk(scene.desk.egress, Sealer(["Y2FuIHlvdSBrZWVwIGEgc2VjcmV0PyBJIGNhbi4uLi4="]))
    await scene.make()
    await scene.happens()
    scene.desk = Desk(scene.desk.egress, Sealer())
    async with scene.sender() as sender:
        await worked_off(sender)

    row = await scene.row()
    assert (row.state, row.last_error, scene.receiver.connections) == ("waiting", "secret", 0)


async def test_an_address_inside_is_refused_with_every_try(scene: Scene) -> None:
    """A URL that was fine when it was saved is checked again when something is sent."""
    await scene.make()
    await scene.happens()
    scene.desk = Desk(type(scene.desk.egress)(ports=frozenset({scene.receiver.port})), scene.desk.sealer)
    async with scene.sender() as sender:
        await worked_off(sender)

    row = await scene.row()
    assert (row.last_error, scene.receiver.connections) == ("refused", 0)


async def test_old_deliveries_are_forgotten(scene: Scene) -> None:
    """Whatever became of them, and the addresses of callbacks with them; young ones stay."""
    await scene.make()
    await scene.happens(times=2)
    async with scene.sender() as sender:
        await worked_off(sender)
        scene.clock.move(days=15)
        await scene.happens()
        await worked_off(sender)
        async with scene.database.transaction() as session:
            pruned = await prune(session, scene.clock.now(), timedelta(days=14))

    assert (pruned, len(await scene.rows())) == (2, 1)


def _signed_by(secret: str, headers: dict[str, str], body: bytes) -> bool:
    expected = sign(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    return expected in headers["webhook-signature"].split()


async def test_a_destination_speaks_cdevents_if_it_says_so(scene: Scene) -> None:
    """What is in line keeps its form when the destination changes; each is signed, and names what it is."""
    secret = await scene.make(events=["flag.*"])
    async with scene.sender() as sender:
        await scene.happens("flag.disable")
        async with scene.database.transaction() as session:
            await hand_out(session, scene.clock.now())
        await scene.patch({"format": "cdevents"})
        await scene.happens("flag.enable")
        await sender.step()
        await sender.idle()

    types = {
        message.verified_by(secret)["type"]: message.headers["content-type"] for message in scene.receiver.messages
    }
    assert types == {
        "flag.disable": "application/json",
        "dev.cdeventsx.greenroom-flag.enable.0.1.0": "application/cloudevents+json; charset=UTF-8",
    }
