"""openapi.yaml in itself: valid, whole, closed, and with examples that are true."""

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.api.contract.checking import wrong_in
from tests.api.contract.document import the_contract

# Objects that others may add to: contexts, whatever a flag's author likes, OFREP's requests, and alerts.
OPEN_ON_PURPOSE = {"Context", "OfrepRequest", "AlertmanagerMessage", "AlertMessage"}
# Closed by those that are composed of them.
PARTS = {"ProblemMembers", "TokenMembers", "WebhookMembers", "GuardrailMembers"}


def test_document_is_valid_openapi() -> None:
    """The document passes the OpenAPI 3.1 validator."""
    assert [error.message for error in OpenAPIV31SpecValidator(the_contract().whole).iter_errors()] == []


def test_all_references_resolve_and_all_components_are_used() -> None:
    """No reference leads nowhere, and no component stands unused."""
    contract = the_contract()
    references = set(_references(contract.whole))
    for reference in references:
        contract.at(reference)
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in contract.components.items()
        if kind != "securitySchemes"
        for name in named
    }
    assert components == references


def test_objects_are_closed() -> None:
    """Every object says what other members it takes, which is none unless it is meant to be open."""
    contract = the_contract()
    opened = [
        pointer
        for name, schema in contract.schemas.items()
        if name not in OPEN_ON_PURPOSE | PARTS
        for pointer, inner in _schemas(schema, f"#/components/schemas/{name}")
        if "properties" in inner and not _is_closed(inner) and "/allOf/" not in pointer
    ]
    opened += [
        f"{operation.id} {status}"
        for operation in contract.operations
        for status, response in operation.responses.items()
        for media in response.get("content", {}).values()
        for pointer, inner in _schemas(media["schema"], "")
        if "properties" in inner and not _is_closed(inner)
    ]
    assert opened == []


def test_operations_are_described_alike() -> None:
    """Every operation has one known tag, a summary without a full stop, and documented answers."""
    contract = the_contract()
    tags = {tag["name"] for tag in contract.whole["tags"]}
    for operation in contract.operations:
        assert len(operation.document["tags"]) == 1, operation.id
        assert set(operation.document["tags"]) <= tags, operation.id
        assert not operation.document["summary"].endswith("."), operation.id
        assert any(status.startswith("2") for status in operation.responses), operation.id


def test_bodies_have_examples() -> None:
    """Every request body, every answer and every problem comes with an example."""
    contract = the_contract()
    bare = [
        f"{operation.id} {where} {media_type}"
        for operation in contract.operations
        for where, media_type, media in _media_of(operation)
        if not list(_examples_of(media)) and not _is_dry_run_only(where, media)
    ]
    assert bare == []


@pytest.mark.parametrize("operation_id", [operation.id for operation in the_contract().operations])
def test_examples_of_an_operation_are_true(operation_id: str) -> None:
    """Each example of the operation validates against its schema."""
    contract = the_contract()
    operation = next(one for one in contract.operations if one.id == operation_id)
    wrong = [
        f"{where} {media_type}: {line}"
        for where, media_type, media in _media_of(operation)
        for example in _examples_of(media)
        for line in wrong_in(contract, media["schema"], example)
    ]
    for parameter in operation.parameters:
        if "example" in parameter:
            wrong += wrong_in(contract, parameter["schema"], parameter["example"])
    assert wrong == []


@pytest.mark.parametrize("name", [name for name, one in the_contract().schemas.items() if "examples" in one])
def test_examples_of_a_schema_are_true(name: str) -> None:
    """Each example of the schema validates against it."""
    contract = the_contract()
    schema = contract.schemas[name]
    assert [line for example in schema["examples"] for line in wrong_in(contract, schema, example)] == []


def _media_of(operation: Any) -> Iterator[tuple[str, str, Any]]:
    if operation.request_body is not None:
        for media_type, media in operation.request_body["content"].items():
            yield "request", media_type, media
    for status, response in operation.responses.items():
        for media_type, media in response.get("content", {}).items():
            yield status, media_type, media


def _examples_of(media: Any) -> Iterator[Any]:
    if "example" in media:
        yield media["example"]
    for example in media.get("examples", {}).values():
        yield example["value"]


def _is_dry_run_only(where: str, media: Any) -> bool:
    # What it looks like is shown with the verbs of configurations.
    return where == "200" and media["schema"].get("$ref", "").endswith("DryRun")


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)


def _schemas(schema: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(schema, dict):
        return
    yield pointer, schema
    for keyword in ("items", "additionalProperties", "propertyNames", "not"):
        yield from _schemas(schema.get(keyword), f"{pointer}/{keyword}")
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(keyword, ())):
            yield from _schemas(inner, f"{pointer}/{keyword}/{index}")
    for name, inner in schema.get("properties", {}).items():
        yield from _schemas(inner, f"{pointer}/properties/{name}")


def _is_closed(schema: Any) -> bool:
    return schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False
