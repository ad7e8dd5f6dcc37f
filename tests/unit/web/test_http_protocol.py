"""Connections that never come to the point are closed, whoever they are."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send
from tests.unit.web.rig import connected, read_reply, request_head, served

from greenroom_server.web.http_protocol import MAX_HEAD_BYTES, MAX_HEADERS, BoundedHttpProtocol

pytestmark = pytest.mark.asyncio


class Impatient(BoundedHttpProtocol):
    head_timeout_s = 0.2


async def empty(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def closes(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(5):
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"])
async def test_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    """Connecting and saying nothing, or half of it, is not a way to keep a connection."""
    async with served(empty, http=Impatient) as port, connected(port) as (reader, writer):
        writer.write(sent)

        assert await closes(reader)


async def test_trickling_head_ends_the_connection() -> None:
    """A byte now and then does not extend the time."""
    async with served(empty, http=Impatient) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: ")

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert await closes(reader)
        trickling.cancel()


async def test_second_head_on_a_connection_has_no_more_time() -> None:
    """Keep-alive does not help."""
    async with served(empty, http=Impatient) as port, connected(port) as (reader, writer):
        writer.write(request_head("GET /"))
        await read_reply(reader)
        writer.write(b"GET / HTTP/1.1\r\nHo")

        assert await closes(reader)


async def test_connection_at_rest_is_kept() -> None:
    """Between requests there is nothing to be impatient about: that time is uvicorn's keep-alive."""
    async with served(empty, http=Impatient) as port, connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(request_head("GET /"))
            status, _, _ = await read_reply(reader)
            assert status == 200
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await reader.read(1)


async def test_what_begins_no_request_ends_the_connection() -> None:
    """Empty lines between requests do not count as one."""
    async with served(empty, http=Impatient) as port, connected(port) as (reader, writer):
        writer.write(request_head("GET /"))
        await read_reply(reader)

        async def trickle() -> None:
            while True:
                writer.write(b"\r\n")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert await closes(reader)
        trickling.cancel()


async def test_slow_answers_are_left_alone() -> None:
    """The time is for the client's part; an answer may take longer, even if the client says more meanwhile."""
    go_on = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await empty(scope, receive, send)

    async with served(slow, http=Impatient) as port, connected(port) as (reader, writer):
        writer.write(request_head("GET /") + b"GET / HT")
        asyncio.get_running_loop().call_later(0.5, go_on.set)
        status, _, _ = await read_reply(reader)

    assert status == 200


async def test_body_that_nobody_reads_ends_the_connection() -> None:
    """After the answer, the rest of the request has as long as a head."""
    async with served(empty, http=Impatient) as port, connected(port) as (reader, writer):
        writer.write(request_head("POST /", ["Content-Length: 1000000"]))
        await read_reply(reader)

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert await closes(reader)
        trickling.cancel()


@pytest.mark.parametrize("one_header", [True, False])
async def test_endless_head_is_refused(one_header: bool) -> None:
    """The head has a size limit, be it one header or many."""
    async with served(empty, http=BoundedHttpProtocol) as port, connected(port) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: ")

        async def send_for_ever() -> None:
            while True:
                writer.write(b"x" * 1000 if one_header else b"x" * 60_000 + b"\r\nX: ")
                await writer.drain()

        with pytest.raises(ConnectionError):
            async with asyncio.timeout(10):
                await send_for_ever()


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES, 200_000])
async def test_body_is_no_head(size: int) -> None:
    """However much of a request comes in one piece, only its head counts."""
    request = request_head("POST /", [f"Content-Length: {size}"]) + b"x" * size
    async with served(empty, http=BoundedHttpProtocol) as port, connected(port) as (reader, writer):
        for _ in range(20):
            writer.write(request)
            status, _, _ = await read_reply(reader)
            assert status == 200


async def test_head_behind_a_large_body_is_read() -> None:
    """Two requests at once, the second in two pieces, the first of which comes with the first one's body."""
    size = 100_000
    first = request_head("POST /", [f"Content-Length: {size}"]) + b"x" * size
    second = request_head("GET /")
    async with served(empty, http=BoundedHttpProtocol) as port, connected(port) as (reader, writer):
        writer.write(first + second[:10])
        status, _, _ = await read_reply(reader)
        writer.write(second[10:])
        assert status == (await read_reply(reader))[0] == 200


async def test_head_past_the_limit_is_431() -> None:
    """Who stops in time learns why."""
    async with served(empty, http=BoundedHttpProtocol) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        answer = asyncio.create_task(read_reply(reader))
        while not answer.done():
            writer.write(b"x" * 1024)
            await asyncio.sleep(0)

    assert answer.result()[0] == 431


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS - 2, b"200"), (MAX_HEADERS - 1, b"400")])
async def test_number_of_headers_is_limited(count: int, status: bytes) -> None:
    """A hundred headers are enough for everybody."""
    async with served(empty, http=BoundedHttpProtocol) as port, connected(port) as (reader, writer):
        writer.write(request_head("GET /", [f"X-{index}: 1" for index in range(count)]))
        first_line = await reader.readline()

    assert first_line.split()[1] == status
