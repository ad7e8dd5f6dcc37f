"""The two kinds of streams: snapshots and changes for SDKs, and OFREP's "fetch again" for browsers.

A subscriber's position is what its client is known to have: a revision, or the tag of what it can see.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import orjson
from starlette.types import Send

from greenroom_server.access.principal import Principal
from greenroom_server.delivery.live import LiveEnvironment
from greenroom_server.delivery.subscriber import Frames, Subscriber

# A new stream URL is handed out this long before the old one ends: time to fetch it, and no herd.
_RENEWAL_S: Final = (300.0, 900.0)


class SnapshotSubscriber(Subscriber):
    """`snapshot`, `change`, `heartbeat` and `goodbye` events for an SDK that evaluates by itself."""

    __slots__ = ("epoch", "live", "revision")

    def __init__(self, live: LiveEnvironment, principal: Principal, send: Send, last_event_id: str | None) -> None:
        super().__init__(principal, send, live.subscribers)
        self.live = live
        self.epoch, self.revision = _position_of(last_event_id)

    def next_frames(self) -> Frames | None:
        served = self.live.served
        if self.epoch == served.epoch:
            # Ahead of this server: another one is further. It will catch up, and never sends what is older.
            if self.revision >= served.revision:
                return None
            event = self.live.ring.get(self.revision)
            if event is not None:
                self.revision = event.to
                return (event.frame,)
        self.epoch, self.revision = served.epoch, served.revision
        return served.snapshot_event()

    def heartbeat(self) -> Frames:
        return (self.live.served.heartbeat,)

    def goodbye(self, delay_ms: int) -> Frames:
        return (b'event: goodbye\nretry: %d\ndata: {"delay_ms":%d}\n\n' % (delay_ms, delay_ms),)


class RefetchSubscriber(Subscriber):
    """OFREP's `refetchEvaluation` messages: only when something changed that this key may come to feel."""

    __slots__ = ("kind", "live", "now_s", "renews_at", "seen")

    def __init__(
        self, live: LiveEnvironment, principal: Principal, send: Send, last_event_id: str | None, renewal: "Renewal"
    ) -> None:
        super().__init__(principal, send, live.subscribers)
        self.live = live
        self.kind = principal.kind
        self.now_s, self.renews_at = renewal.now_s, renewal.at
        # Without a last event the client may have missed a change between its evaluation and this stream:
        # one conditional request more, answered 304, is the price of knowing.
        self.seen = last_event_id or ""

    def next_frames(self) -> Frames | None:
        tag = self.live.served.view_of(self.kind).tag
        if tag == self.seen:
            return None
        self.seen = tag
        return (_refetch(tag),)

    def heartbeat(self) -> Frames:
        if self.now_s() < self.renews_at:
            return (b": ping\n\n",)
        self.renews_at = float("inf")
        return (_refetch(self.seen),)

    def goodbye(self, delay_ms: int) -> Frames:
        return (b"retry: %d\n\n" % max(delay_ms, 1),)


@dataclass(frozen=True, slots=True)
class Renewal:
    """When to tell a browser to evaluate again, only because that brings it the next stream URL."""

    at: float
    now_s: Callable[[], float]

    @classmethod
    def before(cls, expires_at: int, now_s: Callable[[], float]) -> Self:
        """In time for a stream token that ends at `expires_at`."""
        return cls(expires_at - random.uniform(*_RENEWAL_S), now_s)  # noqa: S311


def come_back_later(tag: str, delay_ms: int) -> bytes:
    """A whole stream for a browser that cannot be served: native EventSource never comes back after an error status.

    It asks for one evaluation now, so that a refused browser polls, in effect, at the pace of its retries.
    """
    return b"retry: %d\n" % delay_ms + _refetch(tag)


def _refetch(tag: str) -> bytes:
    data = orjson.dumps({"type": "refetchEvaluation", "etag": tag})
    return b"id: %b\ndata: %b\n\n" % (tag.encode(), data)


def _position_of(last_event_id: str | None) -> tuple[str, int]:
    epoch, dot, revision = (last_event_id or "").rpartition(".")
    if not dot or not revision.isdecimal() or len(revision) > 19:
        return "", -1
    return epoch, int(revision)
