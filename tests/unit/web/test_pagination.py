"""Pages: limits, cursors and the shape of the answer."""

import pytest
from starlette.datastructures import QueryParams

from greenroom_server.errors import Invalid, LimitExceeded
from greenroom_server.web.pagination import cursor_of, page, page_request


class Asked:
    def __init__(self, **query: str) -> None:
        self.query = QueryParams(query)


def test_first_page_has_fifty_items() -> None:
    """Without parameters a page starts at the beginning."""
    asked = page_request(Asked(), str)

    assert (asked.limit, asked.after) == (50, None)


def test_cursor_leads_on_after_the_last_item() -> None:
    """Following the cursors visits every item once, in order."""
    everything = [f"flag-{index:03}" for index in range(10)]
    visited: list[str] = []
    cursor: str | None = None

    for _ in range(4):
        asked = page_request(Asked(limit="3", **({"cursor": cursor} if cursor else {})), str)
        left = [item for item in everything if asked.after is None or (item,) > asked.after]
        body = page(left[: asked.limit + 1], asked, item=str.upper, sort_key=lambda row: (row,))
        visited += body["items"]
        cursor = body["next_cursor"]

    assert visited == [item.upper() for item in everything]
    assert cursor is None


@pytest.mark.parametrize("limit", ["1", "200"])
def test_limit_is_taken_within_its_bounds(limit: str) -> None:
    """1 and 200 are both fine."""
    assert page_request(Asked(limit=limit), str).limit == int(limit)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5", "٣", "00"])
def test_limit_that_is_no_page_size_is_refused(limit: str) -> None:
    """Anything but a whole number from 1 is refused by name."""
    with pytest.raises(Invalid) as refused:
        page_request(Asked(limit=limit), str)

    assert refused.value.errors[0].pointer == "limit"


@pytest.mark.parametrize("limit", ["201", "9" * 5000])
def test_limit_past_the_maximum_names_the_maximum(limit: str) -> None:
    """201 is one too many."""
    with pytest.raises(LimitExceeded) as refused:
        page_request(Asked(limit=limit), str)

    assert refused.value.maximum == 200


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "é",
        cursor_of(1),
        cursor_of("a", "b"),
        cursor_of(),
        cursor_of(True),
        "A" * 2000,
        "bnVsbA",
        "W10=",
    ],
)
def test_cursor_of_another_make_is_refused(cursor: str) -> None:
    """Only a cursor with the list's own kind of sort key is followed."""
    with pytest.raises(Invalid) as refused:
        page_request(Asked(cursor=cursor), str)

    assert refused.value.errors[0].pointer == "cursor"


def test_cursor_keeps_several_parts() -> None:
    """A sort key may have parts of several types."""
    asked = page_request(Asked(cursor=cursor_of("2026-11-23T05:00:00Z", 7)), str, int)

    assert asked.after == ("2026-11-23T05:00:00Z", 7)
