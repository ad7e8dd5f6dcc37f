"""What Prometheus answers, in the shapes of its documentation, and every kind of nonsense."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest

from greenroom_server.guardrails.prometheus import (
    MAX_SERIES,
    SKEW,
    Answer,
    Nonsense,
    Operator,
    Series,
    read_answer,
    trips,
    value_of,
)

NOW: Final = datetime(2026, 11, 25, 9, tzinfo=UTC)
STAMP: Final = NOW.timestamp() - 0.219


def vector(*values: str, **members: Any) -> bytes:
    series = [{"metric": {"job": str(number)}, "value": [STAMP, value]} for number, value in enumerate(values)]
    return orjson.dumps({"status": "success", "data": {"resultType": "vector", "result": series}, **members})


def scalar(value: Any, stamp: Any = STAMP) -> bytes:
    return orjson.dumps({"status": "success", "data": {"resultType": "scalar", "result": [stamp, value]}})


def answered(*values: float, is_doubted: bool = False) -> Answer:
    return Answer(values, NOW, is_doubted)


def test_scalars_and_vectors_are_read() -> None:
    """As the documentation shows them, infinities too."""
    assert read_answer(scalar("0.25"), NOW).values == (0.25,)
    found = read_answer(vector("1", "+Inf", "-Inf", "1e-3", ".5"), NOW)
    assert found.values == (1.0, math.inf, -math.inf, 0.001, 0.5)
    assert found.data_at == NOW - timedelta(seconds=0.219)
    assert math.isnan(read_answer(scalar("NaN"), NOW).values[0])


def test_clocks_may_be_apart_a_little() -> None:
    """Data of a moment ahead are of now; further ahead nobody knows what they are of. The past is told as it is."""
    ahead = (NOW + SKEW).timestamp()
    assert read_answer(scalar("1", ahead), NOW).data_at == NOW
    assert read_answer(scalar("1", 0), NOW).data_at == datetime(1970, 1, 1, tzinfo=UTC)
    with pytest.raises(Nonsense, match="clocks"):
        read_answer(scalar("1", ahead + 1), NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><title>Sign in</title>",
        b"{",
        b"null",
        b"[]",
        b'"success"',
        b"{}",
        b'{"status":"success"}',
        b'{"status":"success","data":null}',
        b'{"status":"maybe","data":{"resultType":"scalar","result":[1,"1"]}}',
        b'{"status":"error","errorType":"bad_data","error":"parse error"}',
        scalar("1").replace(b"success", b"error"),
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}',
        b'{"status":"success","data":{"resultType":"string","result":[1,"1"]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[]}}',
        b'{"status":"success","data":{"resultType":"vector","result":{}}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[null]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}}',
        scalar(1),
        scalar(None),
        scalar(""),
        scalar("1 "),
        scalar("1_000"),
        scalar("0x10"),
        scalar("nan"),
        scalar("Infinity"),
        scalar("\u0661"),
        scalar("1", "1"),
        scalar("1", True),
        scalar("1", 1e300),
        scalar("1", None),
        vector(*["1"] * (MAX_SERIES + 1)),
        b'{"status":"success","status":"success","data":{"resultType":"scalar","result":[1,"1"]}}',
        b"[" * 10_000,
        vector("1").replace(b'"1"', b"NaN"),
    ],
)
def test_nonsense_is_no_data(body: bytes) -> None:
    """Each of these says in words why, and quotes nothing of it."""
    with pytest.raises(Nonsense) as refused:
        read_answer(body, NOW)
    assert "Sign in" not in str(refused.value)


@pytest.mark.parametrize(
    ("series", "op", "values", "expected"),
    [
        ("any", "gt", (0.1, 0.9), (0.9, True)),
        ("any", "lt", (0.1, 0.9), (0.1, True)),
        ("max", "gt", (0.1, 0.9), (0.9, True)),
        ("min", "gt", (0.1, 0.9), (0.1, False)),
        ("max", "lt", (0.1, 0.9), (0.9, False)),
        ("max", "lt", (0.1, 0.2), (0.2, True)),
        ("min", "lte", (0.5, 0.9), (0.5, True)),
        ("any", "gte", (0.5,), (0.5, True)),
        ("any", "gt", (0.5,), (0.5, False)),
        ("any", "gt", (math.inf,), (math.inf, True)),
        ("any", "lt", (-math.inf, 1.0), (-math.inf, True)),
        ("any", "gt", (math.nan, 0.9), (0.9, True)),
    ],
)
def test_many_series_become_one_number(
    series: Series, op: Operator, values: tuple[float, ...], expected: tuple[float, bool]
) -> None:
    """By the one that trips first, the highest, or the lowest; the threshold is 0.5."""
    assert value_of(answered(*values), series, op, 0.5) == expected


@pytest.mark.parametrize(
    ("series", "op", "answer"),
    [
        ("any", "gt", answered(math.nan)),
        ("any", "gt", answered(0.1, math.nan)),
        ("max", "lt", answered(0.1, math.nan)),
        ("min", "gt", answered(0.9, math.nan)),
        ("any", "gt", answered(0.1, is_doubted=True)),
        ("min", "gt", answered(0.9, is_doubted=True)),
    ],
)
def test_doubt_is_no_data(series: Series, op: Operator, answer: Answer) -> None:
    """A series that is no number, or a warning, could hide what matters; where one is enough to trip it cannot."""
    with pytest.raises(Nonsense):
        value_of(answer, series, op, 0.5)


@pytest.mark.parametrize("op", ["gt", "gte", "lt", "lte"])
def test_what_is_no_number_never_fulfils_a_condition(op: Operator) -> None:
    """Nor its opposite: so it must never get this far as if it were fine."""
    assert not trips(math.nan, op, 0.5)


def test_warnings_are_doubt() -> None:
    """Prometheus warns when a remote store gave only a part; remarks (`infos`) are none."""
    assert read_answer(vector("1", warnings=["a part only"]), NOW).is_doubted
    assert not read_answer(vector("1", infos=["might not be a counter"]), NOW).is_doubted
