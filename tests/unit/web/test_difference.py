"""What changed between two values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom_server.web.difference import diff

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0]) | st.sampled_from(["a", "~/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "~/"]), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [{"path": "/a", "op": "replace", "from": 1, "to": 2}]),
        ({"a": 1}, {"b": 1}, [{"path": "/a", "op": "remove", "from": 1}, {"path": "/b", "op": "add", "to": 1}]),
        ({"a": {"b/c": 1}}, {"a": {"b/c": 2}}, [{"path": "/a/b~1c", "op": "replace", "from": 1, "to": 2}]),
        ({"a": [1, 2]}, {"a": [2]}, [{"path": "/a", "op": "replace", "from": [1, 2], "to": [2]}]),
        (1, True, [{"path": "", "op": "replace", "from": 1, "to": True}]),
        ({"a": [1]}, {"a": [1.0]}, [{"path": "/a", "op": "replace", "from": [1], "to": [1.0]}]),
    ],
)
def test_changes_are_named(before: Any, after: Any, changes: list[dict[str, Any]]) -> None:
    """Members are added, removed and replaced by pointer; lists and scalars as wholes."""
    assert diff(before, after) == changes


@given(VALUES, VALUES)
def test_no_changes_means_the_same_value(before: Any, after: Any) -> None:
    """The list is empty exactly if both values are the same, types included."""

    def exactly(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(f"{key}:{exactly(value[key])}" for key in sorted(value)) + "}"
        return "[" + ",".join(map(exactly, value)) + "]" if isinstance(value, list) else repr(value)

    assert (diff(before, after) == []) == (exactly(before) == exactly(after))
