"""Following reports that come late, with a scripted list of exposures instead of a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.api.exposures.batches import new_id

from greenroom.cli.tail import LOOK_BACK_EVERY, PAGE, Follower, lowest_id

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Reported:
    """Answers as the server does: what follows an id, in order, a page at most."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.asked: list[str] = []

    def arrives(self, *seconds: float) -> list[str]:
        """Exposures that were made so many seconds after noon arrive now."""
        made = [new_id(NOON + timedelta(seconds=one)) for one in seconds]
        self.rows = sorted([*self.rows, *made])
        return made

    def __call__(self, after: str) -> list[dict[str, Any]]:
        self.asked.append(after)
        return [{"id": one} for one in self.rows if one > after][:PAGE]


def shown(follower: Follower) -> list[str]:
    return [one["id"] for one in follower.news()]


def test_only_what_is_new_is_shown() -> None:
    """What was there at the start is not, and nothing is shown twice."""
    reported = Reported()
    reported.arrives(-30, -1)
    follower = Follower(reported, [], NOON)

    new = reported.arrives(1, 2)
    assert [shown(follower), shown(follower)] == [new, []]


def test_what_comes_late_is_shown_when_it_is_looked_back_for() -> None:
    """An exposure from before the newest is found within the turns of one look back, and once."""
    reported = Reported()
    follower = Follower(reported, [], NOON)
    reported.arrives(60)
    shown(follower)

    late = reported.arrives(5)
    turns = [shown(follower) for _ in range(2 * LOOK_BACK_EVERY)]
    assert [turn for turn in turns if turn] == [late]


def test_what_is_later_than_that_is_not_waited_for() -> None:
    """Two minutes before the newest it ends, so that what is remembered has an end too."""
    reported = Reported()
    follower = Follower(reported, [], NOON)
    reported.arrives(300)
    shown(follower)

    reported.arrives(170)
    assert not any(shown(follower) for _ in range(2 * LOOK_BACK_EVERY))
    assert min(reported.asked) >= lowest_id(NOON - timedelta(minutes=2))


def test_many_at_once_are_read_page_by_page() -> None:
    """Nothing is passed over."""
    reported = Reported()
    follower = Follower(reported, [], NOON)

    new = sorted(reported.arrives(*(1 + number / 1000 for number in range(2 * PAGE + 1))))
    assert shown(follower) == new
