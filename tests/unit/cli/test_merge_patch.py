"""The patch that replaces a condition."""

from hypothesis import given
from hypothesis import strategies as st

from greenroom.cli.segments import merge_patch
from greenroom_server.web.merge_patch import apply_merge_patch

LEAVES = st.booleans() | st.integers() | st.text(max_size=3)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2)
)


@given(before=DOCUMENTS, after=DOCUMENTS)
def test_it_leaves_nothing_of_what_was_there(before: object, after: object) -> None:
    """Applied as the server applies patches, it gives the new document, whatever the old one was."""
    assert apply_merge_patch(before, merge_patch(before, after)) == after
