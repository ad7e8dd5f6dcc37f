"""W2 in JsonLogic, which flagd and fast-feature share."""

from tests.bench.engine.workload import Json
from tests.bench.peers.flags import Clause, Flag


def string_targeting(flag: Flag) -> Json:
    branches: list[object] = []
    for rule in flag.rules:
        branches += [{"and": [_condition(clause) for clause in rule.clauses]}, rule.variant]
    return {"if": [*branches, "v0"]}


def _condition(clause: Clause) -> Json:
    value, operand = {"var": clause.attribute}, clause.operand
    shapes: Json = {
        "in": {"in": [value, operand]},
        "eq": {"==": [value, operand]},
        "semver_gte": {"sem_ver": [value, ">=", operand]},
        "ends_with": {"ends_with": [value, operand]},
        "gt": {">": [value, operand]},
    }
    shape: Json = shapes[clause.op]
    return shape
