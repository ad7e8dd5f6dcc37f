"""Real streams over loopback: a server, and a client that reads events as a browser would."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from tests.unit.delivery.rig import Stage
from tests.unit.web.rig import served

STREAM = "/api/v1/sdk/stream"


@dataclass
class Event:
    """One block of an event stream; a comment has no data."""

    name: str = "message"
    id: str | None = None
    data: Any = None
    retry: int | None = None


@dataclass
class Stream:
    """An open response, and what it says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    _rest: bytes = b""

    async def next(self, *, timeout_s: float = 10.0) -> Event | None:
        """The next event that has data or a retry, or None at the end of the response."""
        while (block := await self.block(timeout_s=timeout_s)) is not None:
            event = _event_of(block)
            if event.data is not None or event.retry is not None:
                return event
        return None

    async def block(self, *, timeout_s: float = 10.0) -> bytes | None:
        """The next block as it came, comments too."""
        async with asyncio.timeout(timeout_s):
            while b"\n\n" not in self._rest:
                chunk = await self._chunk()
                if not chunk:
                    return None
                self._rest += chunk
        block, _, self._rest = self._rest.partition(b"\n\n")
        return block

    async def is_over(self, *, timeout_s: float = 10.0) -> bool:
        """Whether the response ends, whatever still comes before that."""
        async with asyncio.timeout(timeout_s):
            while await self._chunk():
                pass
        return True

    async def _chunk(self) -> bytes:
        try:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""


def _event_of(block: bytes) -> Event:
    event = Event()
    for line in block.decode().split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event.name = value
        elif name == "id":
            event.id = value
        elif name == "data":
            event.data = orjson.loads(value)
        elif name == "retry":
            event.retry = int(value)
    return event


@dataclass
class Server:
    """A running server over a stage."""

    stage: Stage
    port: int

    @asynccontextmanager
    async def stream(
        self, path: str = STREAM, *, token: str | None = "server", last_event_id: str | None = None, buffer: int = 0
    ) -> AsyncIterator[Stream]:
        """Opens a stream; `buffer` makes the receive buffer small, to be a reader that stops."""
        sock = socket.socket()
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=2**23)
        head = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream"]
        head += [f"Authorization: Bearer {token}"] if token else []
        head += [f"Last-Event-ID: {last_event_id}"] if last_event_id is not None else []
        writer.write("\r\n".join([*head, "", ""]).encode())
        stream = Stream(reader, writer)
        try:
            await _read_head(stream)
            yield stream
        finally:
            writer.close()

    async def publish(self, *flags: dict[str, Any], **members: Any) -> int:
        """A change, taken over at once."""
        revision = self.stage.site.put(*flags, **members)
        await self.stage.delivery.refresh()
        return revision


async def _read_head(stream: Stream) -> None:
    async with asyncio.timeout(10):
        head = (await stream.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    stream.status = int(head[0].split(" ")[1])
    stream.headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Server]:
    """The stage behind a real uvicorn."""
    async with served(stage.delivery.hot_paths) as port:
        try:
            yield Server(stage, port)
        finally:
            await stage.delivery.close()
