"""What happened, as CDEvents' own schema of custom events wants it."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import orjson
import pytest

from greenroom_server.webhooks.cdevents import cloud_event, type_of
from greenroom_server.webhooks.events import Happening

# https://github.com/cdevents/spec, v0.5.1, custom/schema.json
SCHEMA: Final = orjson.loads(Path(__file__).with_name("cdevents-custom-0.5.1.schema.json").read_bytes())
del SCHEMA["properties"]["context"]["properties"]["links"]  # another schema's, and we send none
AT: Final = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
TARGET: Final = "/api/v1/projects/shop/decisions/0199"


def told(type_: str = "decision.deploy", sequence: int | None = 17, **data: Any) -> dict[str, Any]:
    happening = Happening("shop", type_, AT, {"target": TARGET, **data}, sequence=sequence)
    read: dict[str, Any] = orjson.loads(cloud_event(happening, "message-1"))
    return read


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("decision.deploy", "dev.cdeventsx.greenroom-decision.deploy.0.1.0"),
        ("flag.served_while_dark", "dev.cdeventsx.greenroom-flag.servedWhileDark.0.1.0"),
        ("change_request.opened", "dev.cdeventsx.greenroom-changeRequest.opened.0.1.0"),
        ("a.b.c_d", "dev.cdeventsx.greenroom-a.bCD.0.1.0"),
        ("alone", "dev.cdeventsx.greenroom-alone.happened.0.1.0"),
    ],
)
def test_types_are_custom_ones(type_: str, expected: str) -> None:
    """The names have letters only, as the specification wants it."""
    assert type_of(type_) == expected
    assert re.fullmatch(SCHEMA["properties"]["context"]["properties"]["type"]["pattern"], expected)


def test_the_data_is_a_whole_cdevent() -> None:
    """It is valid by the specification's schema, and says what the audit event does."""
    event = told(changes=[{"path": "", "op": "add", "to": {"decision": "allow"}}])["data"]

    jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True).validate(event)
    assert event["context"]["timestamp"] == "2026-11-23T05:00:00Z"
    assert event["subject"]["id"] == TARGET
    assert event["subject"]["content"]["changes"][0]["to"] == {"decision": "allow"}


def test_the_envelope_agrees_with_the_event() -> None:
    """The attributes of the CloudEvent are taken from the CDEvent; its own version is CloudEvents'."""
    envelope = told()
    context = envelope["data"]["context"]

    assert envelope["specversion"] == "1.0"
    assert (envelope["id"], envelope["source"], envelope["type"]) == (context["id"], context["source"], context["type"])
    assert (envelope["subject"], envelope["time"]) == (TARGET, context["timestamp"])


def test_ids_name_the_event_and_not_the_message() -> None:
    """Numbered events have one id in all destinations; what the log does not number is named by its message."""
    assert told()["id"] == "shop-17"
    assert told(sequence=None)["id"] == "message-1"
