"""One open stream, as the hub sees it."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from starlette.types import Scope, Send

from greenroom_server.access.principal import Principal

CHUNK_BYTES: Final = 64 * 1024
_OWN_SEND: Final = "greenroom.own_send"

Frames = tuple[bytes, ...]


class Subscriber:
    """One open stream. Kinds of streams say what comes next; the hub says when it is written."""

    __slots__ = (
        "__weakref__",
        "connection",
        "ending",
        "has_heartbeat_due",
        "is_over",
        "owner",
        "peers",
        "principal",
        "send",
        "slot",
        "writer",
        "writing_since",
    )

    def __init__(self, principal: Principal, send: Send, peers: "set[Subscriber]") -> None:
        self.principal = principal
        self.send = send
        self.connection: Any = None  # the transport, to abort a reader who stopped
        self.peers = peers  # the open streams of the same environment; the hub keeps it
        self.owner: asyncio.Task[Any] | None = None
        self.writer: asyncio.Task[None] | None = None
        self.writing_since = 0.0
        self.has_heartbeat_due = False
        self.ending: Frames | None = None
        self.is_over = False
        self.slot = 0

    def next_frames(self) -> Frames | None:
        """What to write next, or None when the stream is up to date. Moves the position."""
        raise NotImplementedError

    def due_frames(self) -> Frames | None:
        """What is to be written now: news, or else a heartbeat if it is time for one."""
        frames = self.next_frames()
        if frames is None and self.has_heartbeat_due:
            frames = self.heartbeat()
        self.has_heartbeat_due = False  # any event shows life
        return frames

    def heartbeat(self) -> Frames:
        """Shows that the stream lives."""
        raise NotImplementedError

    def goodbye(self, delay_ms: int) -> Frames:
        """The last words at shutdown; the client is to come back after the delay."""
        raise NotImplementedError


def chunks_of(frames: Frames) -> Iterator[bytes]:
    """Pieces small enough that a client which stops reading holds no more than a few of them."""
    for frame in frames:
        if len(frame) <= CHUNK_BYTES:
            yield frame
        else:
            for start in range(0, len(frame), CHUNK_BYTES):
                yield frame[start : start + CHUNK_BYTES]


def remember_connection(scope: Scope, send: Send) -> None:
    """Keep the server's own `send` in the scope; for the outermost app, before a wrapper hides it."""
    scope[_OWN_SEND] = send


def connection_of(scope: Scope, send: Send) -> Any:
    """The transport under a stream, or None where it cannot be reached.

    ASGI has no word for it: uvicorn's `send` belongs to an object that holds the transport.
    """
    return getattr(getattr(scope.get(_OWN_SEND, send), "__self__", None), "transport", None)
