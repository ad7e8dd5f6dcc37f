"""All ways to an evaluation agree: generated code, reference walk, explanation, all at once, after a change."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluation.documents import change, document, snapshot
from tests.unit.evaluation.strategies import FLAG_KEYS, contexts, examples, instants, worlds

from greenroom.evaluation import Snapshot, evaluate, evaluate_all, evaluate_typed, explain, read_snapshot
from greenroom.evaluation.walk import Walk

often = examples(40)


def assert_agreement(loaded: Snapshot, context: Any, now: int) -> None:
    """Every flag, every way."""
    walk = Walk(loaded.flags, loaded.segments, context, now)
    made = [evaluate(loaded, key, context, now) for key in loaded.flags]
    assert made == [walk.evaluate(flag) for flag in loaded.flags.values()]
    assert made == evaluate_all(loaded, context, now)
    for evaluation in made:
        told = explain(loaded, evaluation.flag_key, context, now)
        assert told.evaluation is evaluation
        json.dumps(told.to_dict(), allow_nan=False).encode()


@examples(120)
@given(world=worlds(), context=contexts, now=instants)
def test_every_way_gives_the_same_evaluation(world: Any, context: Any, now: int) -> None:
    """Whatever the flags and the context, and however hostile its values."""
    loaded = snapshot(*world[0], segments=world[1])

    assert loaded.warnings == ()
    assert_agreement(loaded, context, now)


@often
@given(world=worlds(), context=contexts, now=instants)
def test_same_input_same_output(world: Any, context: Any, now: int) -> None:
    """A second snapshot of the same documents serves the same, and so does asking again."""
    first, second = (snapshot(*world[0], segments=world[1]) for _ in range(2))

    for key in FLAG_KEYS:
        made = evaluate(first, key, context, now)
        assert made is evaluate(first, key, context, now)
        again = evaluate(second, key, context, now)
        assert (made.value, made.variant, made.reason) == (again.value, again.variant, again.reason)


@often
@given(world=worlds(), context=contexts, now=instants)
def test_a_served_variant_has_its_value_and_the_type_of_the_flag(world: Any, context: Any, now: int) -> None:
    """Value, variant, type and error code of an evaluation fit together."""
    loaded = snapshot(*world[0], segments=world[1])

    for key, flag in loaded.flags.items():
        made = evaluate(loaded, key, context, now)
        if made.variant is None:
            assert (made.reason, made.value, made.flag_type) == ("ERROR", None, None)
        else:
            assert made.value is flag.variants[made.variant]
            assert (made.error_code, made.flag_type) == (None, flag.type)
            assert evaluate_typed(loaded, key, str(flag.type), None, context, now) is made


@often
@given(before=worlds(), after=worlds(), split=st.integers(0, 6), context=contexts, now=instants, warm=st.booleans())
def test_a_change_equals_a_full_reload(before: Any, after: Any, split: int, context: Any, now: int, warm: bool) -> None:
    """Whatever is put, and whether or not programs had been made before."""
    loaded = snapshot(*before[0], segments=before[1])
    if warm:
        evaluate_all(loaded, context, now)
    flags, segments = after[0][: split % 4], after[1][: split // 2]

    changed = loaded.with_change(change(flags, segments_put=segments))

    whole = document(*before[0], segments=before[1], revision=18)
    whole["flags"] |= {flag["key"]: flag for flag in flags}
    whole["segments"] |= {segment["key"]: segment for segment in segments}
    reloaded = read_snapshot(whole)
    assert changed.warnings == reloaded.warnings
    assert changed.is_clock_dependent == reloaded.is_clock_dependent
    assert_agreement(changed, context, now)
    for ours, theirs in zip(evaluate_all(changed, context, now), evaluate_all(reloaded, context, now), strict=True):
        assert (ours.flag_key, ours.value, ours.variant, ours.reason) == (
            theirs.flag_key,
            theirs.value,
            theirs.variant,
            theirs.reason,
        )
        assert ours.metadata == theirs.metadata
