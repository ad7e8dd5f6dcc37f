"""What Prometheus answers to an instant query, read as a stranger's words. Pure.

The format is that of its HTTP API (`/api/v1/query`): a scalar, or a vector of series. Anything else is no data, and so
is a number that is none, unless another series trips all the same.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from greenroom_server.errors import Invalid
from greenroom_server.web.codec import read_json

Operator = Literal["gt", "gte", "lt", "lte"]
Series = Literal["any", "max", "min"]

MAX_SERIES: Final = 1_000
MAX_BODY_BYTES: Final = 512 * 1024
# How far the clocks of two machines may be apart.
SKEW: Final = timedelta(seconds=30)
SIGNS: Final[dict[Operator, str]] = {"gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}

_NODES: Final = 100_000
_NUMBER: Final = re.compile(r"[+-]?(?:Inf|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|NaN")


class Nonsense(ValueError):
    """Says in words why an answer is no data; never quotes it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The numbers of all series, infinities and what is no number among them; `is_doubted` if a warning came along."""

    values: tuple[float, ...]
    data_at: datetime
    is_doubted: bool


def read_answer(body: bytes, asked_at: datetime) -> Answer:
    """The answer to an instant query; raises `Nonsense`."""
    try:
        document = read_json(body, nodes=_NODES)
    except Invalid:
        raise Nonsense("the answer is not JSON") from None
    if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
        raise Nonsense("the answer is not one of Prometheus")
    if document["status"] == "error":
        raise Nonsense("Prometheus could not answer the query")
    samples = _samples_of(document.get("data"))
    moments = [_moment_of(one[0], asked_at) for one in samples]
    return Answer(tuple(_number_of(one[1]) for one in samples), min(moments), bool(document.get("warnings")))


def value_of(answer: Answer, series: Series, op: Operator, threshold: float) -> tuple[float, bool]:
    """The one number that the condition is held against, and whether it trips; raises `Nonsense` if in doubt.

    Where one series that trips is enough, it counts whatever the others are; everything else takes all of them.
    """
    numbers = [one for one in answer.values if not math.isnan(one)]
    is_whole = len(numbers) == len(answer.values) and not answer.is_doubted
    highest_counts = op in ("gt", "gte") if series == "any" else series == "max"
    if numbers:
        value = max(numbers) if highest_counts else min(numbers)
        is_tripped = trips(value, op, threshold)
        is_one_enough = highest_counts == (op in ("gt", "gte"))
        if is_whole or (is_tripped and is_one_enough):
            return value, is_tripped
    raise Nonsense(
        "the value is not a number" if len(numbers) < len(answer.values) else "Prometheus warned of its data"
    )


def trips(value: float, op: Operator, threshold: float) -> bool:
    """Whether the value fulfils the condition; what is no number never does."""
    match op:
        case "gt":
            return value > threshold
        case "gte":
            return value >= threshold
        case "lt":
            return value < threshold
        case "lte":
            return value <= threshold


def _samples_of(data: Any) -> list[list[Any]]:
    kind = data.get("resultType") if isinstance(data, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if kind not in ("scalar", "vector") or not isinstance(result, list):
        raise Nonsense("the query gives neither a scalar nor a vector")
    samples = [result] if kind == "scalar" else [_sample_of(one) for one in result]
    if not samples:
        raise Nonsense("the query gives no series")
    if len(samples) > MAX_SERIES:
        raise Nonsense(f"the query gives more than {MAX_SERIES} series")
    if any(not isinstance(one, list) or len(one) != 2 for one in samples):
        raise Nonsense("the answer is not one of Prometheus")
    return samples


def _sample_of(series: Any) -> Any:
    if isinstance(series, dict) and "histogram" in series:
        raise Nonsense("the query gives a histogram and not a number")
    return series.get("value") if isinstance(series, dict) else None


def _moment_of(number: Any, asked_at: datetime) -> datetime:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Nonsense("the answer is not one of Prometheus")
    try:
        moment = datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        raise Nonsense("the answer is not one of Prometheus") from None
    if moment > asked_at + SKEW:
        raise Nonsense("the data are of the future: the clocks disagree")
    return min(moment, asked_at)


def _number_of(text: Any) -> float:
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise Nonsense("the answer is not one of Prometheus")
    return float(text)
