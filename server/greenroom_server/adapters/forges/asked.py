"""What all forges have in common: a deployment waits, is told why, and is let through or not."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from greenroom_server.errors import Invalid
from greenroom_server.web.codec import read_json
from greenroom_server.webhooks.client import Answered, Question

Verdict = Literal["allow", "deny"]
Ask = Callable[[Question], Awaitable[Answered]]


class Unreadable(ValueError):
    """Says which member of what a forge sent cannot be used, and why."""


class NoAccess(Exception):
    """The forge did not let us in; `status` is its answer's, if there was one, else `problem` says what went wrong."""

    def __init__(self, answered: Answered) -> None:
        super().__init__(f"{answered.status or answered.problem}")
        self.answered = answered


@dataclass(frozen=True, slots=True)
class Account:
    """Where a forge is and who we are there; `credential` is in the clear, and only as long as it is used."""

    url: str
    name: str
    credential: str
    represented_as: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A deployment that waits for an answer.

    `ticket` names it among all of its integration; `environment` is the forge's name; `reply` is what the answer takes,
    and `secret` what of that nobody may read in the store. After `lifetime` no answer is taken any more.
    """

    ticket: str
    environment: str
    lifetime: timedelta
    commit: str | None = None
    digest: str | None = None
    reply: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None


class Forge(Protocol):
    """How one kind of forge is answered. `max_comment` and `max_notes` are its limits, in characters and number."""

    max_comment: int
    max_notes: int

    async def headers(self, account: Account, reply: Mapping[str, str], ask: Ask, now: datetime) -> dict[str, str]:
        """What lets us in; raises `NoAccess`, and ValueError for a credential that is none."""
        ...

    def answer(self, account: Account, reply: Mapping[str, str], verdict: Verdict, comment: str) -> tuple[str, Any]:
        """The URL and the JSON that let the deployment through, or not."""
        ...

    def note(self, reply: Mapping[str, str], comment: str) -> tuple[str, Any] | None:
        """The URL and the JSON that tell why it has to wait, where the forge shows that to anybody."""
        ...


def document_of(body: bytes) -> Any:
    """The JSON that a forge sent; raises `Unreadable`. Its pull requests have long descriptions, which nobody reads."""
    try:
        return read_json(body, nodes=200_000, string_bytes=512 * 1024)
    except Invalid as error:
        raise Unreadable(str(error)) from None


def text_of(document: Any, *path: str, pattern: str | None = None) -> str:
    """The text, or whole number as text, at a path of members; raises `Unreadable` naming it."""
    value = document
    for member in path:
        value = value.get(member) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    name = ".".join(path)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"`{name}` is missing")
    if len(value) > 2000:
        raise Unreadable(f"`{name}` is limited to 2000 characters")
    if pattern is not None and re.fullmatch(pattern, value) is None:
        raise Unreadable(f"`{name}` does not look like one: it must match {pattern}")
    return value
