"""From the author's JSON-shaped data to the document and the bytes that name it.

Bytes become data elsewhere: JSON and YAML come in by the readers of `web`, which refuse duplicate keys and aliases.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from typing import Any, Final

import rfc8785
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from greenroom_server.policy.document import KEY_PATTERN, PolicyDocument
from greenroom_server.policy.remarks import PolicyRefused, Remark, path_of

MAX_REMARKS: Final = 50

_KEY: Final = "lower-case letters, digits, `.`, `_` and `-`, at most 100"
_PLAIN: Final = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "union_tag_not_found": "needs a `kind`",
    "union_tag_invalid": "has a `kind` that is none of {expected_tags}",
    "literal_error": "must be {expected}",
    "too_short": "must not be empty: leave it out, or list at least one",
    "too_long": "is limited to {max_length} entries",
    "string_too_short": "must not be empty",
    "string_too_long": "is limited to {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error}",
}


def read_document(authored: Any) -> tuple[PolicyDocument, str]:
    """The document, and the `sha256:` digest of its canonical JSON (RFC 8785) as authored, without defaults.

    Raises PolicyRefused for a shape that is not allowed; what else may be wrong is for `lint`.
    """
    try:
        canonical = rfc8785.dumps(authored)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise PolicyRefused([Remark("", f"cannot be written as canonical JSON: {_lowered(str(error))}")]) from None
    if nulls := list(_nulls("", authored)):
        raise PolicyRefused(
            [Remark(path, "is empty: give it a value, or leave it out") for path in nulls[:MAX_REMARKS]]
        )
    try:
        # Read back from the very bytes that the digest is of, and by the author's names only.
        document = PolicyDocument.model_validate_json(canonical, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAX_REMARKS]
        raise PolicyRefused([_remark(one, authored) for one in details]) from None
    return document, f"sha256:{sha256(canonical).hexdigest()}"


def _nulls(path: str, value: Any) -> Iterator[str]:
    """Where a value is missing, as YAML has it after a lone `environments:`. It must not mean "all of them"."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _nulls(path + path_of(key), member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _nulls(path + path_of(index), member)


def _remark(error: ErrorDetails, authored: Any) -> Remark:
    # A location also names the branches of unions: a rule's kind at its third place, and others, which the data tells.
    where = error["loc"]
    path, here = "", authored
    for part in where[:2] + where[3:] if where[:1] == ("rules",) else where:
        if _holds(here, part):
            path, here = path + path_of(part), here[part]
    if error["type"] == "missing":
        path += path_of(where[-1])
    return Remark(path, _message(error))


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _message(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    name = str(error["loc"][-1])[:100] if error["loc"] else ""
    if kind == "missing":
        return f"`{name}` is missing"
    if kind == "extra_forbidden":
        close = get_close_matches(name, _known_keys(), 1)
        return f"`{name}` is no key that is known here" + (f"; did you mean `{close[0]}`?" if close else "")
    if kind == "string_pattern_mismatch":
        wanted = _KEY if context["pattern"] == KEY_PATTERN else "dotted lower-case words such as `test.unit`"
        return f"`{str(error['input'])[:100]}` must be {wanted}"
    return _PLAIN[kind].format(**context) if kind in _PLAIN else _lowered(error["msg"])


@cache
def _known_keys() -> tuple[str, ...]:
    """Every key that has a meaning anywhere in a document."""
    schema = PolicyDocument.model_json_schema()
    return tuple(sorted({key for one in (schema, *schema["$defs"].values()) for key in one["properties"]}))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
