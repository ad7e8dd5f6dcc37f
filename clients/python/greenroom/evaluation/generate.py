"""Makes a function for one flag: the steps of the reference walk written out for this flag alone.

What is known beforehand is decided beforehand: a prerequisite that never varies, a rollout of nobody, a rule after
one that takes everybody.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from mmh3 import mmh3_32_uintdigest

from greenroom.evaluation.buckets import SPLIT_SEED, text_form
from greenroom.evaluation.clause_code import clause_expression
from greenroom.evaluation.model import (
    AllOf,
    AnyOf,
    Clause,
    Condition,
    Configuration,
    Evaluation,
    Not,
    Rollout,
    Rule,
    Serve,
    Split,
)
from greenroom.evaluation.source import Source

MAX_CHAIN = 8  # variants of a split that are compared one after the other; more are bisected


Function = Callable[[Any, int], Evaluation]


class Surroundings(Protocol):
    """What a flag's code needs to know of the snapshot around it."""

    def constant(self, key: str) -> Evaluation | None:
        """The only evaluation of a flag that never varies; None if it varies."""

    def program(self, key: str) -> Function | None:
        """The program of another flag; None if there is no such flag."""

    def inlined(self, key: str) -> Condition | None:
        """The condition of a segment that is small enough to be written out in place."""

    def membership(self, key: str) -> Callable[[Any, int], bool]:
        """The function that tells whether a context is in a segment."""


