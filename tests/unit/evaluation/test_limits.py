"""Every published limit: what stands at it is accepted and loads, what is one past it is refused and named."""

from typing import Any

import pytest
from tests.unit.evaluation.documents import change, clause, configuration, document, flag, rule, segment, snapshot

from greenroom.evaluation import (
    Finding,
    SnapshotError,
    check_condition,
    check_configuration,
    check_references,
    check_variants,
    limits,
    read_snapshot,
)

BOOLEAN = {"on": True, "off": False}


def configured(**members: Any) -> list[Finding]:
    """The findings for a configuration of these members."""
    findings = check_configuration(configuration(**members), type="boolean", variants=BOOLEAN)
    assert (findings == []) == (snapshot(flag(**members)).warnings == ())
    return findings


def only(findings: list[Finding]) -> tuple[str, str | None, int | None]:
    """Pointer, limit and maximum of the only finding."""
    (finding,) = findings
    return finding.pointer, finding.limit, finding.maximum


def test_flags_of_a_snapshot() -> None:
    """2,000 flags load, 2,001 do not, and a change that leads past the limit is refused."""
    flags = [flag(f"f{number}") for number in range(2000)]
    loaded = snapshot(*flags)
    assert len(loaded.flags) == limits.MAX_FLAGS == 2000

    with pytest.raises(SnapshotError, match="2001 flags: the limit is 2000"):
        snapshot(*flags, flag("one-more"))
    with pytest.raises(SnapshotError, match="2001 flags: the limit is 2000"):
        loaded.with_change(change([flag("one-more")]))
    assert len(loaded.with_change(change([flag("one-more")], removed=["f0"])).flags) == 2000


def test_segments_of_a_snapshot() -> None:
    """2,000 segments load, 2,001 do not."""
    segments = [segment(f"s{number}", clause("in")) for number in range(2001)]

    assert len(snapshot(segments=segments[1:]).segments) == limits.MAX_SEGMENTS
    with pytest.raises(SnapshotError, match="2001 segments: the limit is 2000"):
        snapshot(segments=segments)


def test_rules_of_a_flag() -> None:
    """100 rules."""
    rules = [rule(f"r-{number}") for number in range(101)]

    assert configured(rules=rules[1:]) == []
    assert only(configured(rules=rules)) == ("/rules", "rules", 100)


def test_values_of_a_clause() -> None:
    """10,000 values."""
    values = [str(number) for number in range(10_001)]

    assert check_condition(clause("in", *values[1:])) == []
    assert only(check_condition(clause("in", *values))) == ("/values", "clause_values", 10_000)
    assert snapshot(flag(rules=[rule(when=clause("in", *values))])).warnings != ()


def test_parts_of_a_condition() -> None:
    """1,000 parts."""
    parts = [clause("in", "a")] * 1001

    assert check_condition({"any": parts[1:]}) == []
    assert only(check_condition({"all": parts})) == ("/all", "condition_parts", 1000)


def test_variants_of_a_flag() -> None:
    """100 variants."""
    variants = {f"v{number}": "x" for number in range(101)}

    assert check_variants("string", dict(list(variants.items())[1:])) == []
    assert only(check_variants("string", variants)) == ("", "variants", 100)


def test_prerequisites_of_a_flag() -> None:
    """100 prerequisites."""
    needed = [{"flag": f"g{number}", "variants": ["on"]} for number in range(101)]

    assert configured(prerequisites=needed[1:]) == []
    assert only(configured(prerequisites=needed)) == ("/prerequisites", "prerequisites", 100)


def test_depth_of_prerequisites() -> None:
    """8 levels."""

    def chain(levels: int) -> dict[str, Any]:
        return {
            f"f{number}": flag(
                f"f{number}",
                prerequisites=[{"flag": f"f{number + 1}", "variants": ["on"]}] if number < levels else [],
            )
            for number in range(levels + 1)
        }

    assert check_references(chain(8), {}) == []
    assert only(check_references(chain(9), {})) == ("/flags/f0/prerequisites", "prerequisite_depth", 8)


def test_depth_of_segments() -> None:
    """8 levels."""

    def chain(levels: int) -> dict[str, Any]:
        return {
            f"s{number}": segment(f"s{number}", {"segment": f"s{number + 1}"} if number < levels else clause("in", "a"))
            for number in range(levels + 1)
        }

    assert check_references({}, chain(8)) == []
    assert only(check_references({}, chain(9))) == ("/segments/s0", "segment_depth", 8)


