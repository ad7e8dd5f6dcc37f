"""Clauses as expressions: the common case of each operator inline, everything else through the reference test.

The inline case is guarded by the exact type (`type(v) is str`), so that a list, a subclass or a value of another type
takes the reference way and both ways agree.
"""

from functools import partial

from greenroom.evaluation.model import Clause
from greenroom.evaluation.operands import Choices, Texts
from greenroom.evaluation.semver import parse_version
from greenroom.evaluation.source import Source
from greenroom.evaluation.walk import clause_holds

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def clause_expression(clause: Clause, source: Source) -> str:
    """An expression that is true if the clause holds."""
    careful = source.bind(partial(clause_holds, clause))
    if clause.attribute is None:
        return f"{careful}(True, now)"
    reading = source.reading(clause.attribute)
    if clause.operator.name == "exists":
        return f"{reading} is not None"
    value = source.local(clause.attribute)
    otherwise = f"{value} is not None and {careful}({value}, now)"
    inline = _inline(clause, value, source)
    if inline is None:
        return f"({reading} is not None and {careful}({value}, now))"
    kind, test = inline
    guard = f"type({reading}) is {kind}"
    if kind == "int":
        guard += f" or type({value}) is float"
    return f"({test} if {guard} else {otherwise})"


def _inline(clause: Clause, value: str, source: Source) -> tuple[str, str] | None:
    """The type that is handled inline and the test for it."""
    name, operand = clause.operator.name, clause.operand
    if isinstance(operand, Choices):
        return None if operand.ignore_case else _choice(operand, value, source)
    if isinstance(operand, Texts):
        return None if operand.ignore_case else _text(name, operand, value, source)
    if name == "eq":
        return "int", f"{value} in {source.bind(operand)}"
    if name in _COMPARISONS:
        return "int", f"{value} {_COMPARISONS[name]} {source.bind(operand)}"
    if name.startswith("semver_"):
        how = _COMPARISONS.get(name.removeprefix("semver_"), "in")
        parsed = f"(p := {source.bind(parse_version)}({value}))"
        return "str", f"({parsed} is not None and p {how} {source.bind(operand)})"
    return None


def _choice(operand: Choices, value: str, source: Source) -> tuple[str, str] | None:
    for kind, choices in (("str", operand.texts), ("int", operand.numbers), ("bool", operand.truths)):
        if len(choices) == 1:
            return kind, f"{value} == {source.bind(next(iter(choices)))}"
        if choices:
            return kind, f"{value} in {source.bind(choices)}"
    return None


def _text(name: str, operand: Texts, value: str, source: Source) -> tuple[str, str] | None:
    only = operand.texts[0] if len(operand.texts) == 1 else None
    if name == "contains":
        return None if only is None else ("str", f"{source.bind(only)} in {value}")
    method = {"starts_with": "startswith", "ends_with": "endswith"}[name]
    return "str", f"{value}.{method}({source.bind(operand.texts if only is None else only)})"
