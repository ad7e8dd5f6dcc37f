"""Evaluates flags of a snapshot for a context. Nothing here raises on data, allocates results or reads a clock.

The fast way is a program made for the flag; whatever makes it stumble (a context that is no mapping, an object that
raises when it is compared) is answered by the reference walk.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from greenroom.evaluation import reasons
from greenroom.evaluation.findings import shown
from greenroom.evaluation.model import Evaluation
from greenroom.evaluation.programs import bulk_of, program_of
from greenroom.evaluation.snapshot import Snapshot
from greenroom.evaluation.walk import Walk


def evaluate(snapshot: Snapshot, flag_key: str, context: Any, now_ms: int) -> Evaluation:
    """What the flag is for the context: its prebuilt evaluation, the same object each time."""
    try:
        return snapshot.programs[flag_key](context, now_ms)
    except Exception:
        return _evaluate_carefully(snapshot, flag_key, context, now_ms)


def _evaluate_carefully(snapshot: Snapshot, flag_key: str, context: Any, now_ms: int) -> Evaluation:
    flag = snapshot.flags.get(flag_key) if isinstance(flag_key, str) else None
    if flag is None:
        return _not_found(flag_key)
    if flag_key not in snapshot.programs:
        try:
            return program_of(snapshot, flag_key)(context, now_ms)
        except Exception:  # noqa: S110  the walk answers
            pass
    try:
        return Walk(snapshot.flags, snapshot.segments, context, now_ms).evaluate(flag)
    except Exception:
        return flag.evaluations[0] if flag.configuration is None else flag.configuration.failed


def _not_found(flag_key: Any) -> Evaluation:
    message = f"there is no flag {shown(flag_key)}"
    metadata = MappingProxyType[str, str | int | bool]({})
    return Evaluation(flag_key, None, None, reasons.ERROR, reasons.FLAG_NOT_FOUND, message, metadata)


def evaluate_all(snapshot: Snapshot, context: Any, now_ms: int, keys: Iterable[str] | None = None) -> list[Evaluation]:
    """The evaluations of all flags, or of those of the keys that exist, in the order of their keys."""
    if keys is not None:
        wanted = sorted(key for key in set(keys) if key in snapshot.flags)
        return [evaluate(snapshot, key, context, now_ms) for key in wanted]
    try:
        fixed, varying = snapshot.bulk or bulk_of(snapshot)
        evaluations = fixed.copy()
        for index, program in varying:
            evaluations[index] = program(context, now_ms)
    except Exception:
        return [evaluate(snapshot, key, context, now_ms) for key in snapshot.flags]
    return evaluations


def evaluate_typed(
    snapshot: Snapshot, flag_key: str, expected_type: str, default: Any, context: Any, now_ms: int
) -> Evaluation:
    """As `evaluate`, but every error carries the caller's default, and a flag of another type is `TYPE_MISMATCH`."""
    try:
        made = snapshot.programs[flag_key](context, now_ms)
    except Exception:
        made = _evaluate_carefully(snapshot, flag_key, context, now_ms)
    if made.flag_type == expected_type:
        return made
    if made.error_code is not None:
        return _with_default(made, made.error_code, made.error_message, default)
    message = f"the flag {shown(flag_key)} is of type {made.flag_type} and not {shown(expected_type)}"
    return _with_default(made, reasons.TYPE_MISMATCH, message, default)


def _with_default(made: Evaluation, code: str, message: str | None, default: Any) -> Evaluation:
    return Evaluation(made.flag_key, default, None, reasons.ERROR, code, message, made.metadata)
