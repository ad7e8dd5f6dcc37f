"""What counts as a difference between two documents."""

from typing import Any

import pytest

from greenroom_server.flags.tables import Document
from greenroom_server.flags.work import differences, under

PAIRS: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    (0, False),
    (10, 10.0),
    ("1", 1),
    ([1], [1.0]),
    ({"a": 1}, {"a": True}),
]


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=str)
def test_types_differ(before: Any, after: Any) -> None:
    """1, 1.0 and true are three values: to Python they are equal, to a flag they are not."""
    assert differences({"x": before}, {"x": after}) != []


@pytest.mark.parametrize(("before", "after"), [*PAIRS, ({"a": 1, "b": 2}, {"b": 2, "a": 1})], ids=str)
def test_columns_see_what_python_does_not(before: Any, after: Any) -> None:
    """Such a change is written to the store, and so is another order."""
    column = Document(none_as_null=True)

    assert not column.compare_values(before, after)
    assert column.compare_values(after, after)


def test_order_of_variants_is_a_difference() -> None:
    """Variants are ordered."""
    assert differences({"variants": {"a": 1, "b": 2}}, {"variants": {"b": 2, "a": 1}}) == [
        {"path": "/variants", "op": "replace", "from": {"a": 1, "b": 2}, "to": {"b": 2, "a": 1}}
    ]


def test_nothing_changed() -> None:
    """Equal documents have no differences."""
    assert differences({"variants": {"a": 1.0}, "x": None}, {"variants": {"a": 1.0}, "x": None}) == []


def test_coming_and_going() -> None:
    """A thing that is made is added as a whole, one that is deleted is removed as a whole."""
    assert differences(None, {"a": 1}) == [{"path": "", "op": "add", "to": {"a": 1}}]
    assert differences({"a": 1}, None) == [{"path": "", "op": "remove", "from": {"a": 1}}]


def test_seen_from_further_up() -> None:
    """Paths get longer at their beginning."""
    assert under("/flags/x", [{"path": "/name", "op": "remove"}]) == [{"path": "/flags/x/name", "op": "remove"}]
