"""JSON from strangers: its nodes are counted before it is parsed, and every refusal has a code of this package."""

import re
from typing import Annotated, Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field

from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.releases.formats.limits import Limits
from greenroom_server.releases.formats.refusals import Oversized, Unreadable
from greenroom_server.web.codec import read_json
from greenroom_server.web.validation import parse

_BOM: Final = b"\xef\xbb\xbf"
# A text, closed or not, is one token: no input makes it look twice.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?|[\[{,]', re.DOTALL)
_SEPARATORS: Final = (b"{", b"[", b",")

_PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=_PRINTABLE)]
Uri = Annotated[str, Field(min_length=1, max_length=2_048, pattern=_PRINTABLE)]
ModelT = TypeVar("ModelT", bound=BaseModel)
ItemT = TypeVar("ItemT")
# A list of which the first wrong item is the only error: there may be very many.
Many = Annotated[list[ItemT], Field(fail_fast=True)]


class Foreign(BaseModel):
    """A part of a document that others define: unknown members are passed over, known ones must be what they say."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


def strict_json(data: bytes, limits: Limits) -> Any:
    """The value of a document in which every member decides something; nothing ambiguous is read."""
    _check_size(data, limits)
    try:
        return read_json(data, depth=limits.json_depth, nodes=limits.json_nodes, string_bytes=len(data))
    except Invalid as refusal:
        raise refused(refusal) from None


def large_json(data: bytes, limits: Limits) -> Any:
    """The value of a long report. Texts in it may hold any character; of members that come twice the last counts."""
    _check_size(data, limits)
    try:
        return orjson.loads(data.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        raise Unreadable(f"this is not JSON: {reason} at line {error.lineno} column {error.colno}") from None


def parsed(model: type[ModelT], value: Any, *, at: str = "") -> ModelT:
    """`value` as `model`; a refusal points to the place, `at` being where the value itself is."""
    try:
        return parse(model, value)
    except Invalid as refusal:
        raise refused(refusal, at=at) from None


def refused(refusal: Invalid, *, at: str = "") -> Invalid:
    """The same refusal with a code of this package, and its pointers moved below `at`."""
    errors = tuple(FieldError(at + one.pointer, one.detail) for one in refusal.errors)
    if isinstance(refusal, LimitExceeded):
        ours: Invalid = Oversized(refusal.limit, refusal.maximum, detail=refusal.detail)
    else:
        ours = Unreadable(refusal.detail)
    ours.errors = errors or ((FieldError(at, refusal.detail),) if at else ())
    return ours


def _check_size(data: bytes, limits: Limits) -> None:
    if len(data) > limits.total_bytes:
        raise Oversized("total_bytes", limits.total_bytes)
    # Each value but the first comes after one of these. Only if there are too many it matters which are in texts.
    if sum(map(data.count, _SEPARATORS)) > limits.json_nodes and _has_more_nodes(data, limits.json_nodes):
        raise Oversized("json_nodes", limits.json_nodes)


def _has_more_nodes(data: bytes, most: int) -> bool:
    nodes = texts = 0
    for token in _TOKEN.finditer(data):
        if data[token.start()] == ord('"'):
            texts += 1
        else:
            nodes += 1
        if nodes > most or texts > 2 * most:
            return True
    return False
