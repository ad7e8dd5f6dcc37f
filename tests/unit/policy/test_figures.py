"""The figures of delivery, of histories written by hand."""

import pytest
from tests.unit.policy.histories import MINUTE, SERVICE, History, commit, digest, finished

from greenroom_server.policy.facts import Deployment, Scope, Story
from greenroom_server.policy.figures import Figures, figures

DAY_MINUTES = 24 * 60


def counted(history: History, since: float = 0, until: float = 7 * DAY_MINUTES) -> Figures:
    """The figures between two minutes."""
    return finished(figures(history.chronicle(), history.at(since), history.at(until)))


def test_nothing_happened() -> None:
    """No division by nothing, and nothing is made up."""
    found = counted(History())

    assert (found.deployments, found.releases, found.lead_times, found.restore_times) == (0, (), (), ())


def test_deployments_of_the_period_and_their_lead_times() -> None:
    """What got the traffic in [since, until); a build that never did by itself is delivered with its heir."""
    history = History()
    for number in (1, 2, 3, 4):
        history.built(number, number * 10)
    history.live(1, 15)
    history.live(3, 100)
    history.live(4, 200)

    found = counted(history, 50, 200)

    assert found.deployments == 1
    assert sorted(found.lead_times) == [70 * MINUTE, 80 * MINUTE]  # of builds 3 and 2


def test_rolling_back_is_no_deployment_and_what_it_took_back_failed() -> None:
    """Within a day it is a change failure; later it is still counted as rolled back to, and no failure."""
    history = History()
    for number in (1, 2, 3):
        history.built(number, 0)
    history.live(1, 10)
    history.live(2, 20)
    history.live(1, 30)
    history.live(3, 40)
    history.live(1, 40 + DAY_MINUTES)

    found = counted(history)

    assert (found.deployments, found.rollbacks) == (3, 2)
    assert (found.rolled_back, found.failed_changes) == (1, 1)


@pytest.mark.parametrize(("after", "failed"), [(DAY_MINUTES - 1 / MINUTE, 1), (DAY_MINUTES, 0)])
def test_an_incident_of_what_just_got_the_traffic(after: float, failed: int) -> None:
    """Within a day, half-open; a failure counts once, however it failed."""
    history = History()
    history.built(1, 0)
    history.live(1, 10)
    history.burnt(10 + after)
    history.burnt(10 + after, Scope(digest=digest(1)))
    history.burnt(10 + after, Scope("other"))

    found = counted(history)

    assert (found.with_incident, found.failed_changes, found.deployments) == (failed, failed, 1)


def test_what_never_ran_and_what_went_elsewhere() -> None:
    """Failed deployments are counted apart; staging is another environment."""
    history = History()
    history.built(1, 0)
    history.live(1, 5, "staging")
    failed = Deployment("f", SERVICE, "production", digest(1), history.at(6), 9, has_failed=True)
    history.tell(6, "deployments", "f", failed)

    found = counted(history)

    assert (found.deployments, found.failed_deployments) == (0, 1)


def test_releases_are_flags_that_stop_being_dark() -> None:
    """Each time, of flags that hide the service's stories; and how long the code had been live in the dark."""
    history = History()
    history.flag(0, "new-checkout", True, "shop-1")
    history.flag(0, "other", True)
    history.flag(0, "lost", None, "shop-1")
    history.built(1, 1, "shop-1")
    history.live(1, 10)
    history.flag(70, "new-checkout", False, "shop-1")
    history.flag(80, "new-checkout", True, "shop-1")
    history.flag(90, "new-checkout", False, "shop-1")
    history.flag(90, "other", False)
    history.flag(90, "lost", False, "shop-1")

    found = counted(history)

    assert [(one.flag, one.at) for one in found.releases] == [
        ("new-checkout", history.at(70)),
        ("new-checkout", history.at(90)),
    ]
    assert found.dark_times == (60 * MINUTE, 80 * MINUTE)
    assert found.deployments == 1


def test_a_flag_that_its_story_names_counts_too() -> None:
    """And one that was lit before its code was live has no time in the dark."""
    history = History()
    history.flag(0, "early", True)
    history.built(1, 1)
    history.tell(2, "stories", "shop-1", Story("shop-1", ("early",), commit(1)))
    history.flag(3, "early", False)
    history.live(1, 10)

    found = counted(history)

    assert ([one.flag for one in found.releases], found.dark_times) == (["early"], ())


def test_what_nobody_can_connect_has_no_time_in_the_dark() -> None:
    """The story's newest work never got the traffic, or what did is of no known build."""
    history = History()
    history.flag(0, "early", True, "shop-1")
    history.built(1, 1, "shop-1")
    history.live(9, 5)
    history.built(2, 6, "shop-1")
    history.live(1, 10)
    history.flag(20, "early", False, "shop-1")

    found = counted(history)

    assert (len(found.releases), found.dark_times) == (1, ())


def test_time_to_restore() -> None:
    """Of incidents that ended in the period; those that last are told apart."""
    history = History()
    history.burnt(10, until=40)
    history.burnt(20)
    history.burnt(30, until=8 * DAY_MINUTES)
    history.burnt(30, Scope(SERVICE, "staging"), until=50)

    found = counted(history)

    assert (found.restore_times, found.open_incidents) == ((30 * MINUTE,), 1)


def test_a_digest_that_nobody_knows() -> None:
    """What is live of no known build is a deployment all the same, and delivers nothing that is known."""
    history = History()
    history.built(1, 0)
    history.live(9, 10)

    found = counted(history)

    assert (found.deployments, found.lead_times) == (1, ())


def test_an_incident_after_it_lost_the_traffic_is_not_its_own() -> None:
    """Something else had the traffic by then."""
    history = History()
    history.built(1, 0)
    history.built(2, 1)
    history.live(1, 10)
    history.live(2, 20)
    history.burnt(25)

    found = counted(history)

    assert (found.with_incident, found.deployments) == (1, 2)
