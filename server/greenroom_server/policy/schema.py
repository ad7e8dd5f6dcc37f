"""The JSON Schema of policy documents for editors, as their authors write them. `make schema` writes it to its file."""

import json
from typing import Any, Final

from greenroom_server.policy.descriptions import DESCRIPTIONS
from greenroom_server.policy.document import PolicyDocument

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# What only the server's own readers need.
_INTERNAL: Final = ("title", "discriminator")


def document_schema() -> dict[str, Any]:
    """Everything that the shape of a document must be; what else may be wrong in one is told by the linter."""
    made = PolicyDocument.model_json_schema(by_alias=True)
    definitions = {name: _described(name, one) for name, one in sorted(made.pop("$defs").items())}
    document = _described("PolicyDocument", made)
    return {"$schema": DIALECT, "title": "Release policy of Greenroom", **document, "$defs": definitions}


def schema_text() -> str:
    """The content of `release-policy.schema.json`."""
    return json.dumps(document_schema(), indent=2) + "\n"


def _described(name: str, model: dict[str, Any]) -> dict[str, Any]:
    descriptions = DESCRIPTIONS[name]
    read = _as_authored(model)
    members = {
        member: {"description": descriptions[member], **of_member} for member, of_member in read["properties"].items()
    }
    return {**read, "description": descriptions[""], "properties": members}


def _as_authored(schema: Any) -> Any:
    """Without what is empty or null, which is refused, and without names of the server's own code."""
    if isinstance(schema, list):
        return [_as_authored(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _as_authored(value) for key, value in schema.items() if key not in _INTERNAL or isinstance(value, dict)
    }
    if kept.get("default", ...) in (None, [], {}):
        del kept["default"]
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    branches = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if len(branches) == 1:
        del kept["anyOf"]
        kept.update(branches[0])
    return kept
