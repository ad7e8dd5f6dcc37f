"""The evaluation engine: pure functions over a snapshot. It reads no clock, file or network and draws no chance.

`docs/glossary.md` has the words, `tests/vectors/` the behaviour case by case.
"""

from greenroom.evaluation import limits, reasons
from greenroom.evaluation.buckets import rollout_bucket, split_bucket, text_form
from greenroom.evaluation.check import check_condition, check_configuration, check_variants
from greenroom.evaluation.evaluate import evaluate, evaluate_all, evaluate_typed
from greenroom.evaluation.explain import Explanation, explain
from greenroom.evaluation.findings import Finding
from greenroom.evaluation.link import touched_flags
from greenroom.evaluation.model import Evaluation, Flag, Segment
from greenroom.evaluation.references import check_references
from greenroom.evaluation.seal import sealed, verify_seal
from greenroom.evaluation.snapshot import Snapshot, SnapshotError, read_snapshot

__all__ = [
    # reading
    "Flag",
    "Segment",
    "Snapshot",
    "SnapshotError",
    "read_snapshot",
    "sealed",
    "touched_flags",
    "verify_seal",
    # evaluating
    "Evaluation",
    "Explanation",
    "evaluate",
    "evaluate_all",
    "evaluate_typed",
    "explain",
    "rollout_bucket",
    "split_bucket",
    "text_form",
    # checking
    "Finding",
    "check_condition",
    "check_configuration",
    "check_references",
    "check_variants",
    # words and numbers
    "limits",
    "reasons",
]
