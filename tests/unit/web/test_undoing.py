"""Taking differences back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.web.test_difference import VALUES

from greenroom_server.web.difference import diff
from greenroom_server.web.undoing import undone

DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b", "~/"]), VALUES, max_size=3)


@given(DOCUMENTS, DOCUMENTS)
def test_what_differs_is_taken_back(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whatever changed inside an object, the differences lead back; the document itself stays."""
    kept = repr(after)

    assert diff(undone(after, diff(before, after)), before) == []
    assert repr(after) == kept


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"path": "", "op": "replace", "from": 1, "to": 2}, "the whole of it"),
        ({"path": "/a/b", "op": "replace", "from": 1, "to": 2}, "nothing that holds"),
        ({"path": "/a", "op": "add", "to": 2}, "is not there"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], why: str) -> None:
    """Rather than guessing how it was."""
    with pytest.raises(ValueError, match=why):
        undone({"c": 1}, [change])
