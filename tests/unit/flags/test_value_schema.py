"""JSON Schemas of flag values: what is refused, and that none can stall or steer the server."""

import time
from typing import Any

import pytest

from greenroom_server.errors import FieldError
from greenroom_server.flags.value_schema import MAX_SCHEMA_NODES, check_value_schema


def doubling(levels: int) -> dict[str, Any]:
    """Every level refers to the one below twice."""
    names: dict[str, Any] = {"a0": {"type": "object"}}
    for level in range(1, levels + 1):
        names[f"a{level}"] = {"allOf": [{"$ref": f"#/$defs/a{level - 1}"}, {"$ref": f"#/$defs/a{level - 1}"}]}
    return {"$defs": names, "$ref": f"#/$defs/a{levels}"}


def chain(length: int) -> dict[str, Any]:
    names: dict[str, Any] = {f"a{at}": {"$ref": f"#/$defs/a{at + 1}"} for at in range(length)}
    return {"$defs": {**names, f"a{length}": {}}, "$ref": "#/$defs/a0"}


def test_fitting_values_pass() -> None:
    """Local references, patterns and nesting are fine."""
    schema = {
        "$defs": {"name": {"type": "string", "pattern": "^[a-z]+$"}},
        "properties": {"name": {"$ref": "#/$defs/name"}, "const": {"const": {"$ref": "elsewhere"}}},
    }

    assert check_value_schema(schema, {"a": {"name": "x"}, "b": {}}) == []


def test_value_that_does_not_fit() -> None:
    """The place of the wrong value is told, special characters escaped."""
    schema = {"properties": {"a/b": {"type": "integer"}}}

    found = check_value_schema(schema, {"v~1": {"a/b": "x"}})

    assert found == [
        FieldError("/variants/v~01/a~1b", 'does not satisfy the `value_schema`: "x" is not of type "integer"')
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"pattern": "("},
        {"pattern": "(?=a)b"},
        {"$schema": "http://example.org/my-schema"},
        {"$ref": "http://example.org/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "other.json#/x"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#"},
        {"properties": {"next": {"$ref": "#"}}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"$id": "x", "$defs": {"b": {}}, "$ref": "#/$defs/b"}}},
        {"$defs": {"a": {}}, "$ref": "#/%24defs/a"},
        {"$dynamicRef": "#anchor"},
        doubling(40),
        chain(5000),
    ],
    ids=lambda schema: str(schema)[:60],
)
def test_unusable_schema(schema: dict[str, Any]) -> None:
    """It is refused with the reason, quickly, and nothing is fetched."""
    start = time.perf_counter()
    found = check_value_schema(schema, {"a": {}})

    assert [error.pointer for error in found] == ["/value_schema"]
    assert time.perf_counter() - start < 2


def test_limit_of_unfolding() -> None:
    """At the limit a schema is taken, one node past it it is not."""
    at_limit: dict[str, Any] = {"allOf": [{} for _ in range(MAX_SCHEMA_NODES - 2)]}
    past: dict[str, Any] = {"allOf": [{} for _ in range(MAX_SCHEMA_NODES - 1)]}

    assert check_value_schema(at_limit, {}) == []
    assert "10000 nodes" in check_value_schema(past, {})[0].detail


def test_catastrophic_pattern_is_harmless() -> None:
    """A pattern that stalls backtracking engines takes no time here."""
    start = time.perf_counter()

    found = check_value_schema({"properties": {"x": {"pattern": "^(a+)+$"}}}, {"v": {"x": "a" * 5000 + "!"}})

    assert len(found) == 1
    assert time.perf_counter() - start < 1


def test_messages_are_short() -> None:
    """A long value is not repeated whole in the message."""
    found = check_value_schema({"properties": {"x": {"type": "integer"}}}, {"v": {"x": "a" * 5000}})

    assert len(found[0].detail) < 400


def test_many_errors_are_cut() -> None:
    """Ten errors are enough to work on."""
    assert len(check_value_schema({"required": ["x"]}, {f"v{at}": {} for at in range(50)})) == 10
