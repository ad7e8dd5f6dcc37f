"""Who counts, and when it is enough."""

from datetime import UTC, datetime, timedelta

import pytest

from greenroom_server.change_requests.judging import Demand, Tally, Verdict, Word, machine, state_now, tally
from greenroom_server.policy.people import People

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE = Demand(1, expires_after=timedelta(days=1))
NOBODY_KNOWN = People({})


def word(who: str, verdict: Verdict = "approve", content: str = "a", *, ago: timedelta = timedelta(0)) -> Word:
    return Word(who, verdict, content, frozenset({who}), NOW - ago)


def counted(*words: Word, demand: Demand = ONE, people: People = NOBODY_KNOWN) -> Tally:
    """On the content `a` of the author `an`."""
    return tally(words, demand, "a", ["an"], people, NOW)


def test_only_words_on_the_content_count() -> None:
    """An approval of another content is none; a rejection is, whatever it was on."""
    assert counted(word("bo", content="b")).approvers == ()
    assert counted(word("bo", "reject", "b")).against == ("bo",)


def test_the_last_word_counts() -> None:
    """Of one person, under whatever names."""
    aliases = People({"bob": "bo"})
    assert counted(word("bo"), word("bob", "reject"), people=aliases).against == ("bo",)
    assert counted(word("bo", "reject"), word("bob"), people=aliases).approvers == ("bo",)
    assert counted(word("bo"), word("bob"), demand=Demand(2), people=aliases).is_enough is False


def test_authors_and_the_departed_do_not_count() -> None:
    """Neither the author's other name, nor somebody who is not active; their rejection ends with them too."""
    people = People({"anna": "an"}, ["bo"])
    assert counted(word("an"), word("anna"), word("bo"), people=people).approvers == ()
    assert counted(word("bo", "reject"), people=people).against == ()


@pytest.mark.parametrize(("ago", "is_enough"), [(timedelta(days=1, milliseconds=-1), True), (timedelta(days=1), False)])
def test_an_approval_ends(ago: timedelta, is_enough: bool) -> None:
    """The last instant is excluded."""
    assert counted(word("bo", ago=ago)).is_enough is is_enough


def test_until_when_enough_agree() -> None:
    """That is when the last approval that is needed ends, of those that last longest."""
    words = [word(who, ago=timedelta(hours=hours)) for who, hours in (("bo", 1), ("cy", 2), ("di", 3))]
    assert counted(*words, demand=Demand(2, expires_after=timedelta(days=1))).until == NOW + timedelta(hours=22)
    assert counted(demand=Demand(0)).until is None


def test_machines_speak_where_they_are_let() -> None:
    """Only in a role that is headless and asked for, and once in each."""
    ci = Word(machine("ci"), "approve", "a", frozenset({"ci"}), NOW)
    headless = frozenset({"ci"})
    assert counted(ci).approvers == ()
    assert counted(ci, ci, demand=Demand(1, headless=headless)).approvers == ("machine:ci",)
    assert counted(ci, demand=Demand(1, frozenset({"product"}), headless)).approvers == ()
    assert tally([ci], Demand(1, headless=headless), "a", [machine("ci")], NOBODY_KNOWN, NOW).approvers == ()


@pytest.mark.parametrize(
    ("stored", "tallies", "expires_in", "state"),
    [
        ("open", [counted()], 1, "open"),
        ("open", [counted(word("bo"))], 1, "approved"),
        ("open", [counted(word("bo")), counted()], 1, "open"),
        ("approved", [counted()], 1, "open"),
        ("approved", [counted(word("bo"), word("cy", "reject"))], 1, "rejected"),
        ("approved", [counted(word("bo"))], 0, "expired"),
        ("draft", [counted(word("bo"))], 1, "draft"),
        ("applied", [counted()], 0, "applied"),
        ("conflicted", [counted(word("bo"))], 1, "conflicted"),
    ],
)
def test_the_state_of_the_moment(stored: str, tallies: list[Tally], expires_in: int, state: str) -> None:
    """Enough in every environment, nobody against it, and in time."""
    assert state_now(stored, tallies, NOW + timedelta(milliseconds=expires_in), NOW) == state
