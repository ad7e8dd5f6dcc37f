"""A small server that speaks the SDK's part of the wire, so that a test says every byte of it."""

import asyncio
import gzip
import json
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.blackbox.sdk.loop_thread import LoopThread, stop_listening
from tests.unit.sdk.documents import Json, change_event, seal, snapshot_event

Verdict = tuple[int, str, bytes]
RECEIPT: Verdict = (202, "application/json", b'{"accepted":1,"ignored":0}')


class SdkServer:
    """Serves one document and streams what is published; in a thread with a loop of its own.

    `requests` has the path and headers of each request, `reports` the documents of those that report. `streams` is how
    many are open now. `judge` says what a report is answered: a status, a content type and a body, or nothing at all;
    `at_once` is how many reports were under way together at the most.
    """

    def __init__(self, document: Json, tls: ssl.SSLContext | None = None) -> None:
        self.document = document
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.reports: list[Json] = []
        self.judge: Callable[[Json], Verdict | None] = lambda report: RECEIPT
        self.at_once = self._reporting = 0
        self.streams = 0
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = LoopThread()
        self.url = ""

    @property
    def tag(self) -> str:
        return f"{self.document['epoch']}.{self.document['revision']}"

    def publish(self, change: Json, document: Json) -> None:
        """Send a change to all streams; `document` is what is served from then on."""
        self.document = document
        self.send(change_event(change))

    def send(self, data: bytes) -> None:
        """Send these bytes on all streams."""

        async def work() -> None:
            for writer in self._writers:
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))

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
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"https://localhost:{port}" if self._tls else f"http://127.0.0.1:{port}"

    async def _close(self) -> None:
        await stop_listening(self._server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            path = head[0].split()[1]
            if path.endswith("/exposures"):
                await self._report(reader, writer, headers)
                return
            self.requests.append((path, headers))
            if path.endswith("/stream"):
                await self._stream(reader, writer, headers)
            else:
                self._snapshot(writer, headers)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _report(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]
    ) -> None:
        body = await reader.readexactly(int(headers["content-length"]))
        assert headers["content-encoding"] == "gzip"
        self._reporting += 1
        self.at_once = max(self.at_once, self._reporting)
        try:
            report = json.loads(gzip.decompress(body))
            self.reports.append(report)
            verdict = self.judge(report)
            if verdict is not None:
                status, content_type, answer = verdict
                head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: {content_type}\r\n"
                writer.write(f"{head}content-length: {len(answer)}\r\n\r\n".encode() + answer)
        finally:
            self._reporting -= 1

    def _snapshot(self, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        etag = f'"{self.tag}"'
        if headers.get("if-none-match") == etag:
            writer.write(f"HTTP/1.1 304 Not Modified\r\netag: {etag}\r\n\r\n".encode())
            return
        body = gzip.compress(seal(self.document))
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\netag: {etag}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        if headers.get("last-event-id") != self.tag:
            data = snapshot_event(self.document)
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        self._writers.add(writer)
        self.streams += 1
        try:
            while await reader.read(1024):
                pass
        finally:
            self.streams -= 1
            self._writers.discard(writer)
