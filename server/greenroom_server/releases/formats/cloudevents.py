"""CloudEvents 1.0 over HTTP, in its three modes; what is inside is left to `cdevents`.

Binary: attributes in `ce-` headers, the event in the body. Structured: all in the body. Batch: several of those.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from pydantic import Field

from greenroom_server.releases.formats.bounded_json import Foreign, Uri, parsed, strict_json
from greenroom_server.releases.formats.limits import Limits
from greenroom_server.releases.formats.refusals import Oversized, UnknownFormat, Unreadable
from greenroom_server.releases.formats.values import shown

BINARY: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_VERSION: Final = "1.0"
_ATTRIBUTES: Final = ("specversion", "id", "source", "type")


class _Attributes(Foreign):
    specversion: str
    id: Uri
    source: Uri
    type: Uri


class _Structured(_Attributes):
    content_type: str | None = Field(None, alias="datacontenttype")
    data: Any = None


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event with its context attributes. `at` is where its data is, as a JSON Pointer into the body."""

    id: str
    source: str
    type: str
    data: Any
    at: str


def read_cloudevents(
    media_type: str, data: bytes, headers: Mapping[str, str], limits: Limits
) -> tuple[CloudEvent, ...]:
    """The events of one request. `media_type` has no parameters, `headers` have names in small letters."""
    if media_type == STRUCTURED:
        return (_structured(strict_json(data, limits), ""),)
    if media_type == BATCH:
        return _batch(strict_json(data, limits), limits)
    return (_binary(data, headers, limits),)


def _batch(events: Any, limits: Limits) -> tuple[CloudEvent, ...]:
    if not isinstance(events, list):
        raise Unreadable("a batch is an array of events")
    if len(events) > limits.events:
        raise Oversized("events", limits.events)
    return tuple(_structured(event, f"/{index}") for index, event in enumerate(events))


def _structured(value: Any, at: str) -> CloudEvent:
    event = parsed(_Structured, value, at=at)
    _check_version(event.specversion, f"{at}/specversion")
    if event.content_type is not None and not _is_json(event.content_type):
        raise Unreadable("the data of an event must be JSON", field=f"{at}/datacontenttype")
    if event.data is None:
        raise Unreadable("the event has no `data`", field=f"{at}/data")
    return CloudEvent(event.id, event.source, event.type, event.data, f"{at}/data")


def _binary(data: bytes, headers: Mapping[str, str], limits: Limits) -> CloudEvent:
    told = {name: unquote(headers[f"ce-{name}"]) for name in _ATTRIBUTES if f"ce-{name}" in headers}
    for name in _ATTRIBUTES:
        if not told.get(name):
            raise Unreadable(f"a CloudEvent in binary mode needs the header `ce-{name}`", field=f"ce-{name}")
    attributes = parsed(_Attributes, told)
    _check_version(attributes.specversion, "ce-specversion")
    return CloudEvent(attributes.id, attributes.source, attributes.type, strict_json(data, limits), "")


def _check_version(version: str, field: str) -> None:
    if version != _VERSION:
        raise UnknownFormat(f"CloudEvents `{shown(version)}` are not read here, only {_VERSION}", field=field)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == BINARY or kind.endswith("+json")
