"""`GET /api/v1/sdk/stream` over real connections: positions, resumption, slow readers, the end."""

import asyncio
import socket

import httpx
import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.api.delivery.streams_rig import STREAM, running
from tests.unit.delivery.rig import Stage, flag
from tests.unit.web.rig import served, until

from greenroom.evaluation import verify_seal
from greenroom_server.delivery.subscriber import connection_of, remember_connection

pytestmark = pytest.mark.asyncio


async def test_stream_begins_with_a_snapshot_and_goes_on_with_changes() -> None:
    """Both sealed, each with its position."""
    async with running(Stage(flag("a"))) as server, server.stream() as stream:
        first = await stream.next()
        await server.publish(flag("b"), removed=["a"])
        second = await stream.next()

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert first is not None
    assert second is not None
    epoch = first.data["epoch"]
    assert (first.name, first.id, first.data["revision"]) == ("snapshot", f"{epoch}.1", 1)
    assert (second.name, second.id, second.data["from"], second.data["to"]) == ("change", f"{epoch}.2", 1, 2)
    assert set(second.data["flags"]["put"]) == {"b"}
    assert second.data["flags"]["removed"] == ["a"]
    assert verify_seal(orjson.dumps(second.data))


async def test_resumed_stream_gets_only_what_it_missed() -> None:
    """A position within the ring of recent changes."""
    async with running(Stage(flag("a"))) as server:
        async with server.stream() as stream:
            first = await stream.next()
        assert first is not None
        for number in range(3):
            await server.publish(flag(f"b{number}"))
        async with server.stream(last_event_id=first.id) as stream:
            events = [await stream.next() for _ in range(3)]

    assert [(event.name, event.data["from"]) for event in events if event] == [
        ("change", 1),
        ("change", 2),
        ("change", 3),
    ]


async def test_current_client_gets_nothing_until_something_changes() -> None:
    """Not even a snapshot that it has."""
    async with running(Stage(flag("a"))) as server:
        async with server.stream() as stream:
            first = await stream.next()
        assert first is not None
        async with server.stream(last_event_id=first.id) as stream:
            await server.publish(flag("b"))
            event = await stream.next()

    assert event is not None
    assert (event.name, event.data["to"]) == ("change", 2)


@pytest.mark.parametrize(
    "position", ["other-epoch.1", "nonsense", "", ".", "{epoch}.", "{epoch}.-1", "{epoch}.1x", "{epoch}.0"]
)
async def test_position_that_says_nothing_gets_a_snapshot(position: str) -> None:
    """Another epoch, another environment, nonsense, or too long ago."""
    stage = Stage(flag("a"))
    async with running(stage) as server:
        live = await stage.delivery.environments.get(stage.environment_id)
        async with server.stream(last_event_id=position.replace("{epoch}", live.served.epoch)) as stream:
            event = await stream.next()

    assert event is not None
    assert event.name == "snapshot"


async def test_position_of_another_environment_gets_a_snapshot() -> None:
    """The same revision number there says nothing here."""
    stage = Stage(flag("a"))
    other_id, _ = stage.source.add("shop", "staging", flag("b"))
    stage.keys.add("other", "server", other_id)
    async with running(stage) as server:
        async with server.stream() as stream:
            first = await stream.next()
        assert first is not None
        async with server.stream(token="other", last_event_id=first.id) as stream:
            event = await stream.next()

    assert event is not None
    assert (event.name, set(event.data["flags"])) == ("snapshot", {"b"})


async def test_client_ahead_of_this_server_never_gets_an_older_snapshot() -> None:
    """It comes from a faster server: this one catches up first, or waits until it has."""
    stage = Stage(flag("a"))
    ahead = stage.another()
    async with running(stage) as server:
        async with server.stream() as stream:
            await stream.next()
        stage.site.put(flag("b"))
        live = await ahead.environments.get(stage.environment_id)
        stage.source.is_down = True
        async with server.stream(last_event_id=live.served.server.tag) as stream:
            await until(lambda: stage.delivery.hub.count == 1)
            stage.source.is_down = False
            await server.publish(flag("c"))
            event = await stream.next()

    assert event is not None
    assert event.id == f"{live.served.epoch}.3"


