"""What flags and segments name in each other, checked over all documents of an environment."""

from typing import Any

from tests.unit.evaluation.documents import clause, flag, rule, segment

from greenroom.evaluation import check_references


def found(flags: list[Any], segments: list[Any] | None = None) -> list[tuple[str, str]]:
    """Pointers and details."""
    named = {made["key"]: made for made in flags}
    return [
        (finding.pointer, finding.detail)
        for finding in check_references(named, {made["key"]: made for made in segments or []})
    ]


def needs(flag_key: str, *variants: str) -> list[Any]:
    """A prerequisite."""
    return [{"flag": flag_key, "variants": list(variants)}]


def test_what_exists_may_be_named() -> None:
    """Segments in rules and segments, flags and their variants."""
    flags = [flag("a", prerequisites=needs("b", "on"), rules=[rule(when={"segment": "s"})]), flag("b")]

    assert found(flags, [segment("s", {"not": {"segment": "t"}}), segment("t", clause("in", "x"))]) == []


def test_an_unknown_segment_in_a_rule() -> None:
    """At its place in the condition."""
    when = {"all": [clause("in", "x"), {"not": {"any": [{"segment": "nobody"}]}}]}

    assert found([flag("a", rules=[rule(), rule("b", when=when)])]) == [
        ("/flags/a/rules/1/when/all/1/not/any/0/segment", "there is no segment `nobody`")
    ]


def test_an_unknown_segment_in_a_segment() -> None:
    """At its place in the condition."""
    assert found([], [segment("s", {"any": [{"segment": "nobody"}]})]) == [
        ("/segments/s/when/any/0/segment", "there is no segment `nobody`")
    ]


def test_an_unknown_flag_and_an_unknown_variant() -> None:
    """Each at its place."""
    flags = [flag("a", prerequisites=[*needs("nobody", "on"), *needs("b", "on", "blue")]), flag("b")]

    assert found(flags) == [
        ("/flags/a/prerequisites/0/flag", "there is no flag `nobody`"),
        ("/flags/a/prerequisites/1/variants/1", "`blue` is not a variant of `b`"),
    ]


def test_flags_in_a_circle() -> None:
    """All that run into it are named, others are not."""
    flags = [
        flag("a", prerequisites=needs("b", "on")),
        flag("b", prerequisites=needs("a", "on")),
        flag("c", prerequisites=needs("a", "on")),
        flag("d"),
    ]

    assert [pointer for pointer, _ in found(flags)] == [f"/flags/{key}/prerequisites" for key in "abc"]


def test_segments_in_a_circle() -> None:
    """All that run into it are named, others are not."""
    segments = [
        segment("a", {"not": {"segment": "b"}}),
        segment("b", {"segment": "a"}),
        segment("c", {"segment": "c"}),
        segment("d", clause("in", "x")),
    ]

    assert [pointer for pointer, _ in found([], segments)] == [f"/segments/{key}" for key in "abc"]


def test_documents_that_are_not_in_shape_are_passed_over() -> None:
    """Their own checks report them."""
    shapeless: Any = {"a": None, "b": {"rules": {}, "prerequisites": [None, {"flag": 1}, {"flag": "a"}]}, "c": []}
    deep: Any = clause("in", "x")
    for _ in range(5000):
        deep = {"not": deep}

    assert check_references(shapeless, {"s": None, "t": {"when": deep}, "u": {"when": [{"segment": "x"}]}}) == []


def test_an_odd_variants_member_is_passed_over() -> None:
    """There is nothing to compare with."""
    flags: Any = {"a": flag("a", prerequisites=needs("b", "on")), "b": {"variants": ["on"]}}

    assert check_references(flags, {}) == []
