"""Reading a document of another format: its media type says which, and the query what the sender says beside it."""

import asyncio
from datetime import datetime
from typing import Final

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.releases.formats import NAME_OF, Beside, read
from greenroom_server.releases.formats.drafts import About, Run, Subject
from greenroom_server.releases.formats.dsse import PinnedKey
from greenroom_server.releases.intake import Told, told_in
from greenroom_server.web.call import Call
from greenroom_server.web.reply import JSON
from greenroom_server.web.times import moment_in

# What stands beside a document, and is in the JSON of a single piece of evidence.
BESIDE: Final = (
    *("kind", "suite", "digest", "commit", "environment", "slot"),
    *("run", "attempt", "producer", "url", "started_at", "finished_at"),
)
_EVENTS: Final = "cdevents"
MEDIA_TYPES: Final = (JSON, *sorted(name for name, found in NAME_OF.items() if found != _EVENTS and name != JSON))


async def read_document(call: Call, keys: tuple[PinnedKey, ...]) -> Told:
    """What the body says, in the format of its media type; raises an `Invalid` that says why it cannot be read."""
    about = _about_of(call)
    found = await asyncio.to_thread(read, call.media_type or "", [call.body], Beside(about, keys))
    return told_in(found.facts, about)


def _about_of(call: Call) -> About:
    query = call.query
    digest, commit = query.get("digest"), query.get("commit")
    return About(
        kind=query.get("kind", ""),
        suite=query.get("suite", ""),
        run=Run(query.get("run", ""), _attempt_of(query.get("attempt", "1"))),
        subject=None if digest is None and commit is None else Subject(digest, commit),
        environment=query.get("environment"),
        slot=query.get("slot"),
        producer=query.get("producer"),
        url=query.get("url"),
        started_at=None if query.get("started_at") is None else _moment_of(call, "started_at"),
        finished_at=None if query.get("finished_at") is None else _moment_of(call, "finished_at"),
    )


def _attempt_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:5]) <= 1000):
        raise Invalid(errors=[FieldError("attempt", "`attempt` is a whole number from 1 to 1000")])
    return int(text)


def _moment_of(call: Call, name: str) -> datetime:
    try:
        return moment_in(call.query[name])
    except ValueError as error:
        raise Invalid(errors=[FieldError(name, f"`{name}`: {error}")]) from None
