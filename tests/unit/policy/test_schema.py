"""The JSON Schema for editors: made from the model, complete, and of one mind with the reader."""

import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from tests.unit.policy.documents import more, rule, shop

from greenroom_server.policy import schema
from greenroom_server.policy.descriptions import DESCRIPTIONS
from greenroom_server.policy.initial import TEMPLATES, render_template
from greenroom_server.policy.reading import read_document
from greenroom_server.policy.remarks import PolicyRefused
from greenroom_server.web.yaml_codec import read_yaml

SCHEMA = schema.document_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


def test_file_is_up_to_date() -> None:
    """The committed file is what the model gives; `make schema` writes it."""
    committed = resources.files("greenroom_server.policy").joinpath("release-policy.schema.json").read_text("utf-8")

    assert committed == schema.schema_text()


def test_everything_is_described() -> None:
    """No member without a description, and no description without a member."""
    models = {"PolicyDocument": SCHEMA, **SCHEMA["$defs"]}

    assert {name: {"", *model["properties"]} for name, model in models.items()} == {
        name: set(members) for name, members in DESCRIPTIONS.items()
    }
    assert all(member["description"] for model in models.values() for member in model["properties"].values())


def test_nothing_is_left_open() -> None:
    """Every object is closed and no member may be null, so that an editor marks what the server refuses."""

    def closed(one: Any) -> bool:
        if isinstance(one, list):
            return all(closed(part) for part in one)
        if not isinstance(one, dict):
            return True
        is_object = one.get("type") == "object"
        return (not is_object or one.get("additionalProperties") is False) and all(
            closed(part) for part in one.values()
        )

    assert closed(SCHEMA)
    assert '"null"' not in schema.schema_text()


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_fit(template: str) -> None:
    """What `policy init` writes is not underlined."""
    text = render_template(template, name="shop", time_zone="UTC")

    assert VALIDATOR.is_valid(read_yaml(text.encode(), nodes=10_000))


def test_the_guide_fits() -> None:
    """The example of the guide is not underlined."""
    assert VALIDATOR.is_valid(shop())
    jsonschema_rs.meta.validate(json.loads(schema.schema_text()))


@pytest.mark.parametrize(
    "document",
    [
        {**shop(), "colour": "red"},
        {**shop(), "environments": {}},
        {**shop(), "environments": {"Prod": {"order": 1, "tier": "production"}}},
        {**shop(), "suites": {}},
        {**shop(), "rules": None},
        rule(shop(), "soak", **{"for": "a day"}),
        rule(shop(), "soak", **{"for": 86_400}),
        rule(shop(), "soak", for_="1d"),
        rule(shop(), "c1-suite", require=[]),
        rule(shop(), "c1-suite", require="most"),
        rule(shop(), "c1-suite", max_skipped_percent=101),
        rule(shop(), "c1-suite", max_skipped_percent=1.5),
        rule(shop(), "c1-suite", actions=["ship"]),
        rule(shop(), "c1-suite", kind="suite"),
        more(shop(), kind="health", actions=["deploy"], sources=["slo"]),
    ],
)
def test_both_refuse(document: dict[str, Any]) -> None:
    """What the reader refuses for its shape, the schema does."""
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(PolicyRefused):
        read_document(document)
