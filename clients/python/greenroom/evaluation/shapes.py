"""Small readers for members of JSON objects; each reports what is wrong and answers None for it."""

import re
from collections.abc import Collection
from typing import Any

from greenroom.evaluation import limits
from greenroom.evaluation.findings import Place, shown

FLAG_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def read_object(value: Any, place: Place, required: Collection[str], optional: Collection[str] = ()) -> Any:
    """The object, if it has the required members; unknown and missing members are reported."""
    if not isinstance(value, dict):
        place.report("must be an object")
        return None
    for name in value:
        if name not in required and name not in optional:
            place.at(name).report("unknown member")
    missing = [name for name in required if name not in value]
    for name in missing:
        place.at(name).report("is missing")
    return None if missing else value


def read_list(value: Any, place: Place, limit: str, maximum: int, *, may_be_empty: bool = True) -> list[Any]:
    """The list, or an empty one if there is none; a list past its limit is reported."""
    if not isinstance(value, list):
        place.report("must be a list")
        return []
    if not value and not may_be_empty:
        place.report("must not be empty")
    if len(value) > maximum:
        place.report(f"more than {maximum} elements", limit, maximum)
        return []
    return value


def read_boolean(value: Any, place: Place) -> bool:
    """The boolean, or False."""
    if not isinstance(value, bool):
        place.report("must be true or false")
        return False
    return value


def read_integer(value: Any, place: Place, maximum: int) -> int:
    """An integer from 0 to the maximum, or 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
        place.report(f"must be an integer from 0 to {maximum}")
        return 0
    return value


def read_text(value: object, place: Place, *, may_be_empty: bool = False) -> str:
    """Text, or an empty one."""
    if not isinstance(value, str):
        place.report("must be text")
        return ""
    if not value and not may_be_empty:
        place.report("must not be empty")
    return value


def read_matching(value: object, place: Place, pattern: re.Pattern[str]) -> str:
    """Text of the given form, or an empty one."""
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        place.report(f"{shown(value)} is not of the form {pattern.pattern}")
        return ""
    return value


def read_variant(value: Any, place: Place, variants: Collection[str]) -> str | None:
    """The name of one of the flag's variants."""
    if not isinstance(value, str) or value not in variants:
        place.report(f"{shown(value)} is not a variant of this flag")
        return None
    return value


def is_variant_name(name: str) -> bool:
    """Whether a variant may be called so: 1 to 100 characters that can be printed."""
    return 1 <= len(name) <= limits.MAX_NAME_LENGTH and name.isprintable()
