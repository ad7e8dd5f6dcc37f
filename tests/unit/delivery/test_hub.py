"""Streams without queues, on fake connections: positions, slow readers, caps, credentials, the last words."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from tests.unit.delivery.rig import Keys
from tests.unit.web.rig import until

from greenroom_server.access.principal import Principal
from greenroom_server.delivery.hub import Hub
from greenroom_server.delivery.subscriber import CHUNK_BYTES, Frames, Subscriber
from greenroom_server.errors import Unavailable

pytestmark = pytest.mark.asyncio


class Wire:
    """A connection: what was sent, whether its reader is stopped, and whether it was aborted."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.ended = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.is_aborted = False
        self.writers = 0

    async def send(self, message: Any) -> None:
        self.writers += 1
        assert self.writers == 1, "two writers on one connection"
        try:
            await self.reads.wait()
            self.sent.append(message["body"])
            if not message["more_body"]:
                self.ended.set()
        finally:
            self.writers -= 1

    async def receive(self) -> dict[str, str]:
        await self.ended.wait()
        return {"type": "http.disconnect"}

    def abort(self) -> None:
        self.is_aborted = True
        self.ended.set()


class Counting(Subscriber):
    """A stream of the numbers up to that of its room."""

    def __init__(self, room: "Room", principal: Principal, wire: Wire) -> None:
        super().__init__(principal, wire.send, room.subscribers)
        self.room = room
        self.position = 0

    def next_frames(self) -> Frames | None:
        if self.position >= self.room.newest:
            return None
        self.position += 1
        return (b"%d" % self.position, b"." * self.room.padding)

    def heartbeat(self) -> Frames:
        return (b"beat",)

    def goodbye(self, delay_ms: int) -> Frames:
        return (b"bye %d" % delay_ms,)


class Room:
    def __init__(self) -> None:
        self.newest = 0
        self.padding = 0
        self.subscribers: set[Subscriber] = set()


class Hall:
    """A hub, and streams that are opened in it."""

    def __init__(self, **options: Any) -> None:
        self.keys = Keys()
        self.principal = self.keys.add("server", "server", uuid4())
        self.hub = Hub(self.keys, **options)
        self.room = Room()
        self.tasks: list[asyncio.Task[None]] = []

    async def open(self, principal: Principal | None = None) -> Wire:
        wire = Wire()
        principal = principal or self.principal
        self.hub.admit(principal)
        count = self.hub.count
        subscriber = Counting(self.room, principal, wire)
        subscriber.connection = wire
        self.tasks.append(asyncio.create_task(self.hub.run(subscriber, wire.receive)))
        await asyncio.sleep(0)
        await until(lambda: self.hub.count > count)
        return wire

    def publish(self, newest: int) -> None:
        self.room.newest = newest
        self.hub.publish(self.room.subscribers)


def numbers(wire: Wire) -> list[int]:
    return [int(chunk) for chunk in wire.sent if chunk.isdigit()]


async def test_every_stream_gets_every_event_in_order() -> None:
    """One publication reaches all, and those behind get what they missed."""
    hall = Hall(admissions_per_s=2000)
    wires = [await hall.open() for _ in range(500)]

    hall.publish(1)
    await until(lambda: all(numbers(wire) == [1] for wire in wires))
    hall.publish(4)

    await until(lambda: all(numbers(wire) == [1, 2, 3, 4] for wire in wires))


async def test_new_stream_is_brought_up_to_date() -> None:
    """Without waiting for the next publication."""
    hall = Hall()
    hall.room.newest = 2

    wire = await hall.open()

    await until(lambda: numbers(wire) == [1, 2])


async def test_idle_stream_has_no_task_of_the_hub() -> None:
    """Only the coroutine that waits for the client to leave remains."""
    hall = Hall()
    wire = await hall.open()
    hall.publish(1)
    await until(lambda: numbers(wire) == [1])
    await asyncio.sleep(0)

    (subscriber,) = hall.room.subscribers
    assert subscriber.writer is None


async def test_one_writer_however_often_it_is_woken() -> None:
    """Publications during a write do not start a second writer; the wire would notice."""
    hall = Hall()
    wire = await hall.open()
    wire.reads.clear()
    for newest in range(1, 20):
        hall.publish(newest)
        await asyncio.sleep(0)

    wire.reads.set()

    await until(lambda: numbers(wire) == list(range(1, 20)))


async def test_slow_reader_is_cut_and_others_are_not() -> None:
    """Who takes nothing for too long is aborted, not flushed."""
    hall = Hall(send_limit_s=-1.0)
    slow, good = await hall.open(), await hall.open()
    slow.reads.clear()
    hall.publish(1)
    await until(lambda: numbers(good) == [1])

    hall.hub.sweep()

    await until(lambda: hall.hub.count == 1)
    assert (slow.is_aborted, good.is_aborted) == (True, False)
    assert hall.hub.dropped == 1


async def test_waiting_for_news_is_not_slowness() -> None:
    """An idle stream is never cut."""
    hall = Hall(send_limit_s=-1.0)
    wire = await hall.open()
    await asyncio.sleep(0)

    hall.hub.sweep()

    assert not wire.is_aborted
    assert hall.hub.count == 1


async def test_large_event_is_sent_in_pieces() -> None:
    """A reader that stops holds one piece and not a whole snapshot."""
    hall = Hall()
    hall.room.padding = 5 * CHUNK_BYTES + 1
    wire = await hall.open()

    hall.publish(1)

    await until(lambda: sum(map(len, wire.sent)) == 5 * CHUNK_BYTES + 2)
    assert max(map(len, wire.sent)) == CHUNK_BYTES


