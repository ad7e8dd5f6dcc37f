"""The parser of server-sent events: any cut, any line end, any noise, and a limit."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.sse import Event, EventParser, EventTooLarge

TEXT = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]), max_size=20)


def parsed(data: bytes, cuts: list[int] | None = None) -> list[Event]:
    parser = EventParser(10_000)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    return [event for a, b in pairwise(places) for event in parser.feed(data[a:b])]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_all_line_ends(end: bytes) -> None:
    """Also when a carriage return and its line feed come apart."""
    data = b"event: change\nid: e.1\ndata: one\ndata: two\n\n".replace(b"\n", end)
    expected = [Event("change", b"one\ntwo", "e.1")]

    assert parsed(data) == expected
    assert parsed(data, list(range(len(data)))) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data\n\n", [Event("message", b"")]),
        (b"data:\n\n", [Event("message", b"")]),
        (b"data:  x\n\n", [Event("message", b" x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [Event("message", b"x")]),
        (b": comment\n\n", []),
        (b"event: lonely\n\ndata: x\n\n", [Event("message", b"x")]),
        (b"retry: 5\nfoo: bar\ndata: x\n\n", [Event("message", b"x")]),
        (b"id: a\0b\ndata: x\n\n", [Event("message", b"x")]),
        (b"event: \xff\ndata: \xff\n\n", [Event("\ufffd", b"\xff")]),
        (b"data: unfinished\n", []),
        (b"\n\n\n", []),
    ],
)
def test_corners_of_the_format(data: bytes, expected: list[Event]) -> None:
    """As the standard says."""
    assert parsed(data) == expected


@given(
    st.lists(st.tuples(TEXT.filter(bool), st.lists(TEXT, min_size=1, max_size=3)), max_size=5),
    st.lists(st.integers(0, 1000), max_size=10),
    st.sampled_from(["\n", "\r", "\r\n"]),
)
def test_what_is_written_is_read_however_it_is_cut(
    events: list[tuple[str, list[str]]], cuts: list[int], end: str
) -> None:
    """Names and data come back, wherever the pieces end."""
    text = "".join(f"event: {name}{end}" + "".join(f"data: {d}{end}" for d in data) + end for name, data in events)

    assert parsed(text.encode(), cuts) == [Event(name, "\n".join(data).encode()) for name, data in events]


@given(st.binary(max_size=300), st.lists(st.integers(0, 1000), max_size=10))
def test_noise_is_read_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    """And never raises."""
    assert parsed(data, cuts) == parsed(data)


@pytest.mark.parametrize("data", [b"data: " + b"x" * 200, b"data: xxxxxxxxxx\n" * 20, b":" + b"x" * 200])
def test_an_event_past_the_limit_is_refused(data: bytes) -> None:
    """In one line or in many, and a comment too."""
    with pytest.raises(EventTooLarge):
        EventParser(100).feed(data)


def test_an_endless_stream_of_small_events_is_fine() -> None:
    """The limit is for one event, and comments do not add up."""
    parser = EventParser(100)

    assert sum(len(parser.feed(b": ping\ndata: xxxxxxxxxx\n\n")) for _ in range(1000)) == 1000
    for _ in range(1000):
        assert parser.feed(b": ping\n") == []