class _Code:
    """The code of one function."""

    def __init__(self, around: Surroundings) -> None:
        self.source = Source()
        self._around = around

    def condition(self, condition: Condition) -> str:
        match condition:
            case Clause():
                return clause_expression(condition, self.source)
            case AllOf():
                return f"({' and '.join(self.condition(part) for part in condition.parts)})"
            case AnyOf():
                return f"({' or '.join(self.condition(part) for part in condition.parts)})"
            case Not():
                return f"(not {self.condition(condition.part)})"
            case _:
                inlined = self._around.inlined(condition.key)
                if inlined is not None:
                    return self.condition(inlined)
                return f"{self.source.bind(self._around.membership(condition.key))}(c, now)"

    def attributes(self, condition: Condition) -> Iterator[str]:
        """The attribute of every place where one is read."""
        match condition:
            case Clause():
                if condition.attribute is not None:
                    yield condition.attribute
            case AllOf() | AnyOf():
                for part in condition.parts:
                    yield from self.attributes(part)
            case Not():
                yield from self.attributes(condition.part)
            case _:
                inlined = self._around.inlined(condition.key)
                if inlined is not None:
                    yield from self.attributes(inlined)

    def prerequisites(self, configuration: Configuration) -> Evaluation | None:
        """Code for the prerequisites, or the answer if one is known not to be met."""
        for named in configuration.prerequisites:
            constant, program = self._around.constant(named.flag), self._around.program(named.flag)
            if program is None or (constant is not None and constant.variant not in named.variants):
                return named.unmet
            if constant is None:
                served = f"{self.source.bind(program)}(c, now).variant"
                self.source.line(0, f"if {served} not in {self.source.bind(named.variants)}:")
                self.source.line(1, f"return {self.source.bind(named.unmet)}")
        return None

    def rule(self, rule: Rule) -> None:
        level = 0
        if rule.when is not None:
            self.source.line(level, f"if {self.condition(rule.when)}:")
            level += 1
        if rule.rollout is not None:
            self._rollout(rule.rollout, level)
            level += 1
        self.serve(rule.serve, level)

    def serve(self, serve: Serve, level: int) -> None:
        if isinstance(serve, Evaluation):
            self.source.line(level, f"return {self.source.bind(serve)}")
        else:
            self._split(serve, level)

    def _text(self, by: Rollout | Split, level: int) -> None:
        reading, value = self.source.reading(by.attribute), self.source.local(by.attribute)
        self.source.line(level, f"t = {value} if type({reading}) is str else {self.source.bind(text_form)}({value})")

    def _hash(self, by: Rollout | Split, more: str) -> str:
        return f"{self.source.bind(mmh3_32_uintdigest)}({self.source.bind(f'{by.group}:'.encode())} + t.encode(){more})"

    def _rollout(self, rollout: Rollout, level: int) -> None:
        self._text(rollout, level)
        number, percent = self._hash(rollout, ""), rollout.percent
        if percent % 1000 == 0:
            inside = f"{number} % 100 < {percent // 1000}"
        else:
            inside = f"(h := {number}) % 100 * 1000 + h // 100 % 1000 < {percent}"
        self.source.line(level, f"if t is not None and {inside}:")

    def _split(self, split: Split, level: int) -> None:
        self._text(split, level)
        self.source.line(level, "if t is not None:")
        served = [
            (bound, made)
            for before, bound, made in zip((0, *split.bounds), split.bounds, split.evaluations, strict=False)
            if bound > before
        ]
        unit = 100 if all(bound % 100 == 0 for bound, _ in served) else 1
        number = self._hash(split, f", {SPLIT_SEED}")
        bucket = f"{number} % 1000" if unit == 100 else f"(h := {number}) % 1000 * 100 + h // 1000 % 100"
        if len(served) > MAX_CHAIN:
            bounds = self.source.bind(tuple(bound // unit for bound, _ in served))
            choices = self.source.bind(tuple(made for _, made in served))
            self.source.line(level + 1, f"return {choices}[{self.source.bind(bisect_right)}({bounds}, {bucket})]")
            return
        self.source.line(level + 1, f"b = {bucket}")
        for bound, made in served[:-1]:
            self.source.line(level + 1, f"if b < {bound // unit}: return {self.source.bind(made)}")
        self.source.line(level + 1, f"return {self.source.bind(served[-1][1])}")


def generate_program(configuration: Configuration, around: Surroundings) -> Evaluation | Function:
    """The function that evaluates a flag; or its evaluation, if that never varies."""
    if not configuration.is_enabled:
        return configuration.off
    code = _Code(around)
    unmet = code.prerequisites(configuration)
    rules, last = _effective(configuration) if unmet is None else ([], unmet)
    if isinstance(last, Evaluation) and not rules and not code.source.lines:
        return last
    _write_rules(code, rules, last)
    code.serve(last, 0)
    if isinstance(last, Split):
        code.source.line(0, f"return {code.source.bind(configuration.key_missing)}")
    function: Function = code.source.function()
    return function


def generate_membership(condition: Condition, around: Surroundings) -> Callable[[Any, int], bool]:
    """The function that tells whether a context is in a segment."""
    code = _Code(around)
    for attribute, places in Counter(code.attributes(condition)).items():
        if places > 1:
            code.source.read_early(attribute)
    code.source.line(0, f"return {code.condition(condition)}")
    function: Callable[[Any, int], bool] = code.source.function()
    return function


def _effective(configuration: Configuration) -> tuple[list[Rule], Serve]:
    """The rules that can match somebody, up to one that takes everybody, and what is served after them."""
    effective: list[Rule] = []
    for rule in configuration.rules:
        if rule.rollout is not None and rule.rollout.percent == 0:
            continue
        if rule.when is None and rule.rollout is None and isinstance(rule.serve, Evaluation):
            return effective, rule.serve
        effective.append(rule)
    return effective, configuration.fallthrough


def _write_rules(code: _Code, rules: list[Rule], last: Serve) -> None:
    """Write the rules; an attribute that is read in several places is read once, before the first rule to use it."""
    reads = [list(_attributes(code, rule)) for rule in rules]
    places = Counter(attribute for read in reads for attribute in read)
    if isinstance(last, Split):
        places[last.attribute] += 1
    early = set()
    for rule, read in zip(rules, reads, strict=True):
        for attribute in read:
            if places[attribute] > 1 and attribute not in early:
                early.add(attribute)
                code.source.read_early(attribute)
        code.rule(rule)


def _attributes(code: _Code, rule: Rule) -> Iterator[str]:
    if rule.when is not None:
        yield from code.attributes(rule.when)
    if rule.rollout is not None:
        yield rule.rollout.attribute
    if isinstance(rule.serve, Split):
        yield rule.serve.attribute
