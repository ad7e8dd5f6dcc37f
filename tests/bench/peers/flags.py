"""The workloads' flags in nobody's format, for adapters to translate into their SDK's own."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.engine.workload import VARIANTS, WEIGHTS, Json, members, payload, snapshot_document

Operator = Literal["in", "eq", "semver_gte", "ends_with", "gt"]
PAYLOADS = {variant: payload(variant) for variant in VARIANTS}
SHARES = dict(zip(VARIANTS, WEIGHTS, strict=True))
STRINGS = [f"v{number}" for number in range(6)]
SEGMENTS = members()


@dataclass(frozen=True, slots=True)
class Clause:
    """`operand` is a list for `in`, a number for `gt`, else a text."""

    attribute: str
    op: Operator
    operand: Any


@dataclass(frozen=True, slots=True)
class Rule:
    clauses: tuple[Clause, ...]
    variant: str


@dataclass(frozen=True, slots=True)
class Flag:
    """`kind` is `w1` to `w5`; what a kind has no use for is empty."""

    key: str
    kind: str
    number: int
    is_on: bool
    rules: tuple[Rule, ...] = ()
    segment: str = ""
    prerequisite: str = ""


def flags() -> list[Flag]:
    """All flags of the workloads, in order."""
    documents: Iterable[Json] = snapshot_document()["flags"].values()
    return [_flag(number, document) for number, document in enumerate(documents)]


def attributes(context: Json) -> Json:
    """The context without the targeting key."""
    return {name: value for name, value in context.items() if name != "targetingKey"}


def _flag(number: int, document: Json) -> Flag:
    key, kind, is_on = document["key"], document["key"][:2], document["enabled"]
    if kind == "w2":
        return Flag(key, kind, number, is_on, rules=tuple(map(_rule, document["rules"])))
    if kind == "w4":
        return Flag(key, kind, number, is_on, segment=document["rules"][0]["when"]["segment"])
    if kind == "w5":
        return Flag(key, kind, number, is_on, prerequisite=document["prerequisites"][0]["flag"])
    return Flag(key, kind, number, is_on)


def _rule(rule: Json) -> Rule:
    return Rule(tuple(map(_clause, rule["when"]["all"])), rule["serve"]["variant"])


def _clause(clause: Json) -> Clause:
    values, op = clause["values"], clause["op"]
    if op == "in" and len(values) > 1:
        return Clause(clause["attribute"], "in", values)
    return Clause(clause["attribute"], "eq" if op == "in" else op, values[0])
