"""What happened as a CDEvent in a CloudEvent, for destinations that speak these. Pure.

CDEvents 0.5.1 knows neither decisions of a release policy nor flags, so the types are custom ones
(`dev.cdeventsx.greenroom-<subject>.<predicate>.<version>`). The binding is CloudEvents' structured JSON: the data is
the whole CDEvent. Ids are unique together with the source, and the same in all destinations.
"""

from datetime import datetime
from typing import Any, Final

from greenroom_server.web.codec import write_json
from greenroom_server.webhooks.events import Happening

MEDIA_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
SPEC_VERSION: Final = "0.5.1"
_EVENT_VERSION: Final = "0.1.0"


def cloud_event(happening: Happening, message_id: str) -> bytes:
    """The message as it is sent; `message_id` names what the audit log does not number."""
    event = _cdevent(happening, message_id)
    context, subject = event["context"], event["subject"]
    return write_json(
        {
            "specversion": "1.0",
            "id": context["id"],
            "source": context["source"],
            "type": context["type"],
            "subject": subject["id"],
            "time": context["timestamp"],
            "datacontenttype": "application/json",
            "data": event,
        }
    )


def type_of(happening_type: str) -> str:
    """`flag.served_while_dark` becomes `dev.cdeventsx.greenroom-flag.servedWhileDark.0.1.0`."""
    subject, _, predicate = happening_type.partition(".")
    return f"dev.cdeventsx.greenroom-{_letters(subject)}.{_letters(predicate or 'happened')}.{_EVENT_VERSION}"


def _cdevent(happening: Happening, message_id: str) -> dict[str, Any]:
    source = f"/api/v1/projects/{happening.project}"
    number = happening.sequence
    return {
        "context": {
            "specversion": SPEC_VERSION,
            "id": message_id if number is None else f"{happening.project}-{number}",
            "source": source,
            "type": type_of(happening.type),
            "timestamp": _moment(happening.at),
        },
        "subject": {"id": happening.data.get("target", source), "source": source, "content": dict(happening.data)},
    }


def _letters(text: str) -> str:
    """Names in a custom type have letters only."""
    first, *others = text.replace(".", "_").split("_")
    return first + "".join(part.capitalize() for part in others)


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
