"""Change sets: applied whole or not at all, and what they do not touch stays the same object."""

from typing import Any

import pytest
from tests.unit.evaluation.documents import NOW, change, clause, flag, rule, segment, snapshot

from greenroom.evaluation import SnapshotError, evaluate, evaluate_all

DARK = {"variant": "off"}


def test_a_change_puts_and_removes() -> None:
    """Flags and segments, and the envelope is that of the change."""
    loaded = snapshot(flag("a"), flag("b"), segments=[segment("s", clause("in", "x"))])

    made = loaded.with_change(
        change([flag("c"), flag("a", enabled=False)], ["b"], [segment("t", clause("in", "x"))], ["s"])
    )

    assert (list(made.flags), list(made.segments)) == (["a", "c"], ["t"])
    assert (made.revision, made.published_at, made.project) == (18, "2026-11-23T06:00:00.000Z", "shop")
    assert evaluate(made, "a", {}, NOW).value is False
    assert (list(loaded.flags), list(loaded.segments), loaded.revision) == (["a", "b"], ["s"], 17)


def test_an_untouched_flag_keeps_its_evaluations_and_its_program() -> None:
    """So what was prepared for them stays good."""
    loaded = snapshot(flag("a"), flag("b", rules=[rule(when=clause("in", "x"))]))
    before = evaluate_all(loaded, {}, NOW)

    made = loaded.with_change(change([flag("c")]))

    assert made.flags["a"] is loaded.flags["a"]
    assert made.programs["b"] is loaded.programs["b"]
    assert evaluate_all(made, {}, NOW)[:2] == before


def test_a_flag_that_stands_on_a_changed_flag_changes_with_it() -> None:
    """However many levels above."""
    needs = [{"flag": "b", "variants": ["on"]}]
    loaded = snapshot(
        flag("a", prerequisites=needs), flag("b", prerequisites=[{"flag": "c", "variants": ["on"]}]), flag("c")
    )
    assert evaluate(loaded, "a", {}, NOW).value is True

    made = loaded.with_change(change([flag("c", enabled=False)]))

    assert evaluate(made, "a", {}, NOW).value is False
    assert evaluate(loaded, "a", {}, NOW).value is True


def test_a_flag_that_stands_on_a_removed_flag_goes_dark() -> None:
    """An unknown prerequisite is not met."""
    loaded = snapshot(flag("a", prerequisites=[{"flag": "b", "variants": ["on"]}]), flag("b"))
    assert evaluate(loaded, "a", {}, NOW).value is True

    assert evaluate(loaded.with_change(change(removed=["b"])), "a", {}, NOW).value is False


def test_a_flag_that_names_a_changed_segment_changes_with_it() -> None:
    """Through other segments too."""
    loaded = snapshot(
        flag("a", rules=[rule(when={"segment": "upper"})], fallthrough=DARK),
        segments=[segment("upper", {"segment": "lower"}), segment("lower", clause("in", "x"))],
    )
    assert evaluate(loaded, "a", {"x": "y"}, NOW).value is False

    made = loaded.with_change(change(segments_put=[segment("lower", clause("in", "y"))]))

    assert evaluate(made, "a", {"x": "y"}, NOW).value is True


def test_a_flag_breaks_and_heals_with_its_segment() -> None:
    """The flag itself was always readable."""
    loaded = snapshot(
        flag("a", rules=[rule(when={"segment": "s"})], fallthrough=DARK), segments=[segment("s", clause("in", "x"))]
    )
    broken = loaded.with_change(change(segments_removed=["s"]))
    still = broken.with_change(change([flag("b")]) | {"from": 18, "to": 19})
    healed = still.with_change(change(segments_put=[segment("s", clause("in", "x"))]) | {"from": 19, "to": 20})

    assert evaluate(broken, "a", {"x": "x"}, NOW).error_code == "PARSE_ERROR"
    assert evaluate(still, "a", {"x": "x"}, NOW) is evaluate(broken, "a", {"x": "x"}, NOW)
    assert evaluate(healed, "a", {"x": "x"}, NOW).value is True
    assert (len(broken.warnings), healed.warnings) == (1, ())


def test_a_broken_flag_that_changes_and_stays_broken_tells_its_new_version() -> None:
    """What is said about it is said about its newest document."""
    loaded = snapshot(flag("a", version=1, rules=[rule(when={"segment": "missing"})]))

    made = loaded.with_change(change([flag("a", version=2, rules=[rule(when={"segment": "missing"})])]))

    assert evaluate(loaded, "a", {}, NOW).metadata["version"] == 1
    assert evaluate(made, "a", {}, NOW).metadata["version"] == 2


def test_removing_what_is_not_there_is_fine() -> None:
    """It was put and removed between the two revisions."""
    assert list(snapshot(flag("a")).with_change(change(removed=["b"], segments_removed=["s"])).flags) == ["a"]


def test_a_change_may_lead_over_several_revisions() -> None:
    """From 17 to 23."""
    assert snapshot().with_change(change(to=23)).revision == 23


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": 16},
        {"from": 18, "to": 19},
        {"to": 17},
        {"to": 16},
        {"from": True},
        {"to": None},
        {"epoch": "other"},
        {"project": "other"},
        {"environment": "other"},
        {"schema": 2},
        {"flags": None},
        {"flags": {"put": {}}},
        {"flags": {"removed": []}},
        {"flags": {"put": [], "removed": []}},
        {"flags": {"put": {}, "removed": {}}},
        {"segments": {"put": {}, "removed": [1]}},
        {"flags": {"put": {"a": flag("a")}, "removed": ["a"]}},
        {"published_at": 1},
    ],
    ids=str,
)
def test_a_change_that_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    """A gap, another epoch or environment, malformed data; the snapshot stays as it is."""
    loaded = snapshot(flag("a"))

    with pytest.raises(SnapshotError):
        loaded.with_change(change([flag("b")]) | wrong)

    assert (loaded.revision, list(loaded.flags)) == (17, ["a"])


@pytest.mark.parametrize("wrong", [None, [], "x", 1])
def test_what_is_no_object_is_no_change(wrong: Any) -> None:
    """And raises nothing but SnapshotError."""
    with pytest.raises(SnapshotError):
        snapshot().with_change(wrong)


def test_one_bad_flag_in_a_change_takes_no_other_down() -> None:
    """It answers PARSE_ERROR from now on, the change stands."""
    loaded = snapshot(flag("a"), flag("b"))

    made = loaded.with_change(change([flag("a", off_variant="blue")]))

    assert (evaluate(made, "a", {}, NOW).error_code, evaluate(made, "b", {}, NOW).value) == ("PARSE_ERROR", True)
