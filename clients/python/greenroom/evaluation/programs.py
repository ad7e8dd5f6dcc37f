"""Makes programs for flags at their first use and keeps them in the snapshot.

A flag whose evaluation could take very many steps (conditions that repeat large segments, prerequisites that fan out)
is not generated: its program is the reference walk, which looks at each segment and flag once.
"""

from collections.abc import Callable
from typing import Any

from greenroom.evaluation.conditions import clauses_of
from greenroom.evaluation.generate import generate_membership, generate_program
from greenroom.evaluation.model import AllOf, AnyOf, Clause, Condition, Evaluation, Not
from greenroom.evaluation.snapshot import Bulk, Program, Snapshot
from greenroom.evaluation.walk import Walk

MAX_STEPS = 2_000
MAX_INLINED_CLAUSES = 4


def program_of(snapshot: Snapshot, key: str) -> Program:
    """The program of a flag of the snapshot."""
    return snapshot.programs.get(key) or _Compiler(snapshot).compiled(key)


def bulk_of(snapshot: Snapshot) -> Bulk:
    """What `evaluate_all` runs."""
    compiler = _Compiler(snapshot)
    fixed: list[Any] = []
    varying: list[tuple[int, Program]] = []
    for index, key in enumerate(snapshot.flags):
        program = compiler.compiled(key)
        constant = snapshot.constants.get(key)
        fixed.append(constant)
        if constant is None:
            varying.append((index, program))
    bulk = snapshot.bulk = (fixed, varying)
    return bulk


class _Compiler:
    """Compiles flags of one snapshot, what they need first; recursion is as deep as prerequisites and segments."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._steps: dict[str, int] = {}
        self._segment_steps: dict[str, int] = {}
        self._memberships: dict[str, Callable[[Any, int], bool]] = {}

    def compiled(self, key: str) -> Program:
        """The program of a flag, made if it is not there."""
        program = self._snapshot.programs.get(key)
        if program is None:
            made = self._make(key)
            if isinstance(made, Evaluation):
                self._snapshot.constants[key] = made
                program = _always(made)
            else:
                program = made
            self._snapshot.programs[key] = program
        return program

    def _make(self, key: str) -> Evaluation | Program:
        flag, flags, segments = self._snapshot.flags[key], self._snapshot.flags, self._snapshot.segments
        if flag.configuration is None:
            return flag.evaluations[0]
        if self._steps_of(key) <= MAX_STEPS:
            return generate_program(flag.configuration, self)

        def walk(context: Any, now_ms: int) -> Evaluation:
            return Walk(flags, segments, context, now_ms).evaluate(flag)

        return walk

    def constant(self, key: str) -> Evaluation | None:
        """The only evaluation of a flag that never varies; None if it varies."""
        if self.program(key) is None:
            return None
        return self._snapshot.constants.get(key)

    def program(self, key: str) -> Program | None:
        """The program of another flag; None if there is no such flag."""
        return self.compiled(key) if key in self._snapshot.flags else None

    def inlined(self, key: str) -> Condition | None:
        """The condition of a segment that is small enough to be written out in place."""
        when = self._snapshot.segments[key].when
        if when is None or self._snapshot.segments[key].segments:
            return None
        return when if sum(1 for _ in clauses_of(when)) <= MAX_INLINED_CLAUSES else None

    def membership(self, key: str) -> Callable[[Any, int], bool]:
        """The function that tells whether a context is in a segment."""
        known = self._memberships.get(key)
        if known is None:
            when = self._snapshot.segments[key].when
            known = self._memberships[key] = generate_membership(when or AnyOf(()), self)
        return known

    def _steps_of(self, key: str) -> int:
        """How many parts an evaluation of the flag can look at, if nothing is remembered on the way."""
        flag = self._snapshot.flags.get(key)
        if flag is None or flag.configuration is None:
            return 1
        if key not in self._steps:
            conditions = [rule.when for rule in flag.configuration.rules if rule.when is not None]
            below = sum(self._steps_of(named.flag) for named in flag.configuration.prerequisites)
            own = len(flag.configuration.rules) + sum(self._steps_in(condition) for condition in conditions)
            self._steps[key] = 1 + own + below
        return self._steps[key]

    def _steps_in(self, condition: Condition) -> int:
        match condition:
            case Clause():
                return 1
            case AllOf() | AnyOf():
                return 1 + sum(self._steps_in(part) for part in condition.parts)
            case Not():
                return 1 + self._steps_in(condition.part)
            case _:
                return 1 + self._segment_steps_of(condition.key)

    def _segment_steps_of(self, key: str) -> int:
        if key not in self._segment_steps:
            when = self._snapshot.segments[key].when
            self._segment_steps[key] = 1 if when is None else self._steps_in(when)
        return self._segment_steps[key]


def _always(evaluation: Evaluation) -> Program:
    def program(context: Any, now_ms: int) -> Evaluation:
        return evaluation

    return program
