"""A release waits for what is on its way into the environment, if that brings work on the flag's stories."""

from typing import Any

import pytest
from tests.unit.policy.situations import HOUR, NOW, changed, codes, decided, facts, green, only

from greenroom_server.policy.facts import Commit, Permit, UnderWay
from greenroom_server.policy.fixtures import LIVE, NEW, NEW_COMMIT, STORY, Situation

UNKNOWN = "sha256:" + "00" * 32
WAITS = {"_under_way": "flag.build_under_way"}


def behind(**members: Any) -> Situation:
    """The story was worked on once more in the build that is new, while all slots run the one before."""
    situation = green("release")
    live = tuple(one for one in situation.snapshot.deployments if one.environment != "production")
    old = changed(situation.snapshot.deployments, "production-blue-bb", digest=LIVE)
    blue = tuple(one for one in old if one.id == "production-blue-bb")
    return facts(situation, deployments=(*live, *blue), **members)


def begun(digest: str = NEW, ago: int = 0, **members: Any) -> UnderWay:
    return UnderWay("d1", members.pop("environment", "production"), digest, NOW - ago, 900, **members)


def permit(digest: str = NEW, **members: Any) -> Permit:
    return Permit("p1", members.pop("environment", "production"), digest, members.pop("until", NOW + 1), 900, **members)


def said(situation: Situation) -> dict[str, str]:
    return codes(decided(situation, only("c3-open")))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {}),
        ({"under_way": (begun(),)}, WAITS),
        ({"under_way": (begun(UNKNOWN),)}, WAITS),
        ({"under_way": (begun(ago=HOUR - 1),)}, WAITS),
        ({"under_way": (begun(ago=HOUR),)}, {}),
        ({"under_way": (begun(environment="staging"),)}, {}),
        ({"under_way": (begun(LIVE),)}, {}),
        ({"permits": (permit(),)}, WAITS),
        ({"permits": (permit(service="shop"),)}, WAITS),
        ({"permits": (permit(service="other"),)}, {}),
        ({"permits": (permit(environment="staging"),)}, {}),
        ({"permits": (permit(until=NOW),)}, {}),
        ({"permits": (permit(until=NOW),), "under_way": (begun(permit="p1"),)}, {}),
        ({"under_way": (begun(UNKNOWN),), "stories": ()}, {}),
    ],
)
def test_what_is_on_its_way(members: dict[str, Any], expected: dict[str, str]) -> None:
    """Begun less than an hour ago, or permitted; in this environment, of this service, and with work on the story."""
    assert said(behind(**members)) == expected


def test_what_is_live_already_is_not_waited_for() -> None:
    """A deployment of what every slot has brings nothing."""
    assert said(facts(green("release"), under_way=(begun(),))) == {}


def test_the_first_deployment_of_all_is_waited_for() -> None:
    """Nothing is live, so whatever has the story brings it."""
    assert said(facts(green("release"), deployments=(), under_way=(begun(),))) == WAITS


def test_time_alone_ends_the_wait() -> None:
    """The answer says from when on it is not waited for any more."""
    decision = decided(behind(under_way=(begun(ago=HOUR - 5),)), only("c3-open"))

    assert (decision.verdict, decision.retry_at) == ("wait", NOW + 5)


def test_the_build_is_of_this_story() -> None:
    """The story's newest commit is in the build that is new, and the live one lacks it."""
    (story,) = (one for one in behind().snapshot.stories if one.key == STORY)
    (new,) = (one for one in behind().snapshot.builds if NEW in one.digests)
    assert story.latest_commit == NEW_COMMIT
    assert any(isinstance(one, Commit) and STORY in one.stories for one in new.commits)
