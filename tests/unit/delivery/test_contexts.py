"""Reading evaluation contexts: the cheap way and the exact way accept the same, and limits are named."""

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom_server.delivery.requests import MAX_CONTEXT_BYTES, BodyReader, _context_of, context_of
from greenroom_server.errors import GreenroomError, Invalid, LimitExceeded, PayloadTooLarge
from greenroom_server.web.problems import RequestTimeout


@pytest.mark.parametrize("body", [b"{}", b'{"context":{}}', b'{"context":null}', b'{"context":{},"more":1}'])
def test_missing_context_is_the_empty_one(body: bytes) -> None:
    """Real providers send all of these."""
    assert context_of(body) == {}


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"context":{"a":NaN}}', b"\xff", b'{"a":1}}'])
def test_what_is_no_json_is_a_parse_error(body: bytes) -> None:
    """The code tells broken JSON from a broken context."""
    with pytest.raises(Invalid) as caught:
        context_of(body)

    assert caught.value.code == "parse_error"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b'{"context":[]}',
        b'{"context":"x"}',
        b'{"context":{"targetingKey":5}}',
        b'{"context":{"targetingKey":{}}}',
        b'{"context":{"a":1,"a":2}}',
        b'{"context":{"a":1},"context":{"a":2}}',
        b'{"context":{"a":"\\u0000"}}',
        b'{"context":{"a":"\\ud800"}}',
        b'{"context":{"\\u0061":1,"a":2}}',
    ],
)
def test_what_is_no_context_is_invalid(body: bytes) -> None:
    """Wrong shapes, duplicate keys and characters that nobody agrees on."""
    with pytest.raises(Invalid) as caught:
        context_of(body)

    assert caught.value.code != "parse_error"


@pytest.mark.parametrize(
    ("good", "bad", "limit"),
    [
        (9007199254740992, 9007199254740993, "integer"),
        (-9007199254740992, -9007199254740993, "integer"),
        ("x" * 8192, "x" * 8193, "string_bytes"),
        ("ä" * 4096, "ä" * 4096 + "x", "string_bytes"),
        (eval("[" * 30 + "]" * 30), eval("[" * 31 + "]" * 31), "json_depth"),
        ([0] * 9_997, [0] * 9_998, "json_nodes"),
    ],
    ids=["integer", "negative integer", "text", "text in bytes", "depth", "nodes"],
)
def test_limits_hold_to_the_last_unit(good: Any, bad: Any, limit: str) -> None:
    """At the limit it is read; one past it, the error names the limit."""
    assert context_of(orjson.dumps({"context": {"a": good}})) == {"a": good}
    with pytest.raises(LimitExceeded) as caught:
        context_of(orjson.dumps({"context": {"a": bad}}))

    assert caught.value.limit == limit


def test_an_integer_past_64_bits_is_no_float() -> None:
    """The fast parser would round it; a float of that size is fine."""
    with pytest.raises(LimitExceeded) as caught:
        context_of(b'{"context":{"a":99999999999999999999}}')

    assert caught.value.limit == "integer"
    assert context_of(b'{"context":{"a":1e300}}') == {"a": 1e300}


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**54), 2**54),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.text(max_size=3), max_size=3),
)


@given(st.dictionaries(st.text(max_size=6) | st.just("targetingKey"), VALUES, max_size=6), st.binary(max_size=3))
def test_the_cheap_way_agrees_with_the_exact_way(context: dict[str, Any], noise: bytes) -> None:
    """Whatever is sent, proof by counting never lets in what the exact reader refuses, nor the other way round."""
    body = orjson.dumps({"context": context}) + noise

    assert _outcome(context_of, body) == _outcome(_context_of, body)


def _outcome(read: Any, body: bytes) -> Any:
    try:
        return read(body)
    except GreenroomError as error:
        return type(error), error.code, error.detail


class Arriving:
    """A `receive` that hands out the chunks one by one; None stands for nothing coming any more."""

    def __init__(self, *chunks: bytes | None) -> None:
        self.chunks = list(chunks)
        self.is_waiting = asyncio.Event()
        self.taken = 0

    async def __call__(self) -> dict[str, Any]:
        chunk = self.chunks.pop(0)
        if chunk is None:
            self.is_waiting.set()
            await asyncio.Event().wait()
            raise AssertionError
        self.taken += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}


@pytest.mark.asyncio
async def test_body_in_pieces_is_put_together() -> None:
    """Chunked bodies are read."""
    receive = Arriving(b'{"cont', b'ext":{"a"', b":1}}")

    assert await BodyReader().read_context({}, {}, receive) == {"a": 1}


@pytest.mark.asyncio
async def test_largest_body_is_read_and_a_larger_one_is_cut_off() -> None:
    """Whether or not its length was declared."""
    largest = b'{"context":{}}'.ljust(MAX_CONTEXT_BYTES)

    assert await BodyReader().read_context({}, {}, Arriving(largest)) == {}
    for chunks in ((largest + b" ",), (largest, b" ", b" "), (largest[:9], largest)):
        with pytest.raises(PayloadTooLarge) as caught:
            await BodyReader().read_context({}, {}, Arriving(*chunks))
        assert (caught.value.limit, caught.value.maximum) == ("evaluation_context_bytes", MAX_CONTEXT_BYTES)


@pytest.mark.asyncio
@pytest.mark.parametrize("length", [b"65537", b"99999999999999999999", b"-1", b"x"])
async def test_body_declared_too_large_is_not_read(length: bytes) -> None:
    """Nothing is taken in that cannot be used."""
    receive = Arriving(b"{}")

    with pytest.raises(PayloadTooLarge):
        await BodyReader().read_context({}, {b"content-length": length}, receive)

    assert receive.taken == 0


@pytest.mark.asyncio
async def test_body_that_does_not_arrive_is_given_up() -> None:
    """A slow sender gets 408 and holds nothing any more."""
    bodies = BodyReader(limit_s=-1)
    receive = Arriving(b"{", None)
    task = asyncio.create_task(bodies.read_context({}, {}, receive))
    await receive.is_waiting.wait()

    bodies.sweep()

    with pytest.raises(RequestTimeout):
        await task
    assert not bodies._waiting
    assert not bodies._late
