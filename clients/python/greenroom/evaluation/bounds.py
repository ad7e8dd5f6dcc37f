"""Proves that a document is plain JSON within the limits, without recursion, before anything else looks at it."""

import math
from typing import Any

from greenroom.evaluation import limits
from greenroom.evaluation.findings import Place

_SURELY_SHORT = limits.MAX_STRING_BYTES // 4  # no character takes more than four bytes

Path = tuple[Any, ...]
"""(path of what is above, key), down from (); far cheaper than a Place, which is only made where something is wrong."""

Todo = list[tuple[Any, Path, int]]


def within_bounds(document: Any, place: Place, *, depth: int = 1) -> bool:
    """Whether the document is plain JSON within the limits; what is not is reported.

    `depth` is the depth at which the document itself stands. False means that it must not be walked recursively.
    """
    before = len(place.found)
    todo: Todo = [(document, (), depth)]
    while todo and len(place.found) < limits.MAX_FINDINGS:
        value, path, level = todo.pop()
        kind = type(value)
        if kind is not dict and kind is not list:
            _scalar(value, _at(place, path))
        elif level > limits.MAX_JSON_DEPTH:
            deepest = limits.MAX_JSON_DEPTH
            _at(place, path).report(f"nested deeper than {deepest} levels", "json_depth", deepest)
        elif kind is dict:
            _members(value, place, path, level, todo)
        else:
            todo += [(element, (path, at), level + 1) for at, element in enumerate(value) if not _is_fine(element)]
    return len(place.found) == before


def _is_fine(value: Any) -> bool:
    """Whether a value is one of the most common ones, about which nothing more needs to be asked."""
    kind = type(value)
    if kind is str:
        return len(value) <= _SURELY_SHORT and value.isascii() and "\0" not in value
    return kind is bool or value is None


def _at(root: Place, path: Path) -> Place:
    keys = []
    while path:
        path, key = path
        keys.append(key)
    place = root
    for key in reversed(keys):
        place = place.at(key)
    return place


def _members(value: dict[Any, Any], root: Place, path: Path, level: int, todo: Todo) -> None:
    for key, member in value.items():
        if not _is_fine(key) or type(key) is not str:
            here = _at(root, path)
            if type(key) is not str:
                here.report("a member name is not text")
                continue
            if not _text_is_fine(key, here):
                continue
        if not _is_fine(member):
            todo.append((member, (path, key), level + 1))


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
