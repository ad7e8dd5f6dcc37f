"""JSON Schema for the values of `object` flags, checked when a flag is saved.

Patterns run on a linear-time regex engine and no schema is fetched from anywhere: both would let the author of a
flag stall or steer the server.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from greenroom_server.errors import FieldError

_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1_000_000)
_MOST_SHOWN = 10


def check_value_schema(schema: dict[str, Any], variants: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with the schema itself, or with the variants under it."""
    try:
        validator = jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=_PATTERNS)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return [FieldError("/value_schema", f"not a usable JSON Schema: {_message(error)}")]
    errors = []
    for name, value in variants.items():
        for wrong in validator.iter_errors(value):
            pointer = "".join(f"/{_escaped(part)}" for part in (name, *wrong.instance_path))
            errors.append(FieldError(f"/variants{pointer}", f"does not satisfy the `value_schema`: {wrong.message}"))
            if len(errors) == _MOST_SHOWN:
                return errors
    return errors


def _refuse(address: str) -> Any:
    raise ValueError(f"a schema must be whole, and `{address}` lies outside of it")


def _message(error: Exception) -> str:
    return str(getattr(error, "message", None) or error).splitlines()[0]


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
