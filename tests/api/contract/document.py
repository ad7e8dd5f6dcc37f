"""openapi.yaml as data: its operations, with references followed and path items merged in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import jsonschema_rs
import yaml

from greenroom_server.contract import contract_file

METHODS: Final = ("get", "post", "put", "patch", "delete", "options", "head", "trace")

Json = Any


@dataclass(frozen=True)
class Operation:
    """One operation; `parameters`, `request_body` and `responses` hold no references any more."""

    method: str
    path: str
    document: Mapping[str, Json]
    parameters: tuple[Mapping[str, Json], ...]
    request_body: Mapping[str, Json] | None
    responses: Mapping[str, Mapping[str, Json]]

    @property
    def id(self) -> str:
        return str(self.document["operationId"])

    def parameters_in(self, place: str) -> dict[str, Mapping[str, Json]]:
        return {one["name"]: one for one in self.parameters if one["in"] == place}


class Document:
    """The whole contract."""

    def __init__(self, document: Mapping[str, Json]) -> None:
        self.whole = document
        self.components: Mapping[str, Json] = document["components"]
        self.schemas: Mapping[str, Json] = self.components["schemas"]
        self.operations = tuple(self._operations())
        # Literal segments win over parameters.
        self._by_pattern = sorted(
            ((_pattern_of(path), path) for path in document["paths"]), key=lambda pair: pair[1].count("{")
        )

    def template_of(self, path: str) -> str | None:
        """The path template that this path is meant by."""
        return next((template for pattern, template in self._by_pattern if pattern.fullmatch(path)), None)

    def operation(self, method: str, template: str) -> Operation | None:
        method = "GET" if method == "HEAD" else method
        return next((one for one in self.operations if (one.method, one.path) == (method, template)), None)

    def resolve(self, node: Json) -> Json:
        """The node itself, or what its reference names."""
        while isinstance(node, Mapping) and "$ref" in node:
            node = self.at(node["$ref"])
        return node

    def at(self, reference: str) -> Json:
        """What `#/…` names; raises KeyError."""
        node: Json = self.whole
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def validator(self, schema: Json) -> jsonschema_rs.Draft202012Validator:
        """A validator of one of the document's schemas, formats included."""
        return _validator(_Identity(schema), _Identity(self.components))

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.whole["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = item[method]
                    body = operation.get("requestBody")
                    yield Operation(
                        method.upper(),
                        path,
                        operation,
                        tuple(
                            self.resolve(one) for one in (*item.get("parameters", ()), *operation.get("parameters", ()))
                        ),
                        None if body is None else self.resolve(body),
                        {status: self.resolve(one) for status, one in operation["responses"].items()},
                    )


@lru_cache(maxsize=1)
def the_contract() -> Document:
    """openapi.yaml, read once."""
    return Document(yaml.safe_load(contract_file().read_text("utf-8")))


class _Identity:
    """A cache key for something that cannot be hashed and never changes."""

    def __init__(self, value: Json) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value


@cache
def _validator(schema: _Identity, components: _Identity) -> jsonschema_rs.Draft202012Validator:
    whole = {"allOf": [schema.value], "components": components.value}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _pattern_of(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]*\})", template)
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts))
