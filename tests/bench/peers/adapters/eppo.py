"""Eppo (its core is Rust), offline. It has neither prerequisites nor segments: lists stand inside the flags."""

import re
from typing import Any

import eppo_client
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, STRINGS, Clause, Flag, attributes, flags
from tests.bench.peers.peer import Peer, Read, json_bytes

ON_OFF = {"on": {"key": "on", "value": True}, "off": {"key": "off", "value": False}}


def _condition(clause: Clause) -> Json:
    operand = clause.operand
    operator, value = {
        "in": ("ONE_OF", operand),
        "eq": ("ONE_OF", [operand]),
        "semver_gte": ("GTE", operand),
        "ends_with": ("MATCHES", re.escape(str(operand)) + "$"),
        "gt": ("GT", operand),
    }[clause.op]
    return {"attribute": clause.attribute, "operator": operator, "value": value}


def _everyone(variant: str) -> list[Json]:
    return [{"variationKey": variant, "shards": []}]


def _split(key: str, shares: dict[str, int]) -> list[Json]:
    splits, start = [], 0
    for variant, share in shares.items():
        ranges = [{"start": start, "end": start + share * 100}]
        splits.append({"variationKey": variant, "shards": [{"salt": key, "ranges": ranges}]})
        start += share * 100
    return splits


def _allocation(key: str, splits: list[Json], conditions: list[Json] | None = None) -> Json:
    rules = {} if conditions is None else {"rules": [{"conditions": conditions}]}
    return {"key": key, "splits": splits, "doLog": False, **rules}


def _flag(flag: Flag) -> Json:
    made: Json = {"key": flag.key, "enabled": True, "totalShards": 10000}
    made |= {"variationType": "BOOLEAN", "variations": ON_OFF}
    if flag.kind == "w1":
        return {**made, "allocations": [_allocation("a", _everyone("on" if flag.is_on else "off"))]}
    if flag.kind == "w2":
        allocations = [
            _allocation(f"r{number}", _everyone(rule.variant), [_condition(clause) for clause in rule.clauses])
            for number, rule in enumerate(flag.rules)
        ]
        made |= {"variationType": "STRING", "variations": {one: {"key": one, "value": one} for one in STRINGS}}
        return {**made, "allocations": [*allocations, _allocation("d", _everyone("v0"))]}
    if flag.kind == "w3":
        return {**made, "allocations": [_allocation("r", _split(flag.key, {"on": 25, "off": 75}))]}
    if flag.kind == "w4":
        listed = [{"attribute": "id", "operator": "ONE_OF", "value": SEGMENTS[flag.segment]}]
        return {**made, "allocations": [_allocation("r", _everyone("on"), listed), _allocation("d", _everyone("off"))]}
    variations = {variant: {"key": variant, "value": json_bytes(value).decode()} for variant, value in PAYLOADS.items()}
    made |= {"variationType": "JSON", "variations": variations}
    return {**made, "allocations": [_allocation("r", _split(flag.key, SHARES))]}


class Adapter(Peer):
    packages = ("eppo-server-sdk",)
    has_prerequisites = False

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        document = {
            "createdAt": "2024-01-01T00:00:00.000Z",
            "format": "SERVER",
            "environment": {"name": "bench"},
            "flags": {flag.key: _flag(flag) for flag in flags()},
        }
        client = eppo_client.init(
            eppo_client.ClientConfig(
                api_key="x",
                base_url="http://127.0.0.1:9",
                assignment_logger=eppo_client.AssignmentLogger(),
                poll_interval_seconds=None,
                initial_configuration=eppo_client.Configuration(flags_configuration=json_bytes(document)),
            )
        )
        users, asking = [_user(one) for one in people], [_user(one) for one in probes]
        methods: dict[str, tuple[Any, Any]] = dict.fromkeys(("w1", "w3", "w4"), (client.get_boolean_assignment, False))
        methods |= {"w2": (client.get_string_assignment, "v0"), "w5": (client.get_json_assignment, None)}
        reads = {}
        for workload, key in KEYS.items():
            read, default = methods[workload.lower()]
            reads[workload] = Read(f"read({key!r}, c[0], c[1], {default!r})", {"read": read}, users, asking)
        todo = [(flag.key, *methods[flag.kind]) for flag in flags()]
        reads["W6"] = Read("{k: read(k, c[0], c[1], d) for k, read, d in todo}", {"todo": todo}, users[:10])
        return reads


def _user(who: Json) -> tuple[str, Json]:
    return who["targetingKey"], attributes(who)
