"""JSON Schema for the values of `object` flags, checked when a flag is saved.

Patterns run on a linear-time regex engine, no schema is fetched from anywhere, and references may neither go in
circles nor unfold without bound: any of these would let the author of a flag stall or steer the server.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from greenroom_server.errors import FieldError

MAX_SCHEMA_NODES: Final = 10_000
MAX_SCHEMA_DEPTH: Final = 100

_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1_000_000)
_MOST_SHOWN: Final = 10
_MOST_CHARACTERS: Final = 300
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
# They would let a reference mean another place than the one that is measured here.
_MOVERS: Final = ("$id", "id")
_DATA: Final = frozenset({"const", "enum", "default", "examples"})


class _Unusable(ValueError):
    """the schema refers to what it may not"""


def check_value_schema(schema: dict[str, Any], variants: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with the schema itself, or with the variants under it."""
    try:
        _Unfolding(schema).measure()
        validator = jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=_PATTERNS)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return [FieldError("/value_schema", f"not a usable JSON Schema: {_message(error)}")]
    errors = []
    for name, value in variants.items():
        for wrong in validator.iter_errors(value):
            pointer = "".join(f"/{_escaped(part)}" for part in (name, *wrong.instance_path))
            detail = f"does not satisfy the `value_schema`: {_message(wrong)}"
            errors.append(FieldError(f"/variants{pointer}", detail))
            if len(errors) == _MOST_SHOWN:
                return errors
    return errors


class _Unfolding:
    """How large a schema is when every reference stands for what it names."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def measure(self) -> None:
        """Raises `_Unusable` for references that leave the schema, go in circles or unfold past the limit."""
        self._size_of(self._root)

    def _size_of(self, node: Any) -> int:
        if not isinstance(node, dict | list):
            return 1
        mark = id(node)
        if mark in self._open:
            raise _Unusable("references that go in a circle are not taken")
        if len(self._open) > MAX_SCHEMA_DEPTH:
            raise _Unusable(f"with its references unfolded it is limited to {MAX_SCHEMA_DEPTH} levels")
        if mark not in self._sizes:
            self._open.add(mark)
            size = 1 + sum(map(self._size_of, self._inside(node)))
            self._open.remove(mark)
            if size > MAX_SCHEMA_NODES:
                raise _Unusable(f"with its references unfolded it is limited to {MAX_SCHEMA_NODES} nodes")
            self._sizes[mark] = size
        return self._sizes[mark]

    def _inside(self, node: dict[str, Any] | list[Any]) -> Iterator[Any]:
        if isinstance(node, list):
            yield from node
            return
        for name, value in node.items():
            if name in _REFERENCES and isinstance(value, str):
                yield self._target_of(value)
            elif name in _MOVERS and isinstance(value, str) and node is not self._root:
                raise _Unusable(f"only the whole schema may have an `{name}`")
            elif name not in _DATA:
                yield value

    def _target_of(self, reference: str) -> Any:
        if "%" in reference or (reference != "#" and not reference.startswith("#/")):
            raise _Unusable(f"references look like `#/$defs/name`, and `{reference[:80]}` does not")
        found: Any = self._root
        for part in reference.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise _Unusable(f"`{reference[:80]}` names nothing in the schema")
        return found


def _refuse(address: str) -> Any:
    raise ValueError(f"a schema must be whole, and `{address}` lies outside of it")


def _message(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error).splitlines()[0]
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
