"""Replays `tests/vectors`: every case through the fast way, the reference walk and the explanation."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluation.documents import snapshot, when_flag

from greenroom.evaluation import (
    Snapshot,
    check_condition,
    check_configuration,
    check_variants,
    evaluate,
    explain,
    rollout_bucket,
    split_bucket,
    text_form,
)
from greenroom.evaluation.walk import Walk

VECTORS = Path(__file__).parents[2] / "vectors"


def cases(pattern: str) -> list[Any]:
    """The cases of the files, each under its own name."""
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(VECTORS.glob(pattern))
        for case in map(json.loads, path.read_text("utf-8").splitlines())
    ]


def three_ways(loaded: Snapshot, key: str, context: Any, now: int) -> Any:
    """The evaluation, after all ways of reaching it agreed."""
    evaluation = evaluate(loaded, key, context, now)
    told = explain(loaded, key, context, now)
    if key in loaded.flags:
        assert Walk(loaded.flags, loaded.segments, context, now).evaluate(loaded.flags[key]) is evaluation
        assert told.evaluation is evaluation
        assert evaluation in loaded.flags[key].evaluations
    json.dumps(told.to_dict(), allow_nan=False).encode()
    return evaluation


@pytest.mark.parametrize("case", cases("conditions/*.jsonl"))
def test_condition(case: Any) -> None:
    """The condition holds for the context, or does not."""
    loaded = snapshot(when_flag(case["when"]), segments=list(case.get("segments", {}).values()))

    evaluation = three_ways(loaded, "f", case["context"], case.get("now", 0))

    assert loaded.warnings == ()
    assert evaluation.value is case["holds"]


@pytest.mark.parametrize("case", cases("flags/*.jsonl"))
def test_flag(case: Any) -> None:
    """The flag is what the case expects, in every member."""
    loaded = snapshot(*case["flags"].values(), segments=list(case.get("segments", {}).values()))

    made = three_ways(loaded, case["flag"], case["context"], case.get("now", 0))

    found = {"value": made.value, "variant": made.variant, "reason": made.reason, "metadata": dict(made.metadata)}
    if made.error_code is not None:
        found["error_code"] = made.error_code
        assert made.error_message
    assert found == case["expect"]
    assert type(made.value) is type(case["expect"]["value"])


@pytest.mark.parametrize("case", cases("buckets.jsonl"))
def test_bucket(case: Any) -> None:
    """The value has the text and the buckets that every engine computes."""
    text = text_form(case["value"])

    if case["rollout_bucket"] is None:
        assert text is None
        return
    assert text is not None
    assert rollout_bucket(case["group"], text) == case["rollout_bucket"]
    assert split_bucket(case["group"], text) == case["split_bucket"]
    if "unleash_rollout" in case:
        assert rollout_bucket(case["group"], text) // 1000 + 1 == case["unleash_rollout"]
        assert split_bucket(case["group"], text) // 100 + 1 == case["unleash_split"]


@pytest.mark.parametrize("case", cases("checks/*.jsonl"))
def test_check(case: Any) -> None:
    """The author's check reports what is wrong, and where."""
    if case["check"] == "variants":
        findings = check_variants(case["type"], case["document"])
    elif case["check"] == "condition":
        findings = check_condition(case["document"])
    else:
        findings = check_configuration(case["document"], type="boolean", variants={"on": True, "off": False})

    assert [finding.pointer for finding in findings] == case["findings"]
    assert all(finding.detail for finding in findings)
