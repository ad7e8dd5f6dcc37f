"""Documents for tests: the smallest good flag, rule, clause, snapshot and change, and ways to vary them."""

from typing import Any

from greenroom.evaluation import Snapshot, read_snapshot

Json = dict[str, Any]

NOW = 1_795_410_000_000  # 2026-11-23T05:00:00Z, a Monday


def flag(key: str = "f", **members: Any) -> Json:
    """A boolean flag that is on for everybody."""
    return {
        "key": key,
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "client_visible": False,
        "track_exposures": "counts",
        "version": 1,
        **configuration(**members),
    } | {name: value for name, value in members.items() if name in ("type", "variants", "version")}


def configuration(**members: Any) -> Json:
    """The configuration of such a flag."""
    return {
        "enabled": True,
        "off_variant": "off",
        "prerequisites": [],
        "rules": [],
        "fallthrough": {"variant": "on"},
    } | members


def rule(key: str = "r-1", serve: Any = "on", **members: Any) -> Json:
    """A rule for everybody."""
    return {"id": key, **members, "serve": {"variant": serve} if isinstance(serve, str) else serve}


def clause(op: str, *values: Any, attribute: str = "x", **members: Any) -> Json:
    """A clause on the attribute `x`."""
    return {"attribute": attribute, "op": op, "values": list(values), **members}


def segment(key: str, when: Any) -> Json:
    """A segment."""
    return {"key": key, "version": 1, "when": when}


def document(*flags: Json, segments: list[Json] | None = None, **envelope: Any) -> Json:
    """A snapshot of flags and segments."""
    return {
        "schema": 1,
        "project": "shop",
        "environment": "production",
        "epoch": "5f0c2a91",
        "revision": 17,
        "published_at": "2026-11-23T05:00:00.000Z",
        "flags": {made["key"]: made for made in flags},
        "segments": {made["key"]: made for made in segments or []},
    } | envelope


def snapshot(*flags: Json, segments: list[Json] | None = None) -> Snapshot:
    """A snapshot that has been read."""
    return read_snapshot(document(*flags, segments=segments))


def change(
    put: list[Json] | None = None,
    removed: list[str] | None = None,
    segments_put: list[Json] | None = None,
    segments_removed: list[str] | None = None,
    **envelope: Any,
) -> Json:
    """A change from revision 17 to 18."""
    return {
        "schema": 1,
        "project": "shop",
        "environment": "production",
        "epoch": "5f0c2a91",
        "from": 17,
        "to": 18,
        "published_at": "2026-11-23T06:00:00.000Z",
        "flags": {"put": {made["key"]: made for made in put or []}, "removed": removed or []},
        "segments": {"put": {made["key"]: made for made in segments_put or []}, "removed": segments_removed or []},
    } | envelope


def when_flag(condition: Any, key: str = "f") -> Json:
    """A flag that is on where the condition holds."""
    return flag(key, rules=[rule(when=condition)], fallthrough={"variant": "off"})