def test_depth_of_a_document() -> None:
    """32 levels, counted from the flag."""

    def nested(levels: int) -> Any:
        return [] if levels == 1 else [nested(levels - 1)]

    def variants(levels: int) -> Any:
        return {"a": {"b": nested(levels - 3)}}  # the flag, the variants and the value are levels too

    assert check_variants("object", variants(32)) == []
    pointer, limit, maximum = only(check_variants("object", variants(33)))
    assert (pointer, limit, maximum) == ("/a/b" + "/0" * 29, "json_depth", 32)
    for levels, is_good in ((32, True), (33, False)):
        made = flag(type="object", variants=variants(levels), off_variant="a", fallthrough={"variant": "a"})
        assert (snapshot(made).warnings == ()) is is_good


def test_a_document_of_absurd_depth_is_refused_without_recursion() -> None:
    """100,000 levels."""
    made: Any = []
    for _ in range(100_000):
        made = [made]

    assert only(check_condition(made))[1:] == ("json_depth", 32)
    assert only(check_variants("object", made))[1:] == ("json_depth", 32)
    assert snapshot(flag(fallthrough=made)).warnings != ()
    assert read_snapshot(document() | {"flags": {"f": made}, "segments": {"s": made}}).flags["f"].error is not None
    while made:  # taken apart by hand: freeing it recursively is what it was made for
        made = made.pop()


def test_conditions_as_deep_as_documents_may_be_are_evaluated() -> None:
    """A condition of 27 nots fits into a flag, one of 28 does not."""

    def nots(number: int) -> Any:
        made: Any = clause("in", "a")
        for _ in range(number):
            made = {"not": made}
        return made

    assert configured(rules=[rule(when=nots(27))]) == []
    assert only(configured(rules=[rule(when=nots(28))]))[1:] == ("json_depth", 32)


@pytest.mark.parametrize("letter", ["a", "ä", "日", "😀"])
def test_bytes_of_a_text(letter: str) -> None:
    """8 KiB of UTF-8, whatever the characters."""
    size = len(letter.encode())
    fitting = letter * (8192 // size)

    assert configured(rules=[rule(description=fitting)]) == []
    assert only(configured(rules=[rule(description=fitting + letter)])) == (
        "/rules/0/description",
        "string_bytes",
        8192,
    )


def test_bytes_of_a_member_name() -> None:
    """8 KiB too."""
    assert check_variants("object", {"a": {"x" * 8192: 1}}) == []
    assert only(check_variants("object", {"a": {"x" * 8193: 1}})) == ("/a", "string_bytes", 8192)


def test_integers() -> None:
    """Within 2^53, in values and in variants."""
    for number in (2**53, -(2**53)):
        assert check_variants("integer", {"a": number}) == []
        assert check_condition(clause("in", number)) == []
        past = number + (1 if number > 0 else -1)
        assert only(check_variants("integer", {"a": past})) == ("/a", "integer", 2**53)
        assert only(check_condition(clause("eq", past))) == ("/values/0", "integer", 2**53)


def test_length_of_a_pattern() -> None:
    """512 characters."""
    assert check_condition(clause("matches", "a" * 512)) == []
    assert only(check_condition(clause("matches", "a" * 513))) == ("/values/0", "pattern_length", 512)


def test_patterns_of_a_clause() -> None:
    """100 patterns."""
    assert check_condition(clause("matches", *["a"] * 100)) == []
    assert only(check_condition(clause("matches", *["a"] * 101))) == ("/values", "patterns", 100)


@pytest.mark.parametrize("pattern", [r"\pL{100}", "((((a{100}){100}){100}){100})", "(?i)(((k{9}){9}){9}){9}"])
def test_a_pattern_that_would_take_much_memory_is_refused(pattern: str) -> None:
    """RE2 counts what its program needs."""
    assert only(check_condition(clause("matches", pattern)))[0] == "/values/0"


def test_no_pattern_is_compiled_once_there_are_too_many_mistakes() -> None:
    """The answer is given without more work."""
    parts = [clause("matches", *[r"\pL{100}"] * 60)] * 3

    assert len(check_condition({"any": parts})) == limits.MAX_FINDINGS


def test_patterns_of_everyday_length_are_not_refused() -> None:
    """Addresses, lists of words, repetitions."""
    words = "|".join(f"user{number}@example.org" for number in range(20))

    assert check_condition(clause("matches", words, r"^[a-z0-9._%+-]{1,64}@[a-z0-9.-]{1,255}$", ".{0,500}")) == []


def test_a_document_with_ten_thousand_mistakes_is_answered_shortly() -> None:
    """At most 100 findings."""
    assert len(check_condition(clause("gt", *["x"] * 10_000))) == limits.MAX_FINDINGS
    assert len(check_condition(clause("gt", *[float("nan")] * 10_000))) == limits.MAX_FINDINGS


@pytest.mark.parametrize("made", [{"a": {1: 2}}, {"a": {"b": {1, 2}}}, {"a": {"b": (1,)}}, {"a": {"b": object()}}])
def test_what_json_does_not_have_is_refused(made: Any) -> None:
    """Whoever calls the checks with objects of a language."""
    assert len(check_variants("object", made)) == 1