async def test_client_that_fell_behind_the_ring_gets_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is sent hundreds of changes one by one."""
    monkeypatch.setattr("greenroom_server.delivery.live.RING_EVENTS", 3)
    stage = Stage(flag("a"))
    async with running(stage) as server:
        async with server.stream() as stream:
            first = await stream.next()
        assert first is not None
        for number in range(4):
            await server.publish(flag(f"b{number}"))
        async with server.stream(last_event_id=first.id) as stream:
            event = await stream.next()

    assert event is not None
    assert (event.name, event.data["revision"]) == ("snapshot", 5)


async def test_new_epoch_sends_everybody_a_snapshot() -> None:
    """A restored database is another history."""
    stage = Stage(flag("a"))
    async with running(stage) as server, server.stream() as stream:
        first = await stream.next()
        stage.source.store_epoch = "second"
        await server.publish(flag("b"))
        event = await stream.next()

    assert first is not None
    assert event is not None
    assert event.name == "snapshot"
    assert event.data["epoch"] != first.data["epoch"]


async def test_reader_that_stops_is_cut() -> None:
    """Its connection is reset, although there is much that it never took; a reader that goes on is not touched."""
    stage = Stage(flag("a"))
    stage.delivery.hub._send_limit_s = 0.5
    async with running(stage) as server, server.stream(buffer=4096) as stopped, server.stream() as good:
        transport = stopped.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()

        async def publish_until_cut() -> int:
            # The kernel takes a few megabytes in before anybody notices.
            for number in range(500):
                await server.publish(flag("b", description=f"{number}" + "y" * 400_000))
                await asyncio.wait_for(good.next(), 10)
                stage.delivery.hub.sweep()
                if stage.delivery.hub.count == 1:
                    return number
            raise AssertionError("the stopped reader was never cut")

        await good.next()
        await publish_until_cut()
        transport.resume_reading()
        assert await stopped.is_over()
    assert stage.delivery.hub.dropped == 1


async def test_connection_is_found_under_a_wrapped_send() -> None:
    """Tracing hides the server's `send`; the outermost app remembers it."""
    found: list[object] = []

    async def wrapping(scope: Scope, receive: Receive, send: Send) -> None:
        async def wrapped(message: Message) -> None:
            await send(message)

        found.append(connection_of(scope, wrapped))
        remember_connection(scope, send)
        found.append(connection_of(scope, wrapped))
        await wrapped({"type": "http.response.start", "status": 204, "headers": []})
        await wrapped({"type": "http.response.body", "body": b""})

    async with served(wrapping) as port, httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{port}/")

    assert found[0] is None
    assert hasattr(found[1], "abort")


async def test_client_that_resets_is_forgotten() -> None:
    """At once, and nothing of it stays."""
    stage = Stage(flag("a"))
    async with running(stage) as server, server.stream() as stream:
        await stream.next()
        sock = stream.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.writer.transport.abort()
        await until(lambda: stage.delivery.hub.count == 0)
    live = await stage.delivery.environments.get(stage.environment_id)
    assert not live.subscribers


async def test_revoked_key_loses_its_stream() -> None:
    """At the next sweep, which comes every second."""
    stage = Stage(flag("a"))
    async with running(stage) as server, server.stream() as stream:
        await stream.next()
        stage.keys.revoke("server")
        stage.delivery.hub.sweep()

        assert await stream.is_over()


async def test_removed_environment_ends_its_streams() -> None:
    """There is nothing more to tell."""
    stage = Stage(flag("a"))
    async with running(stage) as server, server.stream() as stream:
        await stream.next()
        stage.source.sites.clear()
        await stage.delivery.refresh()

        assert await stream.is_over()


async def test_shutdown_says_goodbye() -> None:
    """With a delay of the client's own, and the response ends as it should."""
    stage = Stage(flag("a"))
    async with running(stage) as server, server.stream() as stream:
        await stream.next()
        await stage.delivery.say_goodbye()
        event = await stream.next()
        over = await stream.next()
        async with server.stream() as refused:
            pass

    assert event is not None
    assert event.name == "goodbye"
    assert event.data["delay_ms"] >= 0
    assert event.retry == event.data["delay_ms"]
    assert over is None
    assert refused.status == 503


async def test_streams_past_the_cap_are_refused_cheaply() -> None:
    """503 with whole seconds to wait."""
    async with running(Stage(flag("a"), stream_cap=1)) as server, server.stream() as stream:
        await stream.next()
        async with server.stream() as refused:
            pass

    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["content-type"] == "application/problem+json"


async def test_heartbeat_has_a_name_and_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """SDKs count silence; a comment would be invisible to many readers."""
    monkeypatch.setattr("greenroom_server.delivery.hub._TICK_S", 0.0)
    stage = Stage(flag("a"))
    async with running(stage) as server, server.stream() as stream:
        await stream.next()
        await stage.delivery.start()
        event = await stream.next()

    assert event is not None
    assert (event.name, event.data) == ("heartbeat", {"revision": 1})
    assert event.id is None


@pytest.mark.parametrize(("token", "status"), [("client", 403), ("admin", 403), ("nobody", 401), (None, 401)])
async def test_only_server_keys_may_stream(token: str | None, status: int) -> None:
    """A client key never sees a rule."""
    async with running(Stage(flag("a"))) as server, server.stream(token=token) as stream:
        assert stream.status == status


async def test_head_opens_no_stream() -> None:
    """It answers and is over."""
    stage = Stage(flag("a"))
    async with stage.client() as client:
        reply = await client.head(STREAM)

    assert reply.status_code == 200
    assert stage.delivery.hub.count == 0


async def test_streams_hold_nothing_of_the_store() -> None:
    """Three hundred streams, and the store is not looked at once more."""
    stage = Stage(flag("a"), stream_admissions_per_s=5000)
    async with running(stage) as server:
        async with server.stream() as stream:
            await stream.next()
        looks = stage.source.looks
        contexts = [server.stream() for _ in range(300)]
        streams = await asyncio.gather(*(context.__aenter__() for context in contexts))
        await asyncio.gather(*(one.next() for one in streams))
        assert stage.source.looks == looks
        await asyncio.gather(*(context.__aexit__(None, None, None) for context in contexts))
