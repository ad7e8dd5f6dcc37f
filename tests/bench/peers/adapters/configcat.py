"""ConfigCat, offline with a config in its cache; JSON values are texts there, so reading includes `json.loads`."""

import json
import logging
import time
from typing import Any

import configcatclient
from configcatclient.configcache import ConfigCache
from configcatclient.configcatoptions import ConfigCatOptions
from configcatclient.pollingmode import PollingMode
from configcatclient.user import User
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, Clause, Flag, flags
from tests.bench.peers.peer import Peer, Read

SDK_KEY = "configcat-sdk-1/0123456789012345678901/0123456789012345678901"
NAMES = {"targetingKey": "Identifier", "email": "Email", "country": "Country"}
DEFAULTS: dict[str, Any] = {"W1": False, "W2": "v0", "W3": False, "W4": False}
COMPARATORS = {"in": (0, "l"), "eq": (28, "s"), "semver_gte": (9, "s"), "ends_with": (32, "l"), "gt": (14, "d")}


def _condition(clause: Clause) -> Json:
    comparator, field = COMPARATORS[clause.op]
    operand = [clause.operand] if clause.op == "ends_with" else clause.operand
    return {"u": {"a": NAMES.get(clause.attribute, clause.attribute), "c": comparator, field: operand}}


def _setting(flag: Flag) -> Json:
    off: Json = {"t": 0, "v": {"b": False}, "i": "d"}
    on = {"v": {"b": True}, "i": "on"}
    if flag.kind == "w1":
        return {**off, "v": {"b": flag.is_on}}
    if flag.kind == "w2":
        rules = [
            {"c": [_condition(clause) for clause in rule.clauses], "s": {"v": {"s": rule.variant}, "i": rule.variant}}
            for rule in flag.rules
        ]
        return {"t": 1, "v": {"s": "v0"}, "i": "d", "r": rules}
    if flag.kind == "w3":
        return {**off, "p": [{"p": 25, **on}, {"p": 75, "v": {"b": False}, "i": "off"}]}
    if flag.kind == "w4":
        segment = {"s": {"s": list(SEGMENTS).index(flag.segment), "c": 0}}
        return {**off, "r": [{"c": [segment], "s": on}]}
    shares = [{"p": share, "v": {"s": json.dumps(PAYLOADS[v])}, "i": v} for v, share in SHARES.items()]
    needed = {"p": {"f": flag.prerequisite, "c": 0, "v": {"b": True}}}
    return {"t": 1, "v": {"s": ""}, "i": "d", "r": [{"c": [needed], "p": shares}]}


def _config() -> Json:
    return {
        "p": {"u": "https://cdn-global.configcat.com", "r": 0, "s": "c2FsdA=="},
        "s": [{"n": key, "r": [{"a": "Identifier", "c": 0, "l": ids}]} for key, ids in SEGMENTS.items()],
        "f": {flag.key: _setting(flag) for flag in flags()},
    }


class _Cache(ConfigCache):  # type: ignore[misc]
    def __init__(self) -> None:
        self._entry = f"{int(time.time() * 1000)}\netag\n{json.dumps(_config())}"

    def get(self, key: str) -> str:
        return self._entry

    def set(self, key: str, value: str) -> None: ...


class Adapter(Peer):
    packages = ("configcat-client",)

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        logging.getLogger("configcat").setLevel(logging.ERROR)
        options = ConfigCatOptions(polling_mode=PollingMode.manual_poll(), config_cache=_Cache(), offline=True)
        client = configcatclient.get(SDK_KEY, options)
        users, asking = [_user(one) for one in people], [_user(one) for one in probes]
        reads = {
            workload: Read(f"read({KEYS[workload]!r}, {default!r}, c)", {"read": client.get_value}, users, asking)
            for workload, default in DEFAULTS.items()
        }
        names = {"read": client.get_value, "loads": json.loads}
        reads["W5"] = Read(f"loads(read({KEYS['W5']!r}, '', c))", names, users)
        reads["W6"] = Read("read_all(c)", {"read_all": client.get_all_values}, users[:10], plain=_plain)
        return reads

    def close(self) -> None:
        configcatclient.ConfigCatClient.close_all()


def _user(who: Json) -> Any:
    custom = {name: who[name] for name in ("plan", "appVersion", "age")}
    return User(who["targetingKey"], email=who["email"], country=who["country"], custom=custom)


def _plain(answer: Json) -> Json:
    return {key: json.loads(value or "null") if key.startswith("w5") else value for key, value in answer.items()}
