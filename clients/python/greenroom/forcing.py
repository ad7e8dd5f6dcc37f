"""What overrides make of a snapshot. Pure.

Flags are forced in the document, so that flags which have them as prerequisites follow.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from greenroom.evaluation import Evaluation, Snapshot, evaluate, limits, read_snapshot
from greenroom.held import Held
from greenroom.overrides import Overrides

CAUSE: Final = "override"
"""Metadata `cause` of a flag that is forced."""

_TYPES: Final = {bool: "boolean", str: "string", int: "integer", float: "float", dict: "object"}
_EMPTY: Final[Mapping[str, Any]] = {
    "schema": limits.SCHEMA,
    "project": "-",
    "environment": "-",
    "epoch": "-",
    "revision": 1,
    "published_at": "1970-01-01T00:00:00.000Z",
    "flags": {},
    "segments": {},
}


def force(held: Held | None, overrides: Overrides) -> tuple[Snapshot, dict[str, Evaluation], list[str]]:
    """The snapshot with the overrides in it, the evaluations of the forced flags, and what could not be forced."""
    document = _EMPTY if held is None else held.document
    place = (overrides.project, overrides.environment)
    if held is not None and any(
        wanted not in (None, actual)
        for wanted, actual in zip(place, (held.snapshot.project, held.snapshot.environment), strict=True)
    ):
        return held.snapshot, {}, ["the overrides are for another environment"]
    flags, troubles = dict(document["flags"]), []
    forced: dict[str, Any] = {}
    for key, wanted in overrides.flags.items():
        made = _forced_flag(key, flags.get(key), wanted)
        if made is None or read_snapshot({**_EMPTY, "flags": {key: made}}).flags[key].configuration is None:
            troubles.append(f"the flag `{key}` cannot be forced to what the overrides say")
        else:
            forced[key] = made
    snapshot = read_snapshot({**document, "flags": flags | forced})
    return snapshot, {key: _told(evaluate(snapshot, key, {}, 0), overrides) for key in forced}, troubles


def _forced_flag(key: str, flag: Any, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    if flag is None:
        flag = {"key": key, "variants": {}, "client_visible": False, "track_exposures": "counts", "version": 0}
    variants, kind = flag.get("variants") or {}, flag.get("type")
    if "variant" in wanted:
        name = wanted["variant"]
        if name not in variants:
            return None
    else:
        value = wanted["value"]
        if kind == "float" and type(value) is int:
            value = float(value)
        kind = kind or _TYPES.get(type(value))
        if kind == "boolean":
            variants, name = {"on": True, "off": False}, "on" if value is True else "off" if value is False else ""
        else:
            variants, name = {**variants, CAUSE: value}, CAUSE
    serve = {"variant": name}
    return {
        **flag,
        "type": kind,
        "variants": variants,
        "enabled": True,
        "off_variant": name,
        "prerequisites": [],
        "rules": [],
        "fallthrough": serve,
    }


def _told(made: Evaluation, overrides: Overrides) -> Evaluation:
    note = {} if overrides.note is None else {"override_note": overrides.note}
    expires = overrides.expires_at.isoformat().replace("+00:00", "Z")
    more = {"cause": CAUSE, "override_expires_at": expires, **note}
    return replace(made, metadata=MappingProxyType({**made.metadata, **more}))
