"""Where snapshots come from: the promises of a source, and one that holds its document in memory."""

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from greenroom.held import read_document
from greenroom.steps import Answer


class Stream(Protocol):
    """An open stream of server-sent events.

    `answer` is the head of the HTTP answer; unless it is a 200, nothing is read. `read` gives bytes in the order in
    which they came, `b""` once the stream has ended, None if nothing came within `timeout_s`; it raises SourceError if
    the connection broke. `close` may be called from another thread and more than once, and ends a `read` under way.
    """

    @property
    def answer(self) -> Answer: ...
    def read(self, timeout_s: float) -> bytes | None: ...
    def close(self) -> None: ...


class Source(Protocol):
    """Answers for the snapshot of one environment.

    `fetch` gives the answer of `GET /api/v1/sdk/snapshot`: 200 with a sealed document, or 304 if `etag` names it;
    `stream` that of `GET /api/v1/sdk/stream` after the event `last_event_id`. Both give any other answer as it is,
    raise SourceError if there was none in time, and nothing else. They follow no redirects and try nothing twice.
    `close` may be called from another thread and more than once, and ends calls under way.
    """

    def fetch(self, etag: str | None) -> Answer: ...
    def stream(self, last_event_id: str | None) -> Stream: ...
    def close(self) -> None: ...


class AsyncStream(Protocol):
    """As `Stream`, for asyncio: `read` is a coroutine, which may be cancelled. `close` returns at once."""

    @property
    def answer(self) -> Answer: ...
    async def read(self, timeout_s: float) -> bytes | None: ...
    def close(self) -> None: ...


class AsyncSource(Protocol):
    """As `Source`, for asyncio. Whatever is cancelled leaves no connection behind."""

    async def fetch(self, etag: str | None) -> Answer: ...
    async def stream(self, last_event_id: str | None) -> AsyncStream: ...


class StaticSource:
    """A source without a server: it holds one document, and whoever streams from it learns of each new one.

    The document is a snapshot as the server gives it out; it needs no checksum. Raises Unusable if it is none.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._news = threading.Condition()
        self._held = read_document(document, "server")
        self._is_closed = False

    def replace(self, document: Mapping[str, Any]) -> None:
        """Serve another document, which should be of a later revision; raises Unusable and keeps the old one."""
        held = read_document(document, "server")
        with self._news:
            self._held = held
            self._news.notify_all()

    def fetch(self, etag: str | None) -> Answer:
        """The document, or 304."""
        if etag == f'"{self._held.tag}"':
            return Answer(304)
        return Answer(200, "application/json", body=self._held.sealed_bytes())

    def stream(self, last_event_id: str | None) -> "StaticStream":
        """A stream of the document and those that replace it."""
        return StaticStream(self, last_event_id)

    def close(self) -> None:
        """End all streams."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()

    def next_event(self, stream: "StaticStream", timeout_s: float) -> bytes | None:
        """What comes next on a stream; waits for it."""
        with self._news:
            self._news.wait_for(lambda: self._is_over(stream) or self._held.tag != stream.tag, timeout_s)
            if self._is_over(stream):
                return b""
            if self._held.tag == stream.tag:
                return None
            stream.tag = self._held.tag
            return b"event: snapshot\nid: %b\ndata: %b\n\n" % (stream.tag.encode(), self._held.sealed_bytes())

    def end(self, stream: "StaticStream") -> None:
        """End one stream."""
        with self._news:
            stream.is_closed = True
            self._news.notify_all()

    def _is_over(self, stream: "StaticStream") -> bool:
        return self._is_closed or stream.is_closed


class StaticStream:
    """A stream of a StaticSource; `tag` is the document that it gave out last."""

    def __init__(self, source: StaticSource, tag: str | None) -> None:
        self._source = source
        self.tag = tag
        self.is_closed = False
        self.answer = Answer(200, "text/event-stream")

    def read(self, timeout_s: float) -> bytes | None:
        """The next event."""
        return self._source.next_event(self, timeout_s)

    def close(self) -> None:
        """No more events."""
        self._source.end(self)
