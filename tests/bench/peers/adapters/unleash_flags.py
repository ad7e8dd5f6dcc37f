"""The workloads in Unleash's format. "At least" a version is "not less"; values are payloads of strategy variants."""

import json

from tests.bench.engine.workload import Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, Clause, Flag, flags

BOOLEAN = ("w1", "w3", "w4")


def features() -> Json:
    """What the client endpoint would answer."""
    segments = [
        {"id": number, "constraints": [_constraint(Clause("userId", "in", ids))]}
        for number, ids in enumerate(SEGMENTS.values(), start=1)
    ]
    return {"version": 2, "features": [_feature(flag) for flag in flags()], "segments": segments}


def _constraint(clause: Clause) -> Json:
    operand = clause.operand
    made: Json = {"contextName": clause.attribute, "inverted": False, "caseInsensitive": False, "values": []}
    shape: Json = {
        "in": {"operator": "IN", "values": operand},
        "eq": {"operator": "IN", "values": [operand]},
        "semver_gte": {"operator": "SEMVER_LT", "value": operand, "inverted": True},
        "ends_with": {"operator": "STR_ENDS_WITH", "values": [operand]},
        "gt": {"operator": "NUM_GT", "value": str(operand)},
    }[clause.op]
    return {**made, **shape}


def _strategy(key: str, rollout: int = 100, **more: object) -> Json:
    parameters = {"rollout": str(rollout), "stickiness": "userId", "groupId": key}
    made = {"name": "flexibleRollout", "constraints": [], "segments": [], "variants": [], "parameters": parameters}
    return {**made, **more}


def _variant(name: str, weight: int, type_: str, value: str) -> Json:
    return {"name": name, "weight": weight, "stickiness": "userId", "payload": {"type": type_, "value": value}}


def _feature(flag: Flag) -> Json:
    key = flag.key
    made: Json = {"name": key, "type": "release", "enabled": flag.is_on, "stale": False, "impressionData": False}
    made |= {"project": "default", "variants": []}
    if flag.kind == "w1":
        return {**made, "strategies": [{"name": "default", "constraints": [], "parameters": {}}]}
    if flag.kind == "w2":
        strategies = [
            _strategy(
                key,
                constraints=[_constraint(clause) for clause in rule.clauses],
                variants=[_variant(rule.variant, 1000, "string", rule.variant)],
            )
            for rule in flag.rules
        ]
        return {**made, "strategies": strategies}
    if flag.kind == "w3":
        return {**made, "strategies": [_strategy(key, 25)]}
    if flag.kind == "w4":
        return {**made, "strategies": [_strategy(key, segments=[list(SEGMENTS).index(flag.segment) + 1])]}
    variants = [_variant(name, share * 10, "json", json.dumps(PAYLOADS[name])) for name, share in SHARES.items()]
    dependencies = [{"feature": flag.prerequisite, "enabled": True}]
    return {**made, "dependencies": dependencies, "strategies": [_strategy(key, variants=variants)]}
