"""Yggdrasil, the Rust core of Unleash's client, called directly and without its counting."""

import json
from typing import Any

from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.adapters.unleash_flags import BOOLEAN, features
from tests.bench.peers.flags import attributes, flags
from tests.bench.peers.peer import Peer, Read
from yggdrasil_engine.engine import UnleashEngine


class Adapter(Peer):
    packages = ("yggdrasil-engine",)

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        engine = UnleashEngine()
        engine.take_state(json.dumps(features()))
        users, asking = [_context(one) for one in people], [_context(one) for one in probes]
        names = {"on": engine.check_enabled, "which": engine.check_variant, "loads": json.loads}
        reads = {
            workload: Read(f"on({KEYS[workload]!r}, c).is_enabled", names, users) for workload in ("W1", "W3", "W4")
        }
        reads["W2"] = Read(f"which({KEYS['W2']!r}, c).variant", names, users, asking, plain=_string)
        reads["W5"] = Read(f"loads(which({KEYS['W5']!r}, c).variant.payload['value'])", names, users)
        keys = {
            "booleans": [flag.key for flag in flags() if flag.kind in BOOLEAN],
            "others": [flag.key for flag in flags() if flag.kind not in BOOLEAN],
        }
        every = "{**{k: on(k, c) for k in booleans}, **{k: which(k, c) for k in others}}"
        reads["W6"] = Read(every, {**names, **keys}, users[:10], plain=_plain)
        return reads


def _context(who: Json) -> Json:
    return {"userId": who["targetingKey"], "properties": {name: str(v) for name, v in attributes(who).items()}}


def _string(variant: Any) -> str:
    value: str = variant.payload["value"] if variant.payload else "v0"
    return value


def _plain(answer: Json) -> Json:
    found: Json = {}
    for key, one in answer.items():
        if key.startswith("w2"):
            found[key] = _string(one.variant)
        elif key.startswith("w5"):
            found[key] = json.loads(one.variant.payload["value"]) if one.variant.payload else None
        else:
            found[key] = one.is_enabled
    return found
