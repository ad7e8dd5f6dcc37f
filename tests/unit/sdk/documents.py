"""Snapshots, changes and events as the server writes them."""

import json
from typing import Any

from greenroom.evaluation import sealed
from greenroom.testing import flag_document

Json = dict[str, Any]


def compact(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def snapshot(revision: int = 1, *, epoch: str = "e1", environment: str = "production", **flags: Any) -> Json:
    """A snapshot whose flags have these values."""
    return {
        "schema": 1,
        "project": "shop",
        "environment": environment,
        "epoch": epoch,
        "revision": revision,
        "published_at": "2026-11-23T05:00:00.000Z",
        "flags": {key: {**flag_document(key, value), "version": revision} for key, value in flags.items()},
        "segments": {},
    }


def change(start: int, to: int, *, epoch: str = "e1", removed: tuple[str, ...] = (), **flags: Any) -> Json:
    """A change that gives these flags these values."""
    whole = snapshot(to, epoch=epoch, **flags)
    return {
        **{name: whole[name] for name in ("schema", "project", "environment", "epoch")},
        "from": start,
        "to": to,
        "published_at": whole["published_at"],
        "flags": {"put": whole["flags"], "removed": list(removed)},
        "segments": {"put": {}, "removed": []},
    }


def seal(document: Json) -> bytes:
    return sealed(compact(document))


def event(name: str, data: bytes, id_: str | None = None) -> bytes:
    tag = b"" if id_ is None else f"id: {id_}\n".encode()
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), tag, data)


def snapshot_event(document: Json) -> bytes:
    return event("snapshot", seal(document), f"{document['epoch']}.{document['revision']}")


def change_event(document: Json) -> bytes:
    return event("change", seal(document), f"{document['epoch']}.{document['to']}")


def heartbeat(revision: int) -> bytes:
    return event("heartbeat", b'{"revision":%d}' % revision)


def goodbye(delay_ms: int) -> bytes:
    return b'event: goodbye\nretry: %d\ndata: {"delay_ms":%d}\n\n' % (delay_ms, delay_ms)
