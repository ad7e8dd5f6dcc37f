"""Flagsmith's engine. It always evaluates the whole environment that it is given, so W1 to W5 run on environments cut
down to the one flag and what it needs: its best case. JSON values are texts, so reading includes `json.loads`.
"""

import json
from typing import Any

from flag_engine.engine import get_evaluation_result
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, Clause, Flag, attributes, flags
from tests.bench.peers.peer import Peer, Read


def _condition(clause: Clause) -> Json:
    operand = clause.operand
    operator, value = {
        "in": ("IN", ",".join(operand) if isinstance(operand, list) else ""),
        "eq": ("EQUAL", operand),
        "semver_gte": ("GREATER_THAN_INCLUSIVE", f"{operand}:semver"),
        "ends_with": ("REGEX", ".*" + str(operand).replace(".", r"\.") + "$"),
        "gt": ("GREATER_THAN", str(operand)),
    }[clause.op]
    return {"property": clause.attribute, "operator": operator, "value": value}


def _segment(key: str, conditions: list[Json], overrides: list[Json]) -> Json:
    rules = [{"type": "ALL", "conditions": [condition]} for condition in conditions]
    return {"key": key, "name": key, "rules": [{"type": "ALL", "rules": rules}], "overrides": overrides}


def _feature(key: str, enabled: bool, value: Any = None, **more: Any) -> Json:
    return {"key": key, "name": key, "enabled": enabled, "value": value, **more}


def _segments_of(flag: Flag) -> list[Json]:
    key = flag.key
    if flag.kind == "w2":
        return [
            _segment(
                f"{key}-r{number}",
                [_condition(clause) for clause in rule.clauses],
                [_feature(key, True, rule.variant, priority=number + 1)],
            )
            for number, rule in enumerate(flag.rules)
        ]
    on = _feature(key, True, priority=1)
    if flag.kind == "w3":
        return [_segment(key, [{"property": "", "operator": "PERCENTAGE_SPLIT", "value": "25"}], [on])]
    if flag.kind == "w5":
        needed = {"property": f"$.flags['{flag.prerequisite}'].enabled", "operator": "EQUAL", "value": "true"}
        variants = [
            {"key": variant, "value": json.dumps(PAYLOADS[variant]), "weight": share, "priority": number}
            for number, (variant, share) in enumerate(SHARES.items())
        ]
        return [_segment(key, [needed], [_feature(key, True, priority=1, variants=variants)])]
    return []


def _environment(wanted: list[Flag]) -> Json:
    segments = {one["key"]: one for flag in wanted for one in _segments_of(flag)}
    for key, ids in SEGMENTS.items():
        overrides = [_feature(flag.key, True, priority=1) for flag in wanted if flag.segment == key]
        if overrides:
            listed = {"property": "$.identity.identifier", "operator": "IN", "value": ",".join(ids)}
            segments[key] = _segment(key, [listed], overrides)
    features = {
        flag.key: _feature(flag.key, flag.is_on if flag.kind == "w1" else flag.kind == "w2", "v0")
        if flag.kind in ("w1", "w2")
        else _feature(flag.key, False)
        for flag in wanted
    }
    return {"environment": {"key": "env", "name": "bench"}, "features": features, "segments": segments}


class Adapter(Peer):
    packages = ("flagsmith-flag-engine",)

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        by_key = {flag.key: flag for flag in flags()}
        names = {"evaluate": get_evaluation_result, "loads": json.loads}
        reads = {}
        for workload, key in KEYS.items():
            flag = by_key[key]
            environment = _environment([flag, by_key[flag.prerequisite]] if flag.prerequisite else [flag])
            asked, asking = _users(environment, people), _users(environment, probes)
            member = "enabled" if workload in ("W1", "W3", "W4") else "value"
            expression = f"evaluate(c)['flags'][{key!r}][{member!r}]"
            reads[workload] = Read(f"loads({expression})" if workload == "W5" else expression, names, asked, asking)
        reads["W6"] = Read("evaluate(c)", names, _users(_environment(flags()), people[:10]), plain=_plain)
        return reads


def _users(environment: Json, people: list[Json]) -> list[Json]:
    return [
        {
            **environment,
            "identity": {
                "identifier": who["targetingKey"],
                "key": "env_" + who["targetingKey"],
                "traits": attributes(who),
            },
        }
        for who in people
    ]


def _plain(answer: Json) -> Json:
    return {key: _value(key[:2], one) for key, one in answer["flags"].items()}


def _value(kind: str, one: Json) -> Any:
    if kind == "w2":
        return one["value"]
    return json.loads(one["value"] or "null") if kind == "w5" else one["enabled"]
