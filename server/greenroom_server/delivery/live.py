"""One environment in memory: what it serves at its newest revision, and the recent changes for its streams."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import UUID

import orjson

from greenroom.evaluation import Snapshot, SnapshotError, evaluate_all, read_snapshot, sealed
from greenroom_server.delivery.answers import ItemBytes, flag_set_metadata
from greenroom_server.delivery.documents import Contents, DocumentRefused
from greenroom_server.delivery.encodings import Encodings
from greenroom_server.delivery.subscriber import Subscriber

RING_EVENTS: Final = 256
RING_BYTES: Final = 4 * 1024 * 1024
_REMEMBERED_TAGS: Final = 16


class View:
    """What one kind of key sees of a revision.

    `tag` names all that can reach such a key; `keys` are the flags it may ask for; `items` its answers as bytes.
    """

    __slots__ = ("items", "keys", "metadata", "sorted_keys", "tag")

    def __init__(self, contents: Contents, *, is_for_clients: bool) -> None:
        envelope = contents.envelope
        self.items = ItemBytes(is_for_clients=is_for_clients)
        if is_for_clients:
            self.keys = contents.client_keys()
            self.tag = contents.client_tag()
            version: tuple[str, Any] = ("version", self.tag)
        else:
            self.keys = frozenset(contents.flags)
            self.tag = f"{envelope.epoch}.{envelope.revision}"
            version = ("revision", envelope.revision)
        self.sorted_keys = tuple(sorted(self.keys))
        self.metadata = flag_set_metadata(envelope.project, envelope.environment, version)


class Served:
    """One revision of an environment, ready to be served. Never changes."""

    __slots__ = ("client", "contents", "encodings", "epoch", "etag", "heartbeat", "revision", "server", "snapshot")

    def __init__(self, contents: Contents, snapshot: Snapshot) -> None:
        self.contents = contents
        self.snapshot = snapshot
        self.epoch = contents.envelope.epoch
        self.revision = contents.envelope.revision
        self.encodings = Encodings(contents.raw())
        self.server = View(contents, is_for_clients=False)
        self.client = View(contents, is_for_clients=True)
        self.etag = b'"%b"' % self.server.tag.encode()
        self.heartbeat = b'event: heartbeat\ndata: {"revision":%d}\n\n' % self.revision

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From a whole snapshot document (`checksum` is not looked at); raises `DocumentRefused`."""
        contents = Contents.of(document)
        try:
            return cls(contents, read_snapshot(document))
        except SnapshotError as error:
            raise DocumentRefused(str(error)) from error

    def with_change(self, change: Mapping[str, Any]) -> "Served":
        """The revision after a change, which starts exactly here; raises `DocumentRefused`."""
        contents = self.contents.with_change(change)
        try:
            return Served(contents, self.snapshot.with_change(change))
        except SnapshotError as error:
            raise DocumentRefused(str(error)) from error

    def warmed_up(self) -> Self:
        """This, with every flag compiled: thousands at a first request would hold all the others up."""
        evaluate_all(self.snapshot, {}, 0)
        return self

    def view_of(self, kind: str) -> View:
        """What a key of this kind sees; anything but a server key sees what clients see."""
        return self.server if kind == "server" else self.client

    def snapshot_event(self) -> tuple[bytes, ...]:
        """The whole revision as an event, in parts, so that the large one is shared by all streams."""
        opening = b"event: snapshot\nid: %b\ndata: " % self.server.tag.encode()
        return (opening, self.encodings.identity, b"\n\n")


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """A change as every stream gets it."""

    to: int
    frame: bytes

    @classmethod
    def of(cls, change: Mapping[str, Any]) -> Self:
        data = sealed(orjson.dumps({name: value for name, value in change.items() if name != "checksum"}))
        return cls(
            change["to"], b"event: change\nid: %b.%d\ndata: %b\n\n" % (change["epoch"].encode(), change["to"], data)
        )


class LiveEnvironment:
    """An environment as long as this process serves it; its `served` moves from revision to revision.

    INVARIANT: within one epoch the revision only ever grows.
    """

    __slots__ = (
        "_ring_bytes",
        "id",
        "is_removed",
        "is_stale",
        "needs_whole",
        "recent_tags",
        "refused",
        "ring",
        "served",
        "subscribers",
    )

    def __init__(self, environment_id: UUID, served: Served, *, is_stale: bool = False) -> None:
        self.id = environment_id
        self.served = served
        # Loaded from disk and not yet confirmed by the store.
        self.is_stale = is_stale
        self.is_removed = False
        # A change could not be applied: load everything the next time.
        self.needs_whole = False
        # Epoch and revision of a document that could not be served: it is not tried again.
        self.refused: tuple[Any, Any] | None = None
        self.ring: dict[int, ChangeEvent] = {}
        self.recent_tags: deque[str] = deque((served.client.tag,), _REMEMBERED_TAGS)
        self.subscribers: set[Subscriber] = set()
        self._ring_bytes = 0

    def moves_forward_to(self, served: Served) -> bool:
        """Whether `served` is newer than what is served: a later revision, or another epoch."""
        return served.epoch != self.served.epoch or served.revision > self.served.revision

    def replace(self, served: Served, event: ChangeEvent | None = None) -> None:
        """Serve another revision. With `event`, streams that were current get it instead of everything."""
        if event is None or served.epoch != self.served.epoch:
            self.ring.clear()
            self._ring_bytes = 0
        else:
            self._remember(self.served.revision, event)
        self.served = served
        if served.client.tag != self.recent_tags[-1]:
            self.recent_tags.append(served.client.tag)

    def has_reached(self, kind: str, tag: str) -> bool:
        """Whether a configuration that an event announced is served here already."""
        if kind != "server":
            return tag in self.recent_tags
        epoch, _, revision = tag.rpartition(".")
        return epoch == self.served.epoch and revision.isdecimal() and int(revision[:20]) <= self.served.revision

    def _remember(self, since: int, event: ChangeEvent) -> None:
        self.ring[since] = event
        self._ring_bytes += len(event.frame)
        while len(self.ring) > RING_EVENTS or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= len(self.ring.pop(next(iter(self.ring))).frame)
