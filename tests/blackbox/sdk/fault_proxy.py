"""A TCP proxy that does to connections what networks do, in a thread with a loop of its own."""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.blackbox.sdk.loop_thread import LoopThread, stop_listening

PIECE_BYTES = 64 * 1024

HTML = b"<!doctype html><title>Log in</title>"


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to each new connection.

    delay_s: before each piece of the answer. rate: bytes of the answer a second. cut_after: bytes of the answer, then
    the connection ends; `is_reset` ends it with an RST. is_silent: the answer never comes, or stops after `cut_after`.
    is_refused: no connection is taken. substitute: the whole answer, instead of the server's.
    """

    delay_s: float = 0.0
    rate: float | None = None
    cut_after: int | None = None
    is_reset: bool = False
    is_silent: bool = False
    is_refused: bool = False
    substitute: bytes | None = None


def http_answer(status: int, body: bytes = b"", content_type: str = "text/html", **headers: str) -> bytes:
    """An answer to substitute."""
    fields = {"content-type": content_type, "content-length": str(len(body)), "connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


class FaultProxy:
    """Passes everything on to the server at `url`, but for `faults`, which may be set at any time.

    `requests` has the first line of each request that came. Open connections go on as they are; `drop` ends them.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port or 80)
        self._thread = LoopThread()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.faults = Faults()
        self.choose: Callable[[str], Faults] = lambda request: self.faults
        self.requests: list[str] = []
        self.connections = 0

    def retarget(self, url: str) -> None:
        """Lead to another server from now on."""
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port or 80)

    def drop(self) -> None:
        """End all open connections with an RST."""

        async def work() -> None:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._thread.call(work())

    def __enter__(self) -> Self:
        self._thread.call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.call(self._close())
        self._thread.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=self._listener)

    async def _close(self) -> None:
        await stop_listening(self._server)
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        is_reset = True
        try:
            is_reset = await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            _end(writer, is_reset=is_reset)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether to end with an RST."""
        if self.faults.is_refused:
            return True
        head = await reader.readuntil(b"\r\n\r\n")
        request = head.split(b"\r\n", 1)[0].decode("latin-1")
        self.requests.append(request)
        faults = self.choose(request)
        if faults.substitute is not None:
            await reader.readexactly(_size_of_body(head))
            await self._pass(faults, writer, faults.substitute, 0)
            return faults.is_reset
        body = await reader.readexactly(_size_of_body(head))
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        self._writers.add(upstream_writer)
        try:
            upstream_writer.write(head + body)
            return await self._answer(faults, reader, upstream_reader, writer)
        finally:
            upstream_writer.transport.abort()

    async def _answer(
        self,
        faults: Faults,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        passed = 0
        gone = asyncio.ensure_future(reader.read(1))
        try:
            while True:
                piece = asyncio.ensure_future(upstream.read(PIECE_BYTES))
                await asyncio.wait((piece, gone), return_when=asyncio.FIRST_COMPLETED)
                if not piece.done():
                    piece.cancel()
                    return False  # the client went away
                data = piece.result()
                if not data:
                    return False
                passed = await self._pass(faults, writer, data, passed)
                if faults.cut_after is not None and passed >= faults.cut_after:
                    if faults.is_silent:
                        await gone
                    return faults.is_reset
        finally:
            gone.cancel()

    async def _pass(self, faults: Faults, writer: asyncio.StreamWriter, data: bytes, passed: int) -> int:
        if faults.cut_after is not None:
            data = data[: faults.cut_after - passed]
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        step = len(data) if faults.rate is None else max(1, int(faults.rate / 20))
        for start in range(0, len(data), max(step, 1)):
            writer.write(data[start : start + step])
            await writer.drain()
            if faults.rate is not None:
                await asyncio.sleep(step / faults.rate)
        return passed + len(data)


def _size_of_body(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return 0 if found is None else int(found[1])


def _end(writer: asyncio.StreamWriter, *, is_reset: bool) -> None:
    connection = writer.get_extra_info("socket")
    if is_reset:
        with suppress(OSError):  # it may be closed already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
