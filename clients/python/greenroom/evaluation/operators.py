"""The operators: one table, name -> how its values are prepared and how one value of a context is tested.

Typed throughout: a boolean is no number, 1 equals 1.0, "1" equals neither. A test never sees None or a list, answers
False for what it cannot use, and may raise on a hostile object: `clause_holds` is the guard.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from greenroom.evaluation import operands
from greenroom.evaluation.dates import moment_of
from greenroom.evaluation.findings import Place
from greenroom.evaluation.networks import contains, parse_address
from greenroom.evaluation.operands import Choices, Moments, Texts, folded, is_number
from greenroom.evaluation.semver import parse_version

Prepare = Callable[[list[Any], bool, Place], Any]
Test = Callable[[Any, Any, int], bool]


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table. `test(operand, value, now_ms)`; the operand is what `prepare` made of the values."""

    name: str
    prepare: Prepare
    test: Test
    can_ignore_case: bool = False
    takes_attribute: bool = True
    takes_values: bool = True
    may_be_empty: bool = False


def _test_choices(operand: Choices, value: Any, now_ms: int) -> bool:
    if isinstance(value, str):
        return (folded(value) if operand.ignore_case else value) in operand.texts
    if isinstance(value, bool):
        return value in operand.truths
    return isinstance(value, int | float) and value in operand.numbers


def _text(operand: Texts, value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return folded(value) if operand.ignore_case else value


def _test_contains(operand: Texts, value: Any, now_ms: int) -> bool:
    text = _text(operand, value)
    return text is not None and any(part in text for part in operand.texts)


def _test_starts_with(operand: Texts, value: Any, now_ms: int) -> bool:
    text = _text(operand, value)
    return text is not None and text.startswith(operand.texts)


def _test_ends_with(operand: Texts, value: Any, now_ms: int) -> bool:
    text = _text(operand, value)
    return text is not None and text.endswith(operand.texts)


def _test_matches(operand: tuple[Any, ...], value: Any, now_ms: int) -> bool:
    if not isinstance(value, str):
        return False
    data = value.encode()
    return any(program.search(data) is not None for program in operand)


def _test_before(operand: Moments, value: Any, now_ms: int) -> bool:
    moment = moment_of(value)
    if moment is None:
        return False
    if operand.absolute is not None and moment < operand.absolute:
        return True
    return operand.relative is not None and moment < now_ms + operand.relative


def _test_after(operand: Moments, value: Any, now_ms: int) -> bool:
    moment = moment_of(value)
    if moment is None:
        return False
    if operand.absolute is not None and moment > operand.absolute:
        return True
    return operand.relative is not None and moment > now_ms + operand.relative


def _test_version(compare: Callable[[Any, Any], bool]) -> Test:
    def test(operand: Any, value: Any, now_ms: int) -> bool:
        version = parse_version(value) if isinstance(value, str) else None
        return version is not None and compare(version, operand)

    return test


def _test_number(compare: Callable[[Any, Any], bool]) -> Test:
    def test(operand: Any, value: Any, now_ms: int) -> bool:
        return is_number(value) and compare(value, operand)

    return test


def _test_networks(operand: Any, value: Any, now_ms: int) -> bool:
    address = parse_address(value) if isinstance(value, str) else None
    return address is not None and contains(operand, address)


def _test_windows(operand: Any, value: Any, now_ms: int) -> bool:
    return any(window.holds(now_ms) for window in operand)


def _test_exists(operand: None, value: Any, now_ms: int) -> bool:
    return True


_TABLE = (
    Operator("in", operands.prepare_choices, _test_choices, can_ignore_case=True, may_be_empty=True),
    Operator("contains", operands.prepare_texts, _test_contains, can_ignore_case=True),
    Operator("starts_with", operands.prepare_texts, _test_starts_with, can_ignore_case=True),
    Operator("ends_with", operands.prepare_texts, _test_ends_with, can_ignore_case=True),
    Operator("matches", operands.prepare_patterns, _test_matches, can_ignore_case=True),
    Operator("eq", operands.prepare_equal, _test_number(lambda number, numbers: number in numbers)),
    Operator("gt", operands.prepare_least, _test_number(operator.gt)),
    Operator("gte", operands.prepare_least, _test_number(operator.ge)),
    Operator("lt", operands.prepare_greatest, _test_number(operator.lt)),
    Operator("lte", operands.prepare_greatest, _test_number(operator.le)),
    Operator("before", operands.prepare_before, _test_before),
    Operator("after", operands.prepare_after, _test_after),
    Operator("semver_eq", operands.prepare_version_set, _test_version(lambda version, versions: version in versions)),
    Operator("semver_gt", operands.prepare_least_version, _test_version(operator.gt)),
    Operator("semver_gte", operands.prepare_least_version, _test_version(operator.ge)),
    Operator("semver_lt", operands.prepare_greatest_version, _test_version(operator.lt)),
    Operator("semver_lte", operands.prepare_greatest_version, _test_version(operator.le)),
    Operator("cidr", operands.prepare_networks, _test_networks),
    Operator("exists", operands.prepare_nothing, _test_exists, takes_values=False),
    Operator("within", operands.prepare_windows, _test_windows, takes_attribute=False),
)

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType({row.name: row for row in _TABLE})
"""Every operator by its name."""
