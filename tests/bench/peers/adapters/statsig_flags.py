"""The workloads in Statsig's format, for its two SDKs. Texts and JSON are dynamic configs there."""

from typing import Any

from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, Clause, Flag, flags
from tests.bench.peers.peer import Read

GATES = ("w1", "w3", "w4")
_UNIT: Json = {"isDeviceBased": False, "idType": "userID"}


def gates_and_configs() -> tuple[list[Json], list[Json]]:
    gates = [_segment(key, ids) for key, ids in SEGMENTS.items()]
    configs: list[Json] = []
    for flag in flags():
        (gates if flag.kind in GATES else configs).append(_entity(flag))
    return gates, configs


def statsig_reads(gate: Any, config: Any, last: str, users: list[Any], asking: list[Any]) -> dict[str, Read]:
    """`last` is what else the SDK's calls are given (`, False`), `gate` and `config` the calls."""
    names = {"gate": gate, "config": config}
    reads = {workload: Read(f"gate(c, {KEYS[workload]!r}{last})", names, users) for workload in ("W1", "W3", "W4")}
    reads["W5"] = Read(f"config(c, {KEYS['W5']!r}{last}).value", names, users)
    keys = {
        "gates": [flag.key for flag in flags() if flag.kind in GATES],
        "configs": [flag.key for flag in flags() if flag.kind not in GATES],
    }
    every = f"{{**{{k: gate(c, k{last}) for k in gates}}, **{{k: config(c, k{last}).value for k in configs}}}}"
    reads["W6"] = Read(every, {**names, **keys}, users[:10], plain=_plain)
    return reads


def _plain(answer: Json) -> Json:
    return {key: value.get("variant", "v0") if key.startswith("w2") else value for key, value in answer.items()}


def _condition(clause: Clause) -> Json:
    operand = clause.operand
    operator, target = {
        "in": ("any", operand),
        "eq": ("any", [operand]),
        "semver_gte": ("version_gte", operand),
        "ends_with": ("str_ends_with_any", [operand]),
        "gt": ("gt", operand),
    }[clause.op]
    extra = {"custom_field": clause.attribute} if clause.attribute in ("plan", "age") else {}
    return _native("user_field", clause.attribute, operator, target, extra)


def _native(
    type_: str, field: str | None = None, operator: str | None = None, target: Any = None, extra: Json | None = None
) -> Json:
    return {
        "type": type_,
        "field": field,
        "operator": operator,
        "targetValue": target,
        "additionalValues": extra or {},
        **_UNIT,
    }


def _rule(id_: str, conditions: list[Json], value: Any, percent: int = 100) -> Json:
    named = {"name": id_, "id": id_, "salt": id_}
    return {**named, "passPercentage": percent, "conditions": conditions, "returnValue": value, **_UNIT}


def _entity(flag: Flag) -> Json:
    kind = "feature_gate" if flag.kind in GATES else "dynamic_config"
    made: Json = {"name": flag.key, "type": kind, "salt": f"salt-{flag.key}", "enabled": True, "version": 1}
    made |= {"entity": kind, "defaultValue": False if flag.kind in GATES else {}, **_UNIT}
    if flag.kind == "w5":
        made |= {"entity": "experiment", "isActive": True}
    elif flag.kind == "w2":
        made |= {"defaultValue": {"variant": "v0"}}
    return {**made, "rules": _rules(flag)}


def _rules(flag: Flag) -> list[Json]:
    key, everyone = flag.key, _native("public")
    if flag.kind == "w1":
        return [_rule("r", [everyone], True, 100 if flag.is_on else 0)]
    if flag.kind == "w3":
        return [_rule(f"r{key}", [everyone], True, 25)]
    if flag.kind == "w4":
        return [_rule("r", [_native("pass_gate", target=f"segment:{flag.segment}")], True)]
    if flag.kind == "w2":
        return [
            _rule(f"{key}-r{number}", [_condition(clause) for clause in rule.clauses], {"variant": rule.variant})
            for number, rule in enumerate(flag.rules)
        ]
    # An experiment: the prerequisite's gate, then one range of buckets for each group.
    rules, below = [_rule("prerequisite", [_native("fail_gate", target=flag.prerequisite)], {})], 0
    for variant, share in SHARES.items():
        below += share * 10
        bucket = _native("user_bucket", operator="lt", target=below, extra={"salt": f"b-{key}"})
        group = {"groupName": variant, "isExperimentGroup": True}
        rules.append({**_rule(f"{key}-{variant}", [bucket], PAYLOADS[variant]), **group})
    return rules


def _segment(key: str, ids: list[str]) -> Json:
    listed = _native("unit_id", "userID", "any", ids)
    made = {"name": f"segment:{key}", "type": "feature_gate", "salt": key, "enabled": True, "defaultValue": False}
    return {**made, "rules": [_rule(f"l{key}", [listed], True)], "entity": "segment", "version": 1, **_UNIT}
