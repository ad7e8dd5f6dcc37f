"""Proves that a document is plain JSON within the limits, without recursion, before anything else looks at it."""

import math
from typing import Any

from greenroom.evaluation import limits
from greenroom.evaluation.findings import Place

_MAYBE_TOO_LONG = limits.MAX_STRING_BYTES // 4  # no character takes more than four bytes


def within_bounds(document: Any, place: Place, *, depth: int = 1) -> bool:
    """Whether the document is plain JSON within the limits; what is not is reported.

    `depth` is the depth at which the document itself stands. False means that it must not be walked recursively.
    """
    before = len(place.found)
    todo: list[tuple[Any, Place, int]] = [(document, place, depth)]
    while todo and len(place.found) < limits.MAX_FINDINGS:
        value, here, level = todo.pop()
        kind = type(value)
        if kind is dict or kind is list:
            if level > limits.MAX_JSON_DEPTH:
                here.report(f"nested deeper than {limits.MAX_JSON_DEPTH} levels", "json_depth", limits.MAX_JSON_DEPTH)
            elif kind is dict:
                _members(value, here, level, todo)
            else:
                _elements(value, here, level, todo)
        else:
            _scalar(value, here)
    return len(place.found) == before


def _members(value: dict[Any, Any], here: Place, level: int, todo: list[tuple[Any, Place, int]]) -> None:
    for key, member in value.items():
        if type(key) is not str:
            here.report("a member name is not text")
        elif _text_is_fine(key, here):
            todo.append((member, here.at(key), level + 1))


def _elements(value: list[Any], here: Place, level: int, todo: list[tuple[Any, Place, int]]) -> None:
    for index, element in enumerate(value):
        if type(element) is str and len(element) <= _MAYBE_TOO_LONG and element.isascii() and "\0" not in element:
            continue  # by far the most common element of a long list
        todo.append((element, here.at(index), level + 1))


def _scalar(value: Any, here: Place) -> None:
    kind = type(value)
    if kind is str:
        _text_is_fine(value, here)
    elif kind is int:
        if not -limits.MAX_INTEGER <= value <= limits.MAX_INTEGER:
            here.report("an integer beyond 2^53", "integer", limits.MAX_INTEGER)
    elif kind is float:
        if not math.isfinite(value):
            here.report("a number that JSON does not have")
    elif value is not None and kind is not bool:
        here.report("not a JSON value")


def _text_is_fine(text: str, here: Place) -> bool:
    if "\0" in text:
        here.report("text with a NUL character")
        return False
    if text.isascii() and len(text) <= limits.MAX_STRING_BYTES:
        return True
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        here.report("text with a lone surrogate")
        return False
    if size > limits.MAX_STRING_BYTES:
        here.report(f"text longer than {limits.MAX_STRING_BYTES} bytes", "string_bytes", limits.MAX_STRING_BYTES)
        return False
    return True
