"""JSON in and out: a strict, bounded reader for what users send, and orjson for what we answer.

The reader refuses what JSON parsers quarrel about: duplicate keys, NaN, huge integers, NUL, lone surrogates.
It parses with orjson and accepts the result if cheap proofs over the bytes show that it is harmless;
where a proof fails, the exact reader decides. Both accept the same documents, which a fuzz test holds.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final, NoReturn

import orjson
from pydantic import BaseModel

from greenroom.evaluation import limits
from greenroom_server.errors import FieldError, Invalid, LimitExceeded

MAX_DEPTH: Final = limits.MAX_JSON_DEPTH
MAX_NODES: Final = 200_000
MAX_CONTEXT_NODES: Final = 10_000
MAX_STRING_BYTES: Final = limits.MAX_STRING_BYTES
MAX_INTEGER: Final = limits.MAX_INTEGER

_ORJSON_INTEGERS_END: Final = 2.0**63  # further out orjson makes floats of them
# One pass: a string, closed or not, is one token. Every branch succeeds, so no input makes it look twice.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)


def read_json(
    data: bytes, *, depth: int = MAX_DEPTH, nodes: int = MAX_NODES, string_bytes: int = MAX_STRING_BYTES
) -> Any:
    """The value of one JSON document; raises `Invalid` or `LimitExceeded`, naming the place where it can.

    `nodes` counts objects, arrays and scalars; keys are strings and count against `string_bytes` only.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _read_exactly(data, depth, nodes, string_bytes)
    if _is_surely_within(data, depth, nodes, string_bytes) and _is_surely_exact(data, value):
        return value
    return _read_exactly(data, depth, nodes, string_bytes)


def read_records(data: bytes, *, nodes: int) -> Any:
    """Like `read_json`, for large documents whose caller checks the shape, lengths and numbers of all that it takes.

    Written again, the value has as many colons as the document unless a key that came twice was dropped.
    """
    if b"\\" not in data:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            return read_json(data, nodes=nodes)
        if orjson.dumps(value).count(b":") == data.count(b":"):
            return value
    return read_json(data, nodes=nodes)


def write_json(value: Any) -> bytes:
    """Compact UTF-8 JSON; times in UTC end with `Z`, pydantic models are written by alias."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _is_surely_within(data: bytes, depth: int, nodes: int, string_bytes: int) -> bool:
    if b"\\" in data or len(data) > string_bytes:  # without escapes there is no NUL and no lone surrogate
        return False
    opened = data.count(b"{") + data.count(b"[")
    return opened <= depth and (len(data) <= nodes or 1 + opened + data.count(b",") <= nodes)


def _is_surely_exact(data: bytes, value: Any) -> bool:
    # A dropped duplicate takes its colon with it. Without escapes, colons in the bytes are those after keys
    # and those inside strings; if the parsed value accounts for all of them, nothing was dropped.
    keys = 0
    containers: list[Any] = [[value]]
    for container in containers:
        if type(container) is dict:
            keys += len(container)
            container = container.values()
        for inner in container:
            kind = type(inner)
            if kind is dict or kind is list:
                containers.append(inner)
            elif kind is int:
                if not -MAX_INTEGER <= inner <= MAX_INTEGER:
                    return False
            elif kind is float and abs(inner) >= _ORJSON_INTEGERS_END:
                return False
    colons = data.count(b":")
    return keys == colons or keys + sum(text.count(":") for text in _strings(containers)) == colons


def _strings(containers: list[Any]) -> Iterator[str]:
    for container in containers:
        if type(container) is dict:
            yield from container
            yield from (inner for inner in container.values() if type(inner) is str)
        else:
            yield from (inner for inner in container if type(inner) is str)


class _Repeating(dict[str, Any]):
    """An object in which a key came twice; it lives only until the walk finds it."""

    repeated: str


def _read_exactly(data: bytes, depth: int, nodes: int, string_bytes: int) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is not UTF-8: byte {error.start} cannot be decoded") from None
    _check_depth(data, depth)  # first, because the parser recurses
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        raise Invalid(f"the body is not JSON: {reason} at line {error.lineno} column {error.colno}") from None
    _Walk(nodes, string_bytes).check(value, "")
    return value


def _check_depth(data: bytes, depth: int) -> None:
    if data.count(b"{") + data.count(b"[") <= depth:
        return
    level = 0
    for token in _STRING_OR_BRACKET.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            level += 1
            if level > depth:
                raise LimitExceeded("json_depth", depth)
        elif first in b"]}":
            level -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeating = _Repeating(members)
    seen: set[str] = set()
    repeating.repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeating


def _integer(text: str) -> int:
    return int(text[:20])  # past 17 digits it is over the limit anyway, and long ones are slow to convert


def _refuse_constant(text: str) -> NoReturn:
    raise Invalid(f"the body is not JSON: `{text}` is not a JSON number")


class _Walk:
    """Checks what the parser lets through, and knows where it is."""

    def __init__(self, nodes: int, string_bytes: int) -> None:
        self._nodes = nodes
        self._nodes_left = nodes
        self._string_bytes = string_bytes

    def check(self, value: Any, pointer: str) -> None:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise LimitExceeded("json_nodes", self._nodes)
        if isinstance(value, str):
            self._check_text(value, pointer)
        elif isinstance(value, dict):
            self._check_object(value, pointer)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self.check(inner, f"{pointer}/{index}")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise _wrong(pointer, "the number is too large")
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise LimitExceeded("integer", MAX_INTEGER, field=pointer, detail="integers are limited to 2^53")

    def _check_object(self, value: dict[str, Any], pointer: str) -> None:
        if isinstance(value, _Repeating):
            raise _wrong(pointer_to(pointer, value.repeated), f"`{value.repeated}` is there twice")
        for key, inner in value.items():
            self._check_text(key, pointer)
            self.check(inner, pointer_to(pointer, key))

    def _check_text(self, text: str, pointer: str) -> None:
        if "\0" in text:
            raise _wrong(pointer, "NUL characters are not allowed")
        try:
            size = len(text) if text.isascii() else len(text.encode())
        except UnicodeEncodeError:
            raise _wrong(pointer, "half of a surrogate pair is not a character") from None
        if size > self._string_bytes:
            raise LimitExceeded("string_bytes", self._string_bytes, field=pointer)


def pointer_to(parent: str, member: str | int) -> str:
    """The JSON Pointer (RFC 6901) of a member of what `parent` points to."""
    return f"{parent}/{str(member).replace('~', '~0').replace('/', '~1')}"


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, detail)])
