"""Whether enough people agreed. Pure: every moment is an argument.

Who somebody is gets looked at when it is decided, not only when they spoke: names that were found to be one person's
later count once, and whoever is no longer active counts no more. The roles are those that they had when they spoke.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from greenroom_server.policy.people import People

State = Literal["draft", "open", "approved", "applied", "rejected", "withdrawn", "expired", "conflicted"]
Verdict = Literal["approve", "reject"]

OVER: Final = ("applied", "withdrawn")
WAITING: Final = ("open", "approved", "rejected")
_MACHINE: Final = "machine:"


@dataclass(frozen=True, slots=True)
class Demand:
    """What an environment wants: so many people, each in one of the roles (in any, if none is named).

    In the roles of `headless` a machine may speak as well, once for each role.
    """

    required: int = 0
    roles: frozenset[str] = frozenset()
    headless: frozenset[str] = frozenset()
    expires_after: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody said and did not take back; words are given in the order in which they were said."""

    who: str
    verdict: Verdict
    hash: str
    roles: frozenset[str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """What it comes to: who agrees, who is against it, and from when on so many agree no longer."""

    required: int
    approvers: tuple[str, ...]
    against: tuple[str, ...]
    until: datetime | None

    @property
    def is_enough(self) -> bool:
        return len(self.approvers) >= self.required and not self.against


def machine(role: str) -> str:
    """How a machine that speaks in a role is called; all machines of a role are one."""
    return _MACHINE + role


def tally(
    words: Sequence[Word],
    demand: Demand,
    content: str,
    editors: Collection[str],
    people: People,
    now: datetime,
) -> Tally:
    """Count the words on the content with this hash.

    A rejection stands whatever the content becomes. An approval ends at `at + expires_after`, that instant excluded.
    """
    authors = people.persons(editors)
    last: dict[str, Word] = {}
    for word in words:
        who = people.person_of(word.who)
        if people.is_active(who):
            last[who] = word
    against = tuple(sorted(who for who, word in last.items() if word.verdict == "reject"))
    ends = {
        who: word.at + demand.expires_after
        for who, word in last.items()
        if word.verdict == "approve" and word.hash == content and who not in authors and speaks_for(word, demand)
    }
    holding = sorted((end for end in ends.values() if end > now), reverse=True)
    until = holding[demand.required - 1] if 0 < demand.required <= len(holding) else None
    return Tally(demand.required, tuple(sorted(who for who, end in ends.items() if end > now)), against, until)


def speaks_for(word: Word, demand: Demand) -> bool:
    """Whether the speaker has a role that the environment asks for."""
    if word.who.startswith(_MACHINE):
        role = word.who.removeprefix(_MACHINE)
        return role in demand.headless and (not demand.roles or role in demand.roles)
    return not demand.roles or bool(word.roles & demand.roles)


def state_now(stored: str, tallies: Collection[Tally], expires_at: datetime | None, now: datetime) -> State:
    """The state that a request is in at this moment, given the one that it was found in last."""
    if stored not in WAITING:
        return stored  # type: ignore[return-value]
    if expires_at is not None and now >= expires_at:
        return "expired"
    if any(one.against for one in tallies):
        return "rejected"
    return "approved" if all(one.is_enough for one in tallies) else "open"
