"""Each pydantic wire model says the same as its component in openapi.yaml, apart from titles and descriptions."""

import difflib
import inspect
import json
from typing import Any, Final

import pytest
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from tests.api.contract.document import the_contract

from greenroom_server.access import wire as access
from greenroom_server.audit import wire as audit
from greenroom_server.change_requests import wire as change_requests
from greenroom_server.decisions import wire as decisions
from greenroom_server.decisions import wire_stories as stories
from greenroom_server.exposures import wire as exposures
from greenroom_server.flags import wire as flags
from greenroom_server.guardrails import wire as guardrails
from greenroom_server.permits import wire as permits
from greenroom_server.readiness import wire as readiness
from greenroom_server.releases import wire as releases
from greenroom_server.releases import wire_builds as builds
from greenroom_server.releases import wire_events as events
from greenroom_server.releases import wire_evidence as evidence
from greenroom_server.releases import wire_facts as facts
from greenroom_server.rollouts import wire as rollouts
from greenroom_server.webhooks import wire as webhooks

# Described by hand in openapi.yaml and named by the models with `WithJsonSchema`.
BY_HAND: Final = {
    "Condition",
    "Serve",
    "Rule",
    "Prerequisite",
    "Variants",
    "Context",
    "Difference",
    "Decision",
    "PolicyDocument",
    "DsseEnvelope",
    "ChangeIn",
}
COMPONENTS: Final = "#/components/schemas/"
FOR_PEOPLE: Final = {"title", "description", "example", "examples"}


def models() -> list[type[BaseModel]]:
    """The public models of all wire modules."""
    return [
        model
        for module in (
            access,
            audit,
            change_requests,
            decisions,
            exposures,
            flags,
            guardrails,
            permits,
            releases,
            builds,
            events,
            evidence,
            facts,
            readiness,
            stories,
            rollouts,
            webhooks,
        )
        for name, model in vars(module).items()
        if inspect.isclass(model)
        and issubclass(model, BaseModel)
        and model.__module__ == module.__name__
        and not name.startswith("_")
        and name != "Closed"
    ]


NAMES: Final = {model.__name__ for model in models()} | BY_HAND


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_model_equals_its_component(model: type[BaseModel]) -> None:
    """The model's JSON Schema and the component agree member by member."""
    is_answer = model.__name__.endswith("Out") or model.__name__ in (
        "TokenCreated",
        "WebhookCreated",
        "GuardrailCreated",
        "Use",
        "FlagStanding",
    )
    made = model.model_json_schema(
        mode="serialization" if is_answer else "validation",
        ref_template=COMPONENTS + "{model}",
        schema_generator=_Generator,
    )
    made.pop("$defs", None)
    component = the_contract().schemas.get(model.__name__)
    assert component is not None, f"openapi.yaml has no component `{model.__name__}`"
    expected, found = _text_of(made), _text_of(component)
    if expected != found:
        lines = difflib.unified_diff(found, expected, "openapi.yaml", model.__qualname__, lineterm="", n=4)
        pytest.fail("\n".join([f"`{model.__name__}` differs:", *lines]), pytrace=False)


class _Generator(GenerateJsonSchema):
    """Hides references to the components written by hand, which pydantic would look for among its own models."""

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        made = super().generate_inner(schema)
        name = made.get("$ref", "").removeprefix(COMPONENTS)
        return {"x-component": name} if name in BY_HAND else made


def _text_of(schema: Any) -> list[str]:
    return json.dumps(_plain(schema), indent=1, sort_keys=True).splitlines()


def _plain(schema: Any) -> Any:
    """One spelling for what JSON Schema can say in several: small values inlined, compositions and null folded in."""
    if not isinstance(schema, dict):
        return schema
    schema = _with_null_folded_in(_inlined({name: value for name, value in schema.items() if name not in FOR_PEOPLE}))
    for name, value in schema.items():
        match name:
            case "items" | "additionalProperties" | "propertyNames":
                schema[name] = _plain(value)
            case "anyOf" | "oneOf":
                schema[name] = sorted((_plain(inner) for inner in value), key=str)
            case "properties":
                schema[name] = {member: _plain(inner) for member, inner in value.items()}
            case "required":
                schema[name] = sorted(value)
            case "type" if isinstance(value, list):
                schema[name] = sorted(value)
    return schema


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """References to values that are no models of their own are followed, and compositions are put together."""
    if "x-component" in schema:
        schema["$ref"] = COMPONENTS + schema.pop("x-component")
    reference = schema.get("$ref", "").removeprefix(COMPONENTS)
    if reference and reference not in NAMES:
        del schema["$ref"]
        schema = {**_plain(the_contract().schemas[reference]), **schema}
    if "unevaluatedProperties" in schema:
        schema = _composed(schema)
    if "patternProperties" in schema:
        ((pattern, inner),) = schema.pop("patternProperties").items()
        schema |= {"propertyNames": {"type": "string", "pattern": pattern}, "additionalProperties": inner}
    return schema


def _composed(schema: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in schema["allOf"]:
        part = the_contract().resolve(part)
        whole["properties"] |= part["properties"]
        whole["required"] += part["required"]
    return {**whole, "additionalProperties": schema["unevaluatedProperties"]}


def _with_null_folded_in(schema: dict[str, Any]) -> dict[str, Any]:
    alternatives = schema.get("anyOf")
    if alternatives is None or {"type": "null"} not in alternatives or len(alternatives) != 2:
        return schema
    (other,) = (_plain(one) for one in alternatives if one != {"type": "null"})
    if "$ref" in other or "oneOf" in other or isinstance(other.get("type"), list):
        return schema
    folded = {**other, **{name: value for name, value in schema.items() if name != "anyOf"}}
    folded["type"] = [other["type"], "null"]
    return folded
