"""CDEvents 0.4 and 0.5, normalised to the words of 0.5: what they say about builds, deployments, tests and incidents.

An event is known by (source, id). Its type is matched without the version at its end. Test suite runs name no
artifact, so their senders put what is missing into `customData.greenroom`; docs/evidence.md has the members.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AliasChoices, Field

from greenroom_server.releases.formats.bounded_json import Foreign, Id, Many, Uri, parsed
from greenroom_server.releases.formats.cdevents_subjects import READERS, EventRead
from greenroom_server.releases.formats.cloudevents import CloudEvent, read_cloudevents
from greenroom_server.releases.formats.drafts import About, Event, Fact, Ignored, Reading
from greenroom_server.releases.formats.limits import DEFAULT, MAX_LISTED, Limits
from greenroom_server.releases.formats.refusals import UnknownFormat, Unreadable
from greenroom_server.releases.formats.told import told_in
from greenroom_server.releases.formats.values import digest_of_bytes, shown
from greenroom_server.web.times import Moment

_PREFIX: Final = "dev.cdevents."
_TYPE: Final = re.compile(r"dev\.cdevents\.([a-z]+\.[a-z]+)\.[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*")
_READ_VERSIONS: Final = re.compile(r"0\.[45](?:\.[0-9]+[0-9A-Za-z.-]*)?")


class _LinkEnd(Foreign):
    context_id: Id | None = Field(None, alias="contextId")


class _Link(Foreign):
    target: _LinkEnd | None = None
    origin: _LinkEnd | None = Field(None, alias="from")


class _Context(Foreign):
    version: Annotated[Id, Field(validation_alias=AliasChoices("specversion", "version"))]
    id: Id
    source: Uri
    type: Id
    timestamp: Moment
    chain_id: Id | None = Field(None, alias="chainId")
    links: Many[_Link] | None = None


class _Subject(Foreign):
    id: Uri
    content: dict[str, Any]


class _CdEvent(Foreign):
    context: _Context
    subject: _Subject
    custom: dict[str, Any] | str | None = Field(None, alias="customData")


def read_cdevents(
    media_type: str,
    data: bytes,
    headers: Mapping[str, str],
    about: About | None = None,
    *,
    limits: Limits = DEFAULT,
) -> Reading:
    """The facts of one request, all or nothing: one event that cannot be read refuses the batch that it is in.

    `about` is only for test suite runs, and only for what neither the event nor its `customData` says.
    """
    body_digest = digest_of_bytes(data)
    facts: list[Fact] = []
    ignored: list[Ignored] = []
    for cloud in read_cloudevents(media_type, data, headers, limits):
        found = _read_event(cloud, about, body_digest)
        if isinstance(found, str):
            ignored.append(Ignored(cloud.source, cloud.id, cloud.type, found))
        else:
            facts.append(found)
    return Reading(tuple(facts), tuple(ignored))


def _read_event(cloud: CloudEvent, about: About | None, body_digest: str) -> Fact | str:
    """What the event says, or why nothing is taken from it."""
    if not cloud.type.startswith(_PREFIX):
        return "this is no CDEvent"
    event = parsed(_CdEvent, cloud.data, at=cloud.at)
    context = event.context
    _check_agreement(cloud, context)
    if not _READ_VERSIONS.fullmatch(context.version):
        raise UnknownFormat(
            f"CDEvents `{shown(context.version)}` are not read here, only 0.4 and 0.5", field=f"{cloud.at}/context"
        )
    kind = _TYPE.fullmatch(context.type)
    if kind is None:
        raise Unreadable("a CDEvent's type ends in its version", field=f"{cloud.at}/context/type")
    reader = READERS.get(kind[1])
    if reader is None:
        return f"nothing is decided by `{kind[1]}`"
    return reader(
        EventRead(
            event=_event_of(context, body_digest),
            subject_id=event.subject.id,
            content=event.subject.content,
            told=told_in(event.custom, cloud.at),
            about=about,
            at=cloud.at,
        )
    )


def _check_agreement(cloud: CloudEvent, context: _Context) -> None:
    for name in ("id", "source", "type"):
        if getattr(cloud, name) != getattr(context, name):
            raise Unreadable(
                f"the CloudEvent's `{name}` and that of the CDEvent in it differ", field=f"{cloud.at}/context/{name}"
            )


def _event_of(context: _Context, body_digest: str) -> Event:
    ends = [end for link in context.links or () for end in (link.target, link.origin) if end]
    ids = dict.fromkeys(end.context_id for end in ends if end.context_id)
    return Event(
        source=context.source,
        id=context.id,
        type=context.type,
        at=context.timestamp,
        body_digest=body_digest,
        chain_id=context.chain_id,
        context_ids=tuple(ids)[:MAX_LISTED],
    )
