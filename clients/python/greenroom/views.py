"""What a client evaluates with: one revision, the overrides in force, and a program for each flag that was asked for.

A view never changes what it answers; clients replace the whole of it.
"""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, Final

from greenroom.copies import Copier, copier_of
from greenroom.evaluation import Evaluation, Flag, Snapshot, evaluate, evaluate_all

Program = Callable[[Any, int], Evaluation]


class View:
    """`programs` and `copiers` are what the hot path looks into; they fill up as flags are asked for."""

    def __init__(self, snapshot: Snapshot, forced: Mapping[str, Evaluation]) -> None:
        self.snapshot: Final = snapshot
        self.forced: Final = forced
        self.programs: Final[dict[str, Program]] = {key: _always(made) for key, made in forced.items()}
        self.copiers: Final[dict[Evaluation, Copier]] = {}

    def evaluate(self, key: str, context: Any) -> Evaluation:
        """The careful way, which prepares the fast one."""
        if key in self.forced:
            return self.forced[key]
        made = evaluate(self.snapshot, key, context, _now_ms())
        if key not in self.programs and (flag := self.snapshot.flags.get(key)) is not None:
            program = self.snapshot.programs.get(key)
            if program is not None:
                self.programs[key] = _timed(program) if self._varies_with_time(flag) else program
        return made

    def evaluate_all(self, context: Any) -> list[Evaluation]:
        """All flags, in the order of their keys."""
        made = evaluate_all(self.snapshot, context, _now_ms() if self.snapshot.is_clock_dependent else 0)
        return [self.forced.get(one.flag_key, one) for one in made] if self.forced else made

    def copy_of(self, made: Evaluation) -> Any:
        """A copy of an object's value that the caller may change."""
        copier = self.copiers.get(made)
        if copier is None:
            copier = self.copiers[made] = copier_of(made.value)
        return copier()

    def _varies_with_time(self, flag: Flag) -> bool:
        """Whether what a flag serves depends on the clock; flags that can be used have no circles in what they name."""
        made = flag.configuration
        if made is None or not self.snapshot.is_clock_dependent:
            return False
        flags = self.snapshot.flags
        return (
            made.uses_clock
            or any(self._segment_varies(key) for key in made.segments)
            or any(self._varies_with_time(flags[named.flag]) for named in made.prerequisites if named.flag in flags)
        )

    def _segment_varies(self, key: str) -> bool:
        segment = self.snapshot.segments[key]
        return segment.uses_clock or any(self._segment_varies(named) for named in segment.segments)


def _always(made: Evaluation) -> Program:
    return lambda context, now_ms: made


def _timed(program: Program) -> Program:
    return lambda context, now_ms: program(context, time_ns() // 1_000_000)


def _now_ms() -> int:
    return time_ns() // 1_000_000
