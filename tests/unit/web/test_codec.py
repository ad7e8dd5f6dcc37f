"""The strict reader accepts what a strict reference accepts, and nothing else."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greenroom_server.errors import Invalid, LimitExceeded
from greenroom_server.web.codec import MAX_INTEGER, read_json, write_json

DEPTH, NODES, STRING_BYTES = 4, 12, 10
REFUSED = object()


def reference(data: bytes) -> Any:
    """The same rules on top of the standard library, written for clearness; REFUSED if any is broken."""

    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError
        return dict(pairs)

    def no_constants(text: str) -> Any:
        raise ValueError(text)

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=no_twins, parse_constant=no_constants)
        nodes, depth = measure(value)
    except (ValueError, RecursionError):
        return REFUSED
    return value if nodes <= NODES and depth <= DEPTH else REFUSED


def measure(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, int | float) and not is_in_range(value):
        raise ValueError
    elif isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else ():
            check_text(key)
        inner = [measure(one) for one in (value.values() if isinstance(value, dict) else value)]
        return 1 + sum(nodes for nodes, _ in inner), 1 + max((depth for _, depth in inner), default=0)
    return 1, 0


def is_in_range(value: int | float) -> bool:
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= MAX_INTEGER


def check_text(text: str) -> None:
    if "\0" in text or len(text.encode("utf-8")) > STRING_BYTES:
        raise ValueError


TEXTS = st.text(st.sampled_from('ab:"\\/{}[],é€😀\x00\ud800 1'), max_size=12)
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(2**53 - 2, 2**53 + 2) | st.floats() | st.integers(-5, 5)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=12,
)
DOCUMENTS = st.builds(
    lambda value, ascii_only, spaced: json.dumps(
        value, ensure_ascii=ascii_only, separators=(" , ", " : ") if spaced else (",", ":")
    ).encode("utf-8", "surrogatepass"),
    VALUES,
    st.booleans(),
    st.booleans(),
)
TOKENS = st.lists(
    st.sampled_from(
        [
            *(b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"b"', b'"a":', b'"\\u0061":', b'"', b"\\", b"1", b"-0"),
            *(
                b"1e400",
                b"1.0",
                b"9007199254740992",
                b"9007199254740993",
                b"01",
                b"true",
                b"null",
                b"NaN",
                b"-Infinity",
            ),
            *(b" ", b"\n", b"\xff", b"\xef\xbb\xbf", b'"\\ud83d\\ude00"', b'"\\ud83d"', b'"\\u0000"', b"\x00"),
            *(b"'a'", b"/**/", b".5"),
        ]
    ),
    max_size=14,
).map(b"".join)
DAMAGED = st.builds(
    lambda document, at, junk, cut: (
        document[: at % (len(document) + 1)] + junk + document[at % (len(document) + 1) + cut :]
    ),
    DOCUMENTS,
    st.integers(0, 200),
    st.sampled_from([b"", b'"', b"\\", b",", b":", b"[", b"}", b"\xc3", b"0", b"e5", b"\t", b"\x01"]),
    st.integers(0, 2),
)


@settings(max_examples=1500, deadline=None)
@given(DOCUMENTS | TOKENS | DAMAGED)
@example(b'{"a":1,"a":2}')
@example(b'{"a":":","a":1}')
@example(b'{"a":{"b:":1,"b:":2},"c":":"}')
@example(b'{"a" :1,"\\u0061":2}')
@example(b'"' + b'\\"' * 3 + b"\\")
@example(b"[" * 5000)
def test_reader_accepts_exactly_what_the_reference_accepts(data: bytes) -> None:
    """Whatever the bytes are, both agree on refusal, value and type."""
    expected = reference(data)

    try:
        found = read_json(data, depth=DEPTH, nodes=NODES, string_bytes=STRING_BYTES)
    except Invalid:
        found = REFUSED

    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("at_limit", "past_limit", "limit"),
    [
        pytest.param(b"[" * 32 + b"]" * 32, b"[" * 33 + b"]" * 33, "json_depth", id="depth"),
        pytest.param(b'"' + b"x" * 8192 + b'"', b'"' + b"x" * 8193 + b'"', "string_bytes", id="string"),
        pytest.param(f'"{"é" * 4096}"'.encode(), f'"{"é" * 4096}x"'.encode(), "string_bytes", id="string-in-bytes"),
        pytest.param(b"9007199254740992", b"9007199254740993", "integer", id="integer"),
        pytest.param(b"-9007199254740992", b"-9007199254740993", "integer", id="negative-integer"),
        pytest.param(b"[" + b"0," * 199_998 + b"0]", b"[" + b"0," * 199_999 + b"0]", "json_nodes", id="nodes"),
    ],
)
def test_reader_stops_one_past_each_limit(at_limit: bytes, past_limit: bytes, limit: str) -> None:
    """A document at the limit is read; one past it is refused with the limit's name."""
    read_json(at_limit)

    with pytest.raises(LimitExceeded) as refused:
        read_json(past_limit)

    assert refused.value.limit == limit


@pytest.mark.parametrize(
    ("data", "pointer", "detail"),
    [
        (b'{"a":{"b":1,"b":2}}', "/a/b", "`b` is there twice"),
        (b'{"a":["x\\u0000"]}', "/a/0", "NUL characters are not allowed"),
        (b'{"a/b~":"\\ud800"}', "/a~1b~0", "half of a surrogate pair is not a character"),
        (b'{"a":1e999}', "/a", "the number is too large"),
        (b'{"a":99999999999999999999999}', "/a", "integers are limited to 2^53"),
    ],
)
def test_reader_says_where(data: bytes, pointer: str, detail: str) -> None:
    """A refusal points to the value and says what is wrong with it."""
    with pytest.raises(Invalid) as refused:
        read_json(data)

    assert [(error.pointer, error.detail) for error in refused.value.errors] == [(pointer, detail)]


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b'{"a":}', "the body is not JSON: expecting value at line 1 column 6"),
        (b"NaN", "the body is not JSON: `NaN` is not a JSON number"),
        (b"\xff", "the body is not UTF-8: byte 0 cannot be decoded"),
    ],
)
def test_reader_says_what_is_not_json(data: bytes, detail: str) -> None:
    """Bytes that are no JSON at all are refused with the place or the byte."""
    with pytest.raises(Invalid) as refused:
        read_json(data)

    assert refused.value.detail == detail


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "data",
    [b'"' + b'\\"' * 500_000, b"[" * 1_000_000, b"9" * 1_000_000, b'{"a":' * 200_000, b'"' + b'\\"' * 500_000 + b"\\"],
    ids=["escaped-quotes", "brackets", "digits", "nested-objects", "trailing-backslash"],
)
def test_hostile_documents_are_refused_in_linear_time(data: bytes) -> None:
    """A megabyte made to be slow is refused before the timeout."""
    with pytest.raises(Invalid):
        read_json(data)


def test_writer_keeps_order_and_the_point_of_floats() -> None:
    """Members stay in order, 10.0 stays a float, text stays UTF-8."""
    assert write_json({"b": 10.0, "a": [1, "é"]}) == '{"b":10.0,"a":[1,"é"]}'.encode()
