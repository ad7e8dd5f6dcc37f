"""The floor: the same answers from code written by hand, with the flags' logic hard-coded.

It checks nothing, guards nothing and cannot be changed without a deployment. With details it is reached by a method
call, a look-up, a `try` and a result object: the least that a client can cost.
"""

from collections.abc import Callable
from typing import Any

import mmh3
from tests.bench.engine.workload import (
    ANGLO,
    FLAGS,
    GATED_FLAG,
    NORDIC,
    OFF_FLAG,
    PATTERN,
    VARIANTS,
    Json,
    members,
    payload,
)

Function = Callable[[Json], Any]

_ANGLO = frozenset(ANGLO)
_NORDIC = frozenset(NORDIC)
_PAYLOADS = [payload(variant) for variant in VARIANTS]
_hash = mmh3.hash


def _w1(is_on: bool) -> Function:
    def w1(c: Json) -> Any:
        return is_on

    return w1


def _w2(minor: int) -> Function:
    bound = (4, minor, 0)

    def w2(c: Json) -> Any:
        country = c["country"]
        plan = c["plan"]
        if country in _ANGLO and plan == "enterprise":
            return "v1"
        version = tuple(map(int, c["appVersion"].split(".")))
        if plan == "pro" and version >= bound:
            return "v2"
        email = c["email"]
        if version >= (3, 0, 0) and email.endswith("@partner.example"):
            return "v3"
        age = c["age"]
        if email.endswith("@corp.example") and age > 65:
            return "v4"
        if country in _NORDIC and age > 18:
            return "v5"
        return "v0"

    return w2


def _w3(key: str) -> Function:
    prefix = key + ":"

    def w3(c: Json) -> Any:
        return _hash(prefix + c["targetingKey"], 0, False) % 10000 < 2500

    return w3


def _w4(ids: frozenset[str]) -> Function:
    def w4(c: Json) -> Any:
        return c["targetingKey"] in ids

    return w4


def _w5(key: str, prerequisite: Function) -> Function:
    prefix = key + ":"

    def w5(c: Json) -> Any:
        if not prerequisite(c):
            return None
        bucket = _hash(prefix + c["targetingKey"], 0, False) % 100
        if bucket < 10:
            return _PAYLOADS[0]
        if bucket < 30:
            return _PAYLOADS[1]
        if bucket < 60:
            return _PAYLOADS[2]
        return _PAYLOADS[3]

    return w5


def functions() -> dict[str, Function]:
    """One function per flag."""
    lists = {key: frozenset(ids) for key, ids in members().items()}
    made: dict[str, Function] = {}
    for i in range(FLAGS):
        kind = PATTERN[i % 10]
        key = f"{kind}-{i:04d}"
        if kind == "w1":
            made[key] = _w1(key != OFF_FLAG)
        elif kind == "w2":
            made[key] = _w2(i % 50)
        elif kind == "w3":
            made[key] = _w3(key)
        elif kind == "w4":
            made[key] = _w4(lists[f"seg-{i // 10 % 4}"])
        else:
            made[key] = _w5(key, made[OFF_FLAG if key == GATED_FLAG else f"w1-{i - i % 10:04d}"])
    return made


class Details:
    """What a client returns: the value and where it comes from."""

    __slots__ = ("reason", "value", "variant")

    def __init__(self, value: Any, variant: str | None, reason: str) -> None:
        self.value = value
        self.variant = variant
        self.reason = reason


class Client:
    """The floor behind a client's calls."""

    __slots__ = ("_functions",)

    def __init__(self) -> None:
        self._functions = functions()

    def get(self, key: str, context: Json, default: Any) -> Any:
        """The value only."""
        try:
            return self._functions[key](context)
        except Exception:
            return default

    def details(self, key: str, context: Json, default: Any) -> Details:
        """The value with its details."""
        try:
            value = self._functions[key](context)
            return Details(value, key, "MATCH")
        except Exception:
            return Details(default, None, "ERROR")

    def all(self, context: Json) -> dict[str, Any]:
        """All values."""
        return {key: function(context) for key, function in self._functions.items()}

    def all_details(self, context: Json) -> dict[str, Details]:
        """All values with their details."""
        details = self.details
        return {key: details(key, context, None) for key in self._functions}
