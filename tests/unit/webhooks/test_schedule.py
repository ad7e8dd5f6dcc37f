"""When a delivery is tried again."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from greenroom_server.webhooks.schedule import MAX_ATTEMPTS, MAX_RETRY_AFTER, Tried, next_try, retry_after_of, tried

NOW: Final = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
FAILED: Final = tried(500, None)


def test_the_waits_grow_and_end() -> None:
    """5 s, 30 s, 2 min, 10 min, 1 h, 3 h, 8 h, and then it is given up."""
    waits = []
    for attempts in range(1, MAX_ATTEMPTS):
        again = next_try(attempts, FAILED, NOW, 0.5)
        assert again is not None
        waits.append((again - NOW).total_seconds())

    assert waits == [5, 30, 120, 600, 3600, 10800, 28800]
    assert next_try(MAX_ATTEMPTS, FAILED, NOW, 0.5) is None


def test_the_waits_are_spread() -> None:
    """By a fifth to either side, so that what failed together does not come back together."""
    again = [next_try(4, FAILED, NOW, dice) for dice in (0.0, 1.0)]

    assert again == [NOW + timedelta(seconds=480), NOW + timedelta(seconds=720)]


def test_retry_after_makes_a_wait_longer_and_never_shorter() -> None:
    """The receiver knows better when it is back, but cannot make us hurry."""
    assert next_try(1, tried(429, timedelta(minutes=10)), NOW, 0.5) == NOW + timedelta(minutes=10)
    assert next_try(4, tried(503, timedelta(seconds=1)), NOW, 0.5) == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("status", "problem"), [(200, None), (204, None), (299, None), (301, "redirect"), (404, "status"), (500, "status")]
)
def test_only_2xx_is_success(status: int, problem: str | None) -> None:
    """A redirect is a failure of its own kind."""
    assert tried(status, None).problem == problem


def test_gone_is_gone() -> None:
    """A receiver that answers 410 gets no second try."""
    assert next_try(1, tried(410, None), NOW, 0.5) is None


def test_what_never_got_an_answer_is_tried_again() -> None:
    """A failure without a status waits like any other."""
    assert next_try(1, Tried(problem="timeout"), NOW, 0.5) == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("999999999999", MAX_RETRY_AFTER),
        ("Mon, 23 Nov 2026 05:03:00 GMT", timedelta(minutes=3)),
        ("Mon, 23 Nov 2026 04:00:00 GMT", timedelta(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("١٢", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, expected: timedelta | None) -> None:
    """Seconds or a date, within bounds; nonsense counts as nothing."""
    assert retry_after_of(header, NOW) == expected
