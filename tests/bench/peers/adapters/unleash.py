"""Unleash's public client on flags in its cache: version 6 (its core is Rust, reached with JSON), and version 5."""

import json
import logging
from typing import Any

from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.adapters.unleash_flags import BOOLEAN, features
from tests.bench.peers.flags import attributes, flags
from tests.bench.peers.peer import Peer, Read
from UnleashClient import UnleashClient
from UnleashClient.cache import BaseCache
from UnleashClient.constants import FEATURES_URL
from UnleashClient.utils import InstanceAllowType


class _Cache(BaseCache):  # type: ignore[misc]
    bootstrapped = True

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}

    def set(self, key: str, value: Any) -> None:
        self._held[key] = value

    def mset(self, data: dict[str, Any]) -> None:
        self._held.update(data)

    def get(self, key: str, default: Any = None) -> Any:
        return self._held.get(key, default)

    def exists(self, key: str) -> bool:
        return key in self._held

    def destroy(self) -> None: ...


class Adapter(Peer):
    packages: tuple[str, ...] = ("UnleashClient", "yggdrasil-engine")

    def cached(self) -> Any:
        """The flags as this version keeps them in its cache."""
        return json.dumps(features())

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        logging.getLogger("UnleashClient").setLevel(logging.CRITICAL)
        cache = _Cache()
        cache.set(FEATURES_URL, self.cached())
        client = UnleashClient(
            "http://127.0.0.1:9",
            "bench",
            cache=cache,
            disable_metrics=True,
            disable_registration=True,
            refresh_interval=3600,
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
        )
        users, asking = [_context(one) for one in people], [_context(one) for one in probes]
        names = {"on": client.is_enabled, "which": client.get_variant, "loads": json.loads}
        reads = {workload: Read(f"on({KEYS[workload]!r}, c)", names, users) for workload in ("W1", "W3", "W4")}
        reads["W2"] = Read(f"which({KEYS['W2']!r}, c)", names, users, asking, plain=_string)
        reads["W5"] = Read(f"loads(which({KEYS['W5']!r}, c)['payload']['value'])", names, users)
        keys = {
            "booleans": [flag.key for flag in flags() if flag.kind in BOOLEAN],
            "others": [flag.key for flag in flags() if flag.kind not in BOOLEAN],
        }
        every = "{**{k: on(k, c) for k in booleans}, **{k: which(k, c) for k in others}}"
        reads["W6"] = Read(every, {**names, **keys}, users[:10], plain=_plain)
        return reads


class Version5(Adapter):
    """The last line whose evaluation was all Python."""

    packages = ("UnleashClient",)

    def cached(self) -> Any:
        return features()


def _context(who: Json) -> Json:
    return {"userId": who["targetingKey"], "properties": attributes(who)}


def _string(answer: Json) -> str:
    value: str = answer["payload"]["value"] if answer.get("payload") else "v0"
    return value


def _plain(answer: Json) -> Json:
    found: Json = {}
    for key, one in answer.items():
        if key.startswith("w2"):
            found[key] = _string(one)
        elif key.startswith("w5"):
            found[key] = json.loads(one["payload"]["value"]) if one.get("payload") else None
        else:
            found[key] = one
    return found
