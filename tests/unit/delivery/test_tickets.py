"""Stream tokens: stable within the hour, over in time, and not to be altered."""

from uuid import UUID, uuid4

import pytest

from greenroom_server.delivery.tickets import BUCKET_S, TicketOffice

ENVIRONMENT, CREDENTIAL = UUID(int=1), UUID(int=2)
START = 1_000 * BUCKET_S


@pytest.fixture
def office() -> TicketOffice:
    return TicketOffice(b"secret")


def test_token_says_what_it_is_for(office: TicketOffice) -> None:
    """Environment and credential come back out of it."""
    ticket = office.check(office.issue(ENVIRONMENT, CREDENTIAL, START).decode(), START)

    assert ticket is not None
    assert (ticket.environment_id, ticket.credential_id) == (ENVIRONMENT, CREDENTIAL)


def test_token_is_the_same_for_the_whole_hour(office: TicketOffice) -> None:
    """Answers that carry it keep their bytes, also those of another server with the same secret."""
    first = office.issue(ENVIRONMENT, CREDENTIAL, START)

    assert office.issue(ENVIRONMENT, CREDENTIAL, START + BUCKET_S - 1) == first
    assert TicketOffice(b"secret").issue(ENVIRONMENT, CREDENTIAL, START + 5) == first
    assert office.issue(ENVIRONMENT, CREDENTIAL, START + BUCKET_S) != first


@pytest.mark.parametrize("asked_at", [START, START + BUCKET_S - 1])
def test_token_is_good_for_one_to_two_hours(office: TicketOffice, asked_at: int) -> None:
    """Whenever in the hour it was made."""
    token = office.issue(ENVIRONMENT, CREDENTIAL, asked_at).decode()

    assert office.check(token, asked_at + BUCKET_S) is not None
    assert office.check(token, START + 2 * BUCKET_S - 1) is not None
    assert office.check(token, START + 2 * BUCKET_S) is None


def test_every_altered_character_is_noticed(office: TicketOffice) -> None:
    """No character of the token can be another one."""
    token = office.issue(ENVIRONMENT, CREDENTIAL, START).decode()

    for position, character in enumerate(token[:-1]):
        altered = token[:position] + ("A" if character != "A" else "B") + token[position + 1 :]
        assert office.check(altered, START) is None, position


@pytest.mark.parametrize("token", ["", "x", "=", "ä", "A" * 91, "A" * 10_000, "\0"])
def test_nonsense_is_no_token(office: TicketOffice, token: str) -> None:
    """Whatever somebody puts into the URL."""
    assert office.check(token, START) is None


def test_token_of_another_installation_is_refused(office: TicketOffice) -> None:
    """The secret makes the difference."""
    token = TicketOffice(b"another secret").issue(ENVIRONMENT, CREDENTIAL, START).decode()

    assert office.check(token, START) is None


def test_memory_of_tokens_is_bounded(office: TicketOffice) -> None:
    """Many credentials do not make the office grow for ever."""
    for _ in range(10_500):
        office.issue(uuid4(), CREDENTIAL, START)

    assert len(office._issued) <= 10_001
