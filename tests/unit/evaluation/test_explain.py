"""Explanations: the steps up to the one that decided, with the truth of every part."""

from typing import Any

import pytest
from tests.unit.evaluation.documents import NOW, clause, flag, rule, segment, snapshot, when_flag
from tests.unit.evaluation.test_hostile import Unshowable

from greenroom.evaluation import explain, rollout_bucket, split_bucket

SPLIT = {"split": [{"variant": "on", "weight": 40_000}, {"variant": "off", "weight": 60_000}]}


def test_a_whole_explanation() -> None:
    """Enabled, a prerequisite, a rule that does not match, one that does."""
    loaded = snapshot(
        flag(
            version=7,
            prerequisites=[{"flag": "g", "variants": ["on"]}],
            rules=[
                rule("first", "off", description="partners", when={"all": [clause("in", "a"), clause("gt", 5)]}),
                rule("second", rollout={"percent": 100_000}),
            ],
        ),
        flag("g"),
    )

    told = explain(loaded, "f", {"x": "a", "targetingKey": "ada"}, NOW).to_dict()

    first = {"op": "in", "values": ["a"], "attribute": "x", "missing": False, "value": "a", "holds": True}
    second = {"op": "gt", "values": [5], "attribute": "x", "missing": False, "value": "a", "holds": False}
    needed = {"step": "prerequisite", "flag": "g", "variants": ["on"], "found": True, "served": "on", "met": True}
    assert told == {
        "flag": "f",
        "steps": [
            {"step": "enabled", "enabled": True},
            needed,
            {
                "step": "rule",
                "rule": "first",
                "description": "partners",
                "when": {"all": [first, second], "holds": False},
                "matched": False,
            },
            {
                "step": "rule",
                "rule": "second",
                "description": None,
                "rollout": {
                    "attribute": "targetingKey",
                    "missing": False,
                    "value": "ada",
                    "group": "f",
                    "bucket": rollout_bucket("f", "ada"),
                    "percent": 100_000,
                    "inside": True,
                },
                "served": "on",
                "matched": True,
            },
        ],
        "segments": {},
        "result": {
            "value": True,
            "variant": "on",
            "reason": "SPLIT",
            "error_code": None,
            "error_message": None,
            "metadata": {"version": 7, "rule": "second"},
        },
    }


def test_no_such_flag() -> None:
    """One step, and the error."""
    told = explain(snapshot(), "f", {}, NOW).to_dict()

    assert told["steps"] == [{"step": "flag", "found": False}]
    assert told["result"]["error_code"] == "FLAG_NOT_FOUND"


def test_a_flag_that_cannot_be_read() -> None:
    """One step that says why."""
    told = explain(snapshot(flag(off_variant="blue")), "f", {}, NOW).to_dict()

    assert told["steps"] == [
        {"step": "flag", "found": True, "error": "/off_variant: `blue` is not a variant of this flag"}
    ]


def test_a_flag_that_is_off() -> None:
    """Nothing else is looked at."""
    told = explain(snapshot(flag(enabled=False, rules=[rule()])), "f", {}, NOW).to_dict()

    assert told["steps"] == [{"step": "enabled", "enabled": False}]


def test_an_unmet_prerequisite_is_the_last_step() -> None:
    """It says whether the flag exists and what it was served."""
    told = explain(snapshot(flag(prerequisites=[{"flag": "g", "variants": ["on"]}], rules=[rule()])), "f", {}, NOW)

    assert told.steps[-1] == {
        "step": "prerequisite",
        "flag": "g",
        "variants": ["on"],
        "found": False,
        "served": None,
        "met": False,
    }


def test_a_fallthrough_that_splits() -> None:
    """The bucket, and the weights that it is compared with."""
    told = explain(snapshot(flag(fallthrough=SPLIT)), "f", {"targetingKey": 42}, NOW)

    bucket = split_bucket("f", "42")
    assert told.steps[-1] == {
        "step": "fallthrough",
        "split": {
            "attribute": "targetingKey",
            "missing": False,
            "value": 42,
            "group": "f",
            "bucket": bucket,
            "weights": [{"variant": "on", "weight": 40_000}, {"variant": "off", "weight": 60_000}],
        },
        "served": "on" if bucket < 40_000 else "off",
    }


def test_a_split_without_the_key() -> None:
    """There is no bucket, and nothing is served."""
    step = explain(snapshot(flag(fallthrough=SPLIT)), "f", {}, NOW).steps[-1]

    assert (step["split"]["missing"], step["split"]["bucket"], step["served"]) == (True, None, None)


def test_a_segment_is_explained_once() -> None:
    """However often it is named, and through other segments."""
    loaded = snapshot(
        when_flag({"any": [{"segment": "s"}, {"not": {"segment": "s"}}]}),
        segments=[segment("s", {"segment": "t"}), segment("t", clause("exists") | {"values": []})],
    )

    told = explain(loaded, "f", {}, NOW)

    inner = {"op": "exists", "values": [], "attribute": "x", "missing": True, "value": None, "holds": False}
    assert told.segments == {"s": {"segment": "t", "holds": False}, "t": inner}
    inside = {"segment": "s", "holds": False}
    assert told.steps[-1]["when"] == {"any": [inside, {"not": inside, "holds": True}], "holds": True}


def test_a_clause_without_an_attribute() -> None:
    """A time of day."""
    window = {"zone": "UTC", "from": "05:00", "to": "06:00"}

    told = explain(snapshot(when_flag({"op": "within", "values": [window]})), "f", {}, NOW)

    assert told.steps[-1]["when"] == {"op": "within", "values": [window], "holds": True}


def test_long_lists_of_values_are_cut() -> None:
    """And say how long they are."""
    told = explain(snapshot(when_flag(clause("in", *map(str, range(10_000)), ignore_case=True))), "f", {}, NOW)

    when = told.steps[-2]["when"]
    assert (len(when["values"]), when["values_total"], when["ignore_case"]) == (20, 10_000, True)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, True),
        (1.5, 1.5),
        (2**53 + 1, "9007199254740993"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        ("ä", "ä"),
        ("a\ud800", "a\\ud800"),
        ("x" * 100, "x" * 77 + "..."),
        (["a", 1, None, ["b"]], ["a", 1, None, "['b']"]),
        (["a"] * 21, str(["a"] * 21)[:77] + "..."),
        ({"a": 1}, "{'a': 1}"),
        (Unshowable(), "Unshowable"),
    ],
    ids=lambda made: type(made).__name__,
)
def test_values_of_a_context_are_shown_as_data(value: Any, shown: Any) -> None:
    """Scalars as they are, everything else as short text."""
    told = explain(snapshot(when_flag(clause("in", "q"))), "f", {"x": value}, NOW)

    assert told.steps[1]["when"]["value"] == shown
