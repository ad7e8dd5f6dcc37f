"""Entity tags: strong for changes, weak for reads."""

from dataclasses import dataclass

import pytest

from greenroom_server.errors import Invalid, PreconditionFailed, PreconditionRequired
from greenroom_server.web.conditional import IfMatch, etag_of, is_unchanged, require_if_match


@dataclass
class Asked:
    if_match: IfMatch | None


@pytest.mark.parametrize("header", ['"3"', '"1", "3"', "*", ' "2" ,"3" '])
def test_change_from_the_current_version_goes_on(header: str) -> None:
    """The current tag, alone or in a list, and `*` let a change pass."""
    require_if_match(Asked(IfMatch.parse(header)), etag_of(3))


@pytest.mark.parametrize("header", ['"2"', 'W/"3"', '"33"', '"2", W/"3"'])
def test_change_from_another_version_fails(header: str) -> None:
    """Another tag fails, and so does a weak one: If-Match compares strongly."""
    with pytest.raises(PreconditionFailed):
        require_if_match(Asked(IfMatch.parse(header)), etag_of(3))


def test_change_without_if_match_is_asked_for_one() -> None:
    """Without the header nobody can know what the change was made from."""
    with pytest.raises(PreconditionRequired):
        require_if_match(Asked(None), etag_of(3))


@pytest.mark.parametrize("header", ["3", '"3', "", ",", '"3" "4"', '*, "3"', '"a b"'])
def test_unreadable_if_match_is_refused(header: str) -> None:
    """A header that is no list of tags is an error of its own, not a failed precondition."""
    with pytest.raises(Invalid) as refused:
        IfMatch.parse(header)

    assert refused.value.errors[0].pointer == "If-Match"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("*", True),
        ('"3"', True),
        ('W/"3"', True),
        ('"1", W/"3"', True),
        ('"4"', False),
        ("3", False),
        ("", False),
    ],
)
def test_reads_compare_weakly(header: str | None, expected: bool) -> None:
    """If-None-Match ignores the weakness mark, and nonsense means: send it again."""
    assert is_unchanged(header, '"3"') is expected
