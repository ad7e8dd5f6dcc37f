"""Reads `when`: nested `{all}`, `{any}`, `{not}`, `{segment}` and clauses, into the model.

Reading is checking: there is one reader for authors and for loading, so they cannot disagree. It recurses as deep as
the document, whose depth `within_bounds` has proved to be small.
"""

from collections.abc import Iterator
from typing import Any

from greenroom.evaluation import limits
from greenroom.evaluation.findings import Place, shown
from greenroom.evaluation.model import AllOf, AnyOf, Clause, Condition, InSegment, Not
from greenroom.evaluation.operands import Moments
from greenroom.evaluation.operators import OPERATORS, Operator
from greenroom.evaluation.shapes import FLAG_KEY, read_boolean, read_list, read_matching, read_object, read_text

_NOWHERE = AnyOf(())


def read_condition(document: Any, place: Place) -> Condition:
    """The condition that the document describes; one that never holds if something is wrong with it."""
    if not isinstance(document, dict):
        place.report("a condition must be an object")
        return _NOWHERE
    if "op" in document:
        return _clause(document, place)
    if len(document) != 1:
        place.report("a condition has exactly one of all, any, not and segment, or is a clause with op")
        return _NOWHERE
    ((kind, inner),) = document.items()
    here = place.at(kind)
    if kind == "all":
        return AllOf(_parts(inner, here))
    if kind == "any":
        return AnyOf(_parts(inner, here))
    if kind == "not":
        return Not(read_condition(inner, here))
    if kind == "segment":
        return InSegment(read_matching(inner, here, FLAG_KEY))
    here.report("unknown member")
    return _NOWHERE


def _parts(document: Any, place: Place) -> tuple[Condition, ...]:
    parts = read_list(document, place, "condition_parts", limits.MAX_CONDITION_PARTS, may_be_empty=False)
    return tuple(read_condition(part, place.at(index)) for index, part in enumerate(parts))


def _clause(document: dict[str, Any], place: Place) -> Condition:
    name = document["op"]
    operator = OPERATORS.get(name) if isinstance(name, str) else None
    if operator is None:
        place.at("op").report(f"unknown operator {shown(name)}")
        return _NOWHERE
    required = ["op"]
    optional: list[str] = []
    if operator.takes_attribute:
        required.append("attribute")
    (required if operator.takes_values else optional).append("values")
    if operator.can_ignore_case:
        optional.append("ignore_case")
    if read_object(document, place, required, optional) is None:
        return _NOWHERE
    attribute = read_text(document["attribute"], place.at("attribute")) if operator.takes_attribute else None
    ignore_case = read_boolean(document.get("ignore_case", False), place.at("ignore_case"))
    values = _values(document.get("values", []), operator, place.at("values"))
    operand = operator.prepare(values, ignore_case, place.at("values"))
    uses_clock = operand.uses_clock if isinstance(operand, Moments) else not operator.takes_attribute
    return Clause(attribute, operator, operand, values, ignore_case, uses_clock)


def _values(document: Any, operator: Operator, place: Place) -> list[Any]:
    if not operator.takes_values:
        read_list(document, place, "clause_values", 0)
        return []
    return read_list(document, place, "clause_values", limits.MAX_CLAUSE_VALUES, may_be_empty=operator.may_be_empty)


def clauses_of(condition: Condition) -> Iterator[Clause]:
    """Every clause in a condition, without looking into segments."""
    match condition:
        case Clause():
            yield condition
        case AllOf() | AnyOf():
            for part in condition.parts:
                yield from clauses_of(part)
        case Not():
            yield from clauses_of(condition.part)
        case _:  # a segment's clauses are its own
            pass


def segments_of(condition: Condition) -> Iterator[str]:
    """The keys of the segments that a condition names itself."""
    match condition:
        case InSegment():
            yield condition.key
        case AllOf() | AnyOf():
            for part in condition.parts:
                yield from segments_of(part)
        case Not():
            yield from segments_of(condition.part)
        case _:
            pass
