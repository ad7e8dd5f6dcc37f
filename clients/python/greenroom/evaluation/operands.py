"""Operands: what an author's `values` become, once, when a flag is compiled.

Preparing reports what is wrong with the values. Alternatives that one bound decides are reduced to that bound: `gt`
any of several numbers is `gt` the least of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

from greenroom.evaluation import limits
from greenroom.evaluation.dates import parse_moment, parse_relative
from greenroom.evaluation.findings import Place, shown
from greenroom.evaluation.networks import group_networks, parse_network
from greenroom.evaluation.semver import parse_version
from greenroom.evaluation.windows import read_window

_compile_pattern: Callable[..., Any] = re2.compile  # the package has no types


@dataclass(frozen=True, slots=True)
class Choices:
    """The operand of `in`, by type, because Python takes `True` and `1` for the same thing."""

    texts: frozenset[str]
    numbers: frozenset[int | float]
    truths: frozenset[bool]
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class Texts:
    """The operand of the text operators; folded already if case is ignored."""

    texts: tuple[str, ...]
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class Moments:
    """The operand of `before` and `after`: the bound that decides among the absolute and among the relative values."""

    absolute: int | float | None
    relative: int | None

    @property
    def uses_clock(self) -> bool:
        """Whether the bound moves with the clock."""
        return self.relative is not None


def folded(text: str) -> str:
    """Text with its case taken away; the two small sigmas are one letter."""
    return text.lower().replace("ς", "σ")


def is_number(value: Any) -> bool:
    """Whether a value is a number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def prepare_choices(values: list[Any], ignore_case: bool, place: Place) -> Choices:
    texts, numbers, truths = [], [], []
    for index, value in enumerate(values):
        if isinstance(value, str):
            texts.append(folded(value) if ignore_case else value)
        elif isinstance(value, bool):
            truths.append(value)
        elif not is_number(value):
            place.at(index).report("a value of `in` must be text, a number or a boolean")
        elif _number_is_small(value, place.at(index)):
            numbers.append(value)
    return Choices(frozenset(texts), frozenset(numbers), frozenset(truths), ignore_case)


def _number_is_small(value: float, place: Place) -> bool:
    if not -limits.MAX_INTEGER <= value <= limits.MAX_INTEGER:
        place.report("a number beyond 2^53", "integer", limits.MAX_INTEGER)
        return False
    return True


def prepare_texts(values: list[Any], ignore_case: bool, place: Place) -> Texts:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            place.at(index).report("must be text")
    texts = [value for value in values if isinstance(value, str)]
    return Texts(tuple(dict.fromkeys(map(folded, texts) if ignore_case else texts)), ignore_case)


def prepare_patterns(values: list[Any], ignore_case: bool, place: Place) -> tuple[Any, ...]:
    if len(values) > limits.MAX_PATTERNS:
        place.report(f"more than {limits.MAX_PATTERNS} patterns", "patterns", limits.MAX_PATTERNS)
        return ()
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not ignore_case
    options.max_mem = limits.MAX_PATTERN_MEMORY
    return tuple(_pattern(value, options, place.at(index)) for index, value in enumerate(values))


def _pattern(value: Any, options: Any, place: Place) -> Any:
    longest = limits.MAX_PATTERN_LENGTH
    if not isinstance(value, str):
        place.report("must be text")
    elif len(value) > longest:
        place.report(f"a pattern longer than {longest} characters", "pattern_length", longest)
    elif len(place.found) < limits.MAX_FINDINGS:  # compiling costs time, and what is wrong has been said often enough
        try:
            return _compile_pattern(value, options)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace")
            place.report(f"{shown(value)} is not an RE2 pattern: {reason}")
    return None


def _prepare_numbers(values: list[Any], place: Place) -> list[int | float]:
    numbers: list[int | float] = []
    for index, value in enumerate(values):
        if not is_number(value):
            place.at(index).report("must be a number")
        elif _number_is_small(value, place.at(index)):
            numbers.append(value)
    return numbers


def prepare_equal(values: list[Any], ignore_case: bool, place: Place) -> frozenset[int | float]:
    return frozenset(_prepare_numbers(values, place))


def prepare_least(values: list[Any], ignore_case: bool, place: Place) -> int | float | None:
    return min(_prepare_numbers(values, place), default=None)


def prepare_greatest(values: list[Any], ignore_case: bool, place: Place) -> int | float | None:
    return max(_prepare_numbers(values, place), default=None)


def _prepare_moments(values: list[Any], choose: Callable[[list[Any]], Any], place: Place) -> Moments:
    absolute: list[int | float] = []
    relative: list[int] = []
    for index, value in enumerate(values):
        if is_number(value):
            if _number_is_small(value, place.at(index)):
                absolute.append(value)
        elif isinstance(value, str) and (distance := parse_relative(value)) is not None:
            relative.append(distance)
        elif isinstance(value, str) and (moment := parse_moment(value)) is not None:
            absolute.append(moment)
        else:
            place.at(index).report(
                f"{shown(value)} is not a date: say 2026-11-23T05:00:00Z, epoch milliseconds or now-30d"
            )
    return Moments(choose(absolute) if absolute else None, choose(relative) if relative else None)


def prepare_before(values: list[Any], ignore_case: bool, place: Place) -> Moments:
    return _prepare_moments(values, max, place)


def prepare_after(values: list[Any], ignore_case: bool, place: Place) -> Moments:
    return _prepare_moments(values, min, place)


def _prepare_versions(values: list[Any], place: Place) -> list[Any]:
    versions = []
    for index, value in enumerate(values):
        version = parse_version(value) if isinstance(value, str) else None
        if version is None:
            place.at(index).report(f"{shown(value)} is not a version like 1.2.3")
        else:
            versions.append(version)
    return versions


def prepare_version_set(values: list[Any], ignore_case: bool, place: Place) -> frozenset[Any]:
    return frozenset(_prepare_versions(values, place))


def prepare_least_version(values: list[Any], ignore_case: bool, place: Place) -> Any:
    return min(_prepare_versions(values, place), default=None)


def prepare_greatest_version(values: list[Any], ignore_case: bool, place: Place) -> Any:
    return max(_prepare_versions(values, place), default=None)


def prepare_networks(values: list[Any], ignore_case: bool, place: Place) -> Any:
    networks = []
    for index, value in enumerate(values):
        network = parse_network(value) if isinstance(value, str) else None
        if network is None:
            place.at(index).report(f"{shown(value)} is not an IP network like 10.0.0.0/8 or 2001:db8::/32")
        else:
            networks.append(network)
    return group_networks(networks)


def prepare_windows(values: list[Any], ignore_case: bool, place: Place) -> tuple[Any, ...]:
    windows = [read_window(value, place.at(index)) for index, value in enumerate(values)]
    return tuple(window for window in windows if window is not None)


def prepare_nothing(values: list[Any], ignore_case: bool, place: Place) -> None:
    return None
