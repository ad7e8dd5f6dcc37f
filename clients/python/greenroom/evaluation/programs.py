"""Makes programs for flags at their first use and keeps them in the snapshot."""

from typing import Any

from greenroom.evaluation.model import Evaluation
from greenroom.evaluation.snapshot import Bulk, Program, Snapshot
from greenroom.evaluation.walk import Walk


def program_of(snapshot: Snapshot, key: str) -> Program:
    """The program of a flag of the snapshot."""
    program = snapshot.programs.get(key)
    if program is None:
        program = snapshot.programs[key] = _make(snapshot, key)
    return program


def _make(snapshot: Snapshot, key: str) -> Program:
    flag, flags, segments = snapshot.flags[key], snapshot.flags, snapshot.segments

    def program(context: Any, now_ms: int) -> Evaluation:
        return Walk(flags, segments, context, now_ms).evaluate(flag)

    return program


def bulk_of(snapshot: Snapshot) -> Bulk:
    """What `evaluate_all` runs: the evaluations that never vary, and (index, program) of the others."""
    varying = [(index, program_of(snapshot, key)) for index, key in enumerate(snapshot.flags)]
    snapshot.bulk = bulk = ([flag.evaluations[0] for flag in snapshot.flags.values()], varying)
    return bulk