async def test_broken_connection_takes_no_other_down() -> None:
    """Whatever a send raises ends that stream only."""
    hall = Hall()
    broken, good = await hall.open(), await hall.open()

    async def fail() -> None:
        raise ConnectionResetError

    broken.reads.wait = fail  # type: ignore[method-assign, assignment]
    hall.publish(1)

    await until(lambda: numbers(good) == [1])
    await until(lambda: hall.hub.count == 1)


async def test_client_that_leaves_is_forgotten() -> None:
    """No trace of it stays, in the middle of a write too."""
    hall = Hall()
    idle, busy = await hall.open(), await hall.open()
    busy.reads.clear()
    hall.publish(1)

    idle.ended.set()
    busy.ended.set()

    await until(lambda: hall.hub.count == 0)
    await asyncio.sleep(0)
    assert not hall.room.subscribers
    assert not hall.hub._by_credential
    assert not hall.hub._writing
    assert not any(hall.hub._slots)


async def test_streams_past_the_cap_are_refused() -> None:
    """At the cap one fits; the next does not, until one leaves."""
    hall = Hall(cap=2)
    first = await hall.open()
    await hall.open()

    with pytest.raises(Unavailable) as caught:
        hall.hub.admit(hall.principal)
    assert caught.value.retry_after_s >= 1
    first.ended.set()
    await until(lambda: hall.hub.count == 1)
    await hall.open()


async def test_streams_past_the_cap_of_a_credential_are_refused() -> None:
    """One key cannot take the room of the others."""
    hall = Hall(cap_per_credential=1)
    other = hall.keys.add("other", "server", uuid4())
    await hall.open()

    with pytest.raises(Unavailable):
        hall.hub.admit(hall.principal)
    await hall.open(other)


async def test_storm_of_streams_is_admitted_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second's worth at once, and no other before the first of them is a second old."""
    now = 1_000.0
    monkeypatch.setattr("greenroom_server.delivery.hub.monotonic", lambda: now)
    hall = Hall(admissions_per_s=50)

    admitted = sum(was_admitted(hall) for _ in range(200))
    now += 0.999
    late = sum(was_admitted(hall) for _ in range(200))
    now += 0.001
    later = sum(was_admitted(hall) for _ in range(200))

    assert (admitted, late, later) == (50, 0, 50)


def was_admitted(hall: Hall) -> bool:
    try:
        hall.hub.admit(hall.principal)
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize("fall", ["revoked", "moved"])
async def test_streams_of_a_fallen_credential_end(fall: str) -> None:
    """The sweep of every second asks whether each credential still stands."""
    hall = Hall()
    other = hall.keys.add("other", "server", uuid4())
    mine, theirs = await hall.open(), await hall.open(other)

    if fall == "revoked":
        hall.keys.revoke("server")
    else:
        hall.keys._by_token["server"] = Principal(
            hall.principal.token_id, "server", "server", frozenset(), environment_id=hall.principal.environment_id
        )
    hall.hub.sweep()

    await until(lambda: hall.hub.count == 1)
    assert mine.ended.is_set()
    assert not theirs.ended.is_set()


async def test_silent_stream_gets_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream within one round of the clock, and once."""
    monkeypatch.setattr("greenroom_server.delivery.hub._TICK_S", 0.0)
    hall = Hall()
    wires = [await hall.open() for _ in range(20)]

    for _ in range(15):
        await hall.hub.beat()

    await until(lambda: all(wire.sent == [b"beat"] for wire in wires))


async def test_event_counts_as_heartbeat() -> None:
    """A stream that just got an event needs no further sign of life."""
    hall = Hall()
    wire = await hall.open()
    (subscriber,) = hall.room.subscribers
    subscriber.has_heartbeat_due = True

    hall.publish(1)

    await until(lambda: numbers(wire) == [1])
    assert b"beat" not in wire.sent


async def test_goodbye_comes_last_and_spreads_the_return() -> None:
    """Every client gets its own delay, drawn from N/500 seconds, and nobody new is let in."""
    hall = Hall(admissions_per_s=2000)
    wires = [await hall.open() for _ in range(1000)]

    await hall.hub.close()

    assert hall.hub.count == 0
    delays = [int(wire.sent[-1].removeprefix(b"bye ")) for wire in wires]
    assert all(0 <= delay <= 2000 for delay in delays)
    assert max(delays) > 1000 > min(delays)
    with pytest.raises(Unavailable):
        hall.hub.admit(hall.principal)


async def test_goodbye_does_not_wait_for_a_stopped_reader() -> None:
    """A reader that takes nothing is aborted when the time is over."""
    hall = Hall()
    wire = await hall.open()
    wire.reads.clear()
    hall.publish(1)

    await hall.hub.close(within_s=0.05)

    await until(lambda: hall.hub.count == 0)
    assert wire.is_aborted


async def test_stream_ends_quietly_wherever_it_waits() -> None:
    """Ended by the hub, the request's coroutine returns; it is not cancelled from its caller's point of view."""
    hall = Hall()
    await hall.open()
    (task,) = hall.tasks

    await hall.hub.close()
    await until(task.done)

    assert not task.cancelled()
    assert task.exception() is None


async def test_cancellation_from_outside_is_passed_on() -> None:
    """A server that cancels the request is obeyed."""
    hall = Hall()
    await hall.open()
    (task,) = hall.tasks

    task.cancel()
    await until(task.done)

    assert task.cancelled()
    assert hall.hub.count == 0
