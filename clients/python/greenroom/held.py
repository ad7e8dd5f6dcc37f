"""A snapshot together with the document it was read from. Pure: bytes in, the next good state out, or `Unusable`.

Nothing here changes what is held: a document is good as a whole or refused as a whole.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeVar

from greenroom.errors import Unusable
from greenroom.evaluation import Snapshot, limits, read_snapshot, sealed, touched_flags, verify_seal

MAX_DOCUMENT_BYTES: Final = limits.MAX_SNAPSHOT_BYTES + 4096
"""A snapshot at its limit, and room for its envelope and checksum."""

Origin = Literal["server", "disk", "bootstrap"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One revision of the environment, and where it came from."""

    snapshot: Snapshot
    document: Mapping[str, Any]
    origin: Origin

    @property
    def tag(self) -> str:
        """`<epoch>.<revision>`, as in an ETag and in the id of an event."""
        return f"{self.snapshot.epoch}.{self.snapshot.revision}"

    def is_confirmed_by(self, origin: Origin) -> "Held":
        """The same, known to be right by another origin."""
        return Held(self.snapshot, self.document, origin)

    def sealed_bytes(self) -> bytes:
        """The document with a checksum, for a file."""
        members = {name: value for name, value in self.document.items() if name != "checksum"}
        return sealed(json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode())


def read_sealed(data: bytes, origin: Origin) -> Held:
    """The snapshot in these bytes, if their checksum agrees; raises Unusable."""
    return read_document(parse_sealed(data), origin)


def read_document(document: Any, origin: Origin) -> Held:
    """The snapshot that a document describes; raises Unusable."""
    return _guarded(lambda: Held(read_snapshot(document), document, origin))


def with_change(held: Held, change: Mapping[str, Any]) -> Held:
    """What is held after a change; raises Unusable, also on a gap."""

    def work() -> Held:
        snapshot = held.snapshot.with_change(change)
        document = {**held.document, "revision": change["to"], "published_at": change["published_at"]}
        for name in ("flags", "segments"):
            removed = set(change[name]["removed"])
            kept = {key: value for key, value in held.document[name].items() if key not in removed}
            document[name] = kept | change[name]["put"]
        return Held(snapshot, document, "server")

    return _guarded(work)


def changed_flags(before: Held | None, after: Held) -> frozenset[str]:
    """Keys of the flags that may answer otherwise than before, through segments and prerequisites too."""
    flags, segments = after.snapshot.flags, after.snapshot.segments
    if before is None:
        return frozenset(flags)
    old, new = before.document["flags"], after.document["flags"]
    # A whole snapshot is read anew; flags whose documents are equal count as the same.
    earlier = {
        key: flags[key]
        if key in flags and old.get(key) == new.get(key) and _is_usable(flag) == _is_usable(flags[key])
        else flag
        for key, flag in before.snapshot.flags.items()
    }
    old_segments, new_segments = before.document["segments"], after.document["segments"]
    changed = {
        key for key in old_segments.keys() | new_segments.keys() if old_segments.get(key) != new_segments.get(key)
    }
    return frozenset(touched_flags(flags, earlier, segments, changed))


def parse_sealed(data: bytes) -> dict[str, Any]:
    """The JSON object in bytes whose checksum agrees; raises Unusable."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise Unusable(f"{len(data)} bytes are past the limit of {MAX_DOCUMENT_BYTES}")
    if not verify_seal(data):
        raise Unusable("the checksum is missing or does not agree")
    return parse_object(data)


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes; raises Unusable."""
    document: Any = _guarded(lambda: json.loads(data.decode(), parse_constant=_refuse_constant))
    if isinstance(document, dict):
        return document
    raise Unusable("the document is not a JSON object")


def _guarded(work: Callable[[], T]) -> T:
    try:
        return work()
    except Unusable:
        raise
    # INVARIANT: whatever a document is like, it is refused, and what is held stays.
    except Exception as error:
        raise Unusable(f"the document cannot be used: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise Unusable(f"`{name}` is no JSON")


def _is_usable(flag: Any) -> bool:
    return flag.configuration is not None
