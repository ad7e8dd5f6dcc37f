"""A snapshot as bytes: one piece per flag and segment, so that a change re-writes only what it touches.

Also answers what a client key may come to feel: the tag of the part of the environment that can reach one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import orjson

from greenroom.evaluation import limits, sealed


class DocumentRefused(ValueError):
    """The document cannot be served; what was there before stays."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One flag or segment as JSON bytes (`"key":{…}`), with what is asked of it without parsing it again."""

    data: bytes
    digest: bytes
    flags: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    is_client_visible: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """The members of a snapshot around its flags and segments."""

    schema: int
    project: str
    environment: str
    epoch: str
    revision: int
    published_at: str

    @classmethod
    def of(cls, document: Mapping[str, Any], *, revision: str = "revision") -> Self:
        """Reads them from a snapshot, or from a change with `revision="to"`."""
        try:
            return cls(
                int(document["schema"]),
                str(document["project"]),
                str(document["environment"]),
                str(document["epoch"]),
                int(document[revision]),
                str(document["published_at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DocumentRefused(f"the document lacks a usable {error}") from error

    def opening(self) -> bytes:
        members = {name: getattr(self, name) for name in self.__slots__}
        return orjson.dumps(members)[:-1]


@dataclass(frozen=True, slots=True)
class Contents:
    """All of one environment at one revision."""

    envelope: Envelope
    flags: Mapping[str, Piece]
    segments: Mapping[str, Piece]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Cuts a whole snapshot document into pieces; raises `DocumentRefused`."""
        envelope = Envelope.of(document)
        flags, segments = document.get("flags"), document.get("segments")
        if not isinstance(flags, dict) or not isinstance(segments, dict):
            raise DocumentRefused("the document lacks its flags or segments")
        return cls(
            envelope,
            {key: flag_piece(key, flag) for key, flag in flags.items()},
            {key: segment_piece(key, segment) for key, segment in segments.items()},
        )

    def with_change(self, change: Mapping[str, Any]) -> Self:
        """The contents after a change; raises `DocumentRefused` and leaves these as they are."""
        envelope = Envelope.of(change, revision="to")
        if envelope.epoch != self.envelope.epoch or change.get("from") != self.envelope.revision:
            raise DocumentRefused(f"the change starts at {change.get('from')}, not at {self.envelope.revision}")
        try:
            flags = _changed(self.flags, change["flags"], flag_piece)
            segments = _changed(self.segments, change["segments"], segment_piece)
        except (KeyError, TypeError, AttributeError) as error:
            raise DocumentRefused(f"the change is malformed: {error!r}") from error
        return type(self)(envelope, flags, segments)

    def raw(self) -> bytes:
        """The sealed JSON bytes; the same at every server. Raises `DocumentRefused` past the published limits."""
        if len(self.flags) > limits.MAX_FLAGS:
            raise DocumentRefused(f"{len(self.flags)} flags are past the limit of {limits.MAX_FLAGS}")
        data = sealed(
            b'%b,"flags":{%b},"segments":{%b}}' % (self.envelope.opening(), _joined(self.flags), _joined(self.segments))
        )
        if len(data) > limits.MAX_SNAPSHOT_BYTES:
            raise DocumentRefused(f"{len(data)} bytes are past the limit of {limits.MAX_SNAPSHOT_BYTES}")
        return data

    def client_keys(self) -> frozenset[str]:
        """The flags that client keys may see."""
        return frozenset(key for key, piece in self.flags.items() if piece.is_client_visible)

    def client_tag(self) -> str:
        """Names everything that can reach a client key: it stays the same when only hidden things change."""
        flags, segments = self._reachable(self.client_keys())
        name = blake2b(digest_size=12)
        for part in (self.envelope.project, self.envelope.environment, self.envelope.epoch):
            name.update(part.encode() + b"\0")
        for key in sorted(flags):
            name.update(self.flags[key].digest)
        for key in sorted(segments):
            name.update(self.segments[key].digest)
        return name.hexdigest()

    def _reachable(self, keys: Iterable[str]) -> tuple[set[str], set[str]]:
        flags: set[str] = set()
        segments: set[str] = set()
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key in self.flags and key not in flags:
                flags.add(key)
                waiting.extend(self.flags[key].flags)
        waiting = [segment for key in flags for segment in self.flags[key].segments]
        while waiting:
            key = waiting.pop()
            if key in self.segments and key not in segments:
                segments.add(key)
                waiting.extend(self.segments[key].segments)
        return flags, segments


def flag_piece(key: str, flag: Any) -> Piece:
    """A flag's piece; a malformed flag has one too, and the engine says what is wrong with it."""
    data = _member(key, flag)
    digest = blake2b(data, digest_size=16).digest()
    if not isinstance(flag, dict):
        return Piece(data, digest)
    needed = frozenset(item["flag"] for item in _dicts(flag.get("prerequisites")) if isinstance(item.get("flag"), str))
    segments = frozenset(segment for rule in _dicts(flag.get("rules")) for segment in _segments_in(rule.get("when")))
    return Piece(data, digest, needed, segments, flag.get("client_visible") is True)


def segment_piece(key: str, segment: Any) -> Piece:
    """A segment's piece."""
    data = _member(key, segment)
    inner = _segments_in(segment.get("when")) if isinstance(segment, dict) else ()
    return Piece(data, blake2b(data, digest_size=16).digest(), segments=frozenset(inner))


def _member(key: str, value: Any) -> bytes:
    return orjson.dumps(key) + b":" + orjson.dumps(value)


def _joined(pieces: Mapping[str, Piece]) -> bytes:
    return b",".join([pieces[key].data for key in sorted(pieces)])


def _changed(pieces: Mapping[str, Piece], change: Mapping[str, Any], make: Any) -> dict[str, Piece]:
    removed = set(change["removed"])
    after = {key: piece for key, piece in pieces.items() if key not in removed}
    after.update((key, make(key, document)) for key, document in change["put"].items())
    return after


def _dicts(items: Any) -> Iterator[dict[str, Any]]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _segments_in(condition: Any) -> Iterator[str]:
    waiting = [condition]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            continue
        if isinstance(node.get("segment"), str):
            yield node["segment"]
        waiting.append(node.get("not"))
        for name in ("all", "any"):
            if isinstance(node.get(name), list):
                waiting.extend(node[name])
