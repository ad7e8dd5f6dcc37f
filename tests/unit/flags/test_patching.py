"""Merge patches: RFC 7396, and what naming one of several kinds means."""

from typing import Any

import pytest

from greenroom_server.errors import Invalid
from greenroom_server.flags.patching import patched
from greenroom_server.flags.wire import ConfigurationIn, FlagIn, SegmentIn

SPLIT = [{"variant": "on", "weight": 40_000}, {"variant": "off", "weight": 60_000}]
CLAUSE = {"attribute": "country", "op": "in", "values": ["SE"], "ignore_case": True}


def fallthrough(current: dict[str, Any], patch: Any) -> dict[str, Any]:
    document = {"enabled": True, "off_variant": "off", "prerequisites": [], "rules": [], "fallthrough": current}
    return patched(ConfigurationIn, document, {"fallthrough": patch}).fallthrough


def when(current: dict[str, Any], patch: Any) -> dict[str, Any]:
    return patched(SegmentIn, {"key": "s", "name": "", "description": "", "when": current}, {"when": patch}).when


def test_split_replaces_a_variant() -> None:
    """Who patches in a split need not say that the single variant goes."""
    assert fallthrough({"variant": "on"}, {"split": SPLIT}) == {"split": SPLIT}


def test_variant_replaces_a_split() -> None:
    """Nor the other way round, with all that belongs to a split."""
    assert fallthrough({"split": SPLIT, "bucket_by": "company", "group": "g"}, {"variant": "on"}) == {"variant": "on"}


def test_same_kind_merges() -> None:
    """Members of the same kind that the patch does not name stay: new weights move nobody to another bucket."""
    current = {"split": SPLIT, "bucket_by": "company"}

    assert fallthrough(current, {"split": SPLIT[::-1]}) == {"split": SPLIT[::-1], "bucket_by": "company"}


def test_patch_that_says_null_too() -> None:
    """A patch that a tool made by the plain RFC means the same."""
    assert fallthrough({"variant": "on"}, {"split": SPLIT, "variant": None}) == {"split": SPLIT}


@pytest.mark.parametrize(
    "current", [{"all": [CLAUSE]}, {"any": [CLAUSE]}, {"not": CLAUSE}, {"segment": "a"}, CLAUSE], ids=str
)
def test_one_kind_of_condition_ends_the_others(current: dict[str, Any]) -> None:
    """Whatever the condition was, naming another kind makes it that."""
    assert when(current, {"any": [{"segment": "b"}]}) == {"any": [{"segment": "b"}]}


def test_clause_merges_into_a_clause() -> None:
    """Of a clause only what is named changes."""
    assert when(CLAUSE, {"values": ["NO"]}) == {**CLAUSE, "values": ["NO"]}


def test_conditions_inside_not() -> None:
    """The same holds for the condition that is negated."""
    assert when({"not": {"segment": "a"}}, {"not": {"all": [CLAUSE]}}) == {"not": {"all": [CLAUSE]}}


def test_null_removes() -> None:
    """Null takes a member out, and what is left out counts as its default."""
    document = {"key": "f", "purpose": "operational", "type": "boolean", "description": "old", "owner": "me"}

    wanted = patched(FlagIn, document, {"description": None})

    assert (wanted.description, wanted.owner) == ("", "me")


def test_lists_are_replaced() -> None:
    """A list is a value."""
    document = {"key": "f", "purpose": "operational", "type": "boolean", "tags": ["a", "b"]}

    assert patched(FlagIn, document, {"tags": ["c"]}).tags == ["c"]


def test_empty_patch_changes_nothing() -> None:
    """An empty object is a patch."""
    document = {"key": "f", "purpose": "operational", "type": "boolean", "tags": ["a"]}

    assert patched(FlagIn, document, {}).tags == ["a"]


@pytest.mark.parametrize("patch", [[], "x", 1, None, True])
def test_patch_is_an_object(patch: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(Invalid, match="JSON object"):
        patched(SegmentIn, {"key": "s", "when": CLAUSE}, patch)


@pytest.mark.parametrize("key", ["other", None])
def test_key_stays(key: Any) -> None:
    """A key cannot be moved, nor removed."""
    with pytest.raises(Invalid) as refused:
        patched(SegmentIn, {"key": "s", "when": CLAUSE}, {"key": key})

    assert refused.value.errors[0].pointer == "/key"


def test_patch_leaves_the_current_document() -> None:
    """What is patched is not changed in place: a refusal must leave the row as it is."""
    current = {"key": "s", "name": "", "description": "", "when": {"not": {"segment": "a"}}}

    patched(SegmentIn, current, {"when": {"not": {"all": [CLAUSE]}}})

    assert current["when"] == {"not": {"segment": "a"}}
