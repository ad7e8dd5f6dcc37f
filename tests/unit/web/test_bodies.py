"""Bodies on the wire: bounded in bytes and in time, against a real server."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp
from tests.unit.web.rig import GOOD, Rig, connected, read_reply, request_head, served, until

from greenroom_server.web.routing import Call, Reply, Route

pytestmark = pytest.mark.asyncio

LIMIT = 1000
JSON = "Content-Type: application/json"


async def measure(call: Call) -> Reply:
    return Reply(200, {"bytes": len(call.body)})


def measuring(**rig: Any) -> ASGIApp:
    return Rig(**rig).app(Route("POST", "/things", "create_thing", "thing.write", measure, max_body=LIMIT))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
async def test_body_at_the_limit_is_read(size: int) -> None:
    """Up to the limit all is well."""
    async with served(measuring()) as port, httpx.AsyncClient(headers=GOOD) as client:
        reply = await client.post(
            f"http://127.0.0.1:{port}/things", content=b"x" * size, headers={"Content-Type": "application/json"}
        )

    assert reply.json() == {"bytes": size}


@pytest.mark.parametrize("size", [LIMIT + 1, 100_000, 20_000_000])
async def test_body_past_the_limit_is_413_and_names_it(size: int) -> None:
    """The client gets the answer although the server has not read the body."""
    async with served(measuring()) as port, httpx.AsyncClient(headers=GOOD) as client:
        reply = await client.post(f"http://127.0.0.1:{port}/things", content=b"x" * size)

    problem = reply.json()
    assert (reply.status_code, problem["limit"], problem["maximum"]) == (413, "body_bytes", LIMIT)
    assert reply.headers["connection"] == "close"


async def test_declared_length_past_the_limit_is_refused_before_the_body() -> None:
    """Nothing needs to be sent to be told."""
    async with served(measuring()) as port, connected(port) as (reader, writer):
        writer.write(request_head("POST /things", [JSON, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"]))
        status, _, _ = await read_reply(reader)

    assert status == 413


async def test_chunked_body_is_cut_off_at_the_limit() -> None:
    """A body without a length is refused as soon as it is too long, though it never ends."""
    async with served(measuring()) as port, connected(port) as (reader, writer):
        writer.write(request_head("POST /things", [JSON, "Transfer-Encoding: chunked"]))
        for _ in range(LIMIT // 100 + 1):
            writer.write(chunk(b"x" * 100))
        status, _, _ = await read_reply(reader)

    assert status == 413


async def test_endless_body_ends_the_connection() -> None:
    """Who goes on sending after the refusal is cut off."""
    async with served(measuring()) as port, connected(port) as (_, writer):
        writer.write(request_head("POST /things", [JSON, "Transfer-Encoding: chunked"]))

        async def send_for_ever() -> None:
            while True:
                writer.write(chunk(b"x" * 60_000))
                await writer.drain()

        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(20):
                await send_for_ever()


async def test_chunked_body_within_the_limit_is_read() -> None:
    """Chunks are put together."""
    async with served(measuring()) as port, connected(port) as (reader, writer):
        writer.write(request_head("POST /things", [JSON, "Transfer-Encoding: chunked"]))
        writer.write(chunk(b"x" * 600) + chunk(b"x" * 400) + chunk(b""))
        status, _, body = await read_reply(reader)

    assert (status, body) == (200, b'{"bytes":1000}')


async def test_length_that_promises_more_than_comes_is_408() -> None:
    """A body that stops half-way holds a connection for the time limit and no longer."""
    async with served(measuring(body_timeout_s=0.2)) as port, connected(port) as (reader, writer):
        writer.write(request_head("POST /things", [JSON, "Content-Length: 500"]) + b"x" * 10)
        status, head, _ = await read_reply(reader)

    assert status == 408
    assert b"connection: close" in head


async def test_length_that_promises_less_than_comes_reads_what_was_promised() -> None:
    """The rest is not taken for a part of the body."""
    async with served(measuring()) as port, connected(port) as (reader, writer):
        writer.write(request_head("POST /things", [JSON, "Content-Length: 5"]) + b"x" * 5)
        status, _, body = await read_reply(reader)
        writer.write(b"x" * 45)
        rest = await reader.read()

    assert (status, body) == (200, b'{"bytes":5}')
    assert rest.startswith(b"HTTP/1.1 400")


async def test_trickling_body_is_cut_off_in_time() -> None:
    """The time limit is for the whole body: a byte now and then does not extend it."""
    async with served(measuring(body_timeout_s=0.3)) as port, connected(port) as (reader, writer):
        writer.write(request_head("POST /things", [JSON, "Content-Length: 500"]))

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        status, _, _ = await read_reply(reader)
        trickling.cancel()

    assert status == 408


async def test_client_that_leaves_while_sending_begins_nothing() -> None:
    """A half-sent request opens no transaction."""
    rig, ended = Rig(), []
    inner = rig.app(Route("POST", "/things", "create_thing", "thing.write", measure, writes=True))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)
        ended.append(True)

    async with served(app) as port:
        async with connected(port) as (_, writer):
            writer.write(request_head("POST /things", [JSON, "Content-Length: 500"]) + b"x" * 10)
            await until(lambda: rig.authorizer.asked != [])
        await until(lambda: ended == [True])

    assert rig.ledger.opened == []


async def test_client_that_leaves_while_the_handler_works_leaves_nothing_open() -> None:
    """The transaction ends as if the client were there, and its session is given back."""
    rig, go_on = Rig(), asyncio.Event()

    async def work(call: Call) -> Reply:
        call.session.append("done")
        await go_on.wait()
        return Reply(200, {})

    async with served(rig.app(Route("POST", "/things", "create_thing", "thing.write", work, writes=True))) as port:
        async with connected(port) as (_, writer):
            writer.write(request_head("POST /things", ["Content-Length: 0"]))
            await until(lambda: rig.ledger.opened != [])
            writer.transport.abort()
        go_on.set()
        await until(lambda: rig.ledger.ends != [])

    assert (rig.ledger.ends, rig.ledger.kept) == (["commit"], ["done"])


async def test_cancelled_handler_rolls_back() -> None:
    """At a hard shutdown the server cancels what still runs, and nothing half-done is kept."""
    rig, started = Rig(), asyncio.Event()

    async def work(call: Call) -> Reply:
        call.session.append("half done")
        started.set()
        await asyncio.Event().wait()
        return Reply(200, {})

    async with rig.client(Route("POST", "/things", "create_thing", "thing.write", work, writes=True)) as client:
        request = asyncio.create_task(client.post("/things"))
        await started.wait()
        request.cancel()
        await asyncio.wait([request])

    assert (rig.ledger.ends, rig.ledger.kept) == (["rollback"], [])
