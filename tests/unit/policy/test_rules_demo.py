"""C2: what was shown, where, on what really ran there, and who accepted it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.policy.situations import (
    DAY,
    HOUR,
    NOW,
    changed,
    codes,
    decided,
    facts,
    green,
    only,
    with_rules,
    without,
)

from greenroom_server.policy.facts import Acceptance, Build, Commit, Deployment, Parity
from greenroom_server.policy.fixtures import FLAG, LIVE, NEW, NEW_COMMIT, OLD_COMMIT, STORY, Situation

RULE = with_rules({"kind": "demo", "actions": ["release", "deploy"]})
SHOWN = NOW - 2 * HOUR
LATER = "d4" * 20


def said(situation: Situation) -> str | None:
    return codes(decided(situation, RULE)).get("demo")


def shown(**members: Any) -> Situation:
    situation = green("release")
    return facts(situation, demos=changed(situation.snapshot.demos, "demo-1", **members))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, None),
        ({"stories": ("shop-2",)}, "demo.missing"),
        ({"revoked_at": NOW}, "demo.missing"),
        ({"accepted_by": ()}, "demo.not_accepted"),
        ({"accepted_by": (Acceptance("dev@example.com", "developer", NOW),)}, "demo.not_accepted"),
        ({"accepted_by": (Acceptance("pat@example.com", "product", NOW),)}, None),
        ({"slot": "blue"}, "demo.wrong_build"),
        ({"environment": "nowhere"}, "demo.wrong_build"),
        ({"at": NOW - 9 * DAY}, "demo.wrong_build"),
    ],
)
def test_demonstration(members: dict[str, Any], code: str | None) -> None:
    """One member of the demonstration is another."""
    assert said(shown(**members)) == code


def test_nearest_demonstration_speaks() -> None:
    """Of several that do not count, the one that came nearest tells what is still to do."""
    situation = shown(accepted_by=())
    other = replace(situation.snapshot.demos[0], id="demo-0", slot="blue")

    assert said(facts(situation, demos=(other, *situation.snapshot.demos))) == "demo.not_accepted"


@pytest.mark.parametrize(
    ("at", "drift", "code"),
    [
        (SHOWN, (), None),
        (SHOWN - 7 * DAY + 1, (), None),
        (SHOWN - 7 * DAY, (), "parity.stale"),
        (SHOWN, ("kernel",), "parity.drift"),
        (SHOWN + 1, (), "parity.missing"),
    ],
)
def test_parity_at_that_time(at: int, drift: tuple[str, ...], code: str | None) -> None:
    """What counts is what was known of the environment when it was shown, not what was found later."""
    one = Parity("p", "staging", "production", at, 1, drift)
    revoked = replace(one, id="q", revoked_at=NOW, drift=("much",))

    assert said(facts(green("release"), parities=(one, revoked))) == code


def test_reopened_story() -> None:
    """A demonstration counts from the moment of reopening on, and not before."""

    def reopened(at: int) -> str | None:
        situation = green("release")
        return said(facts(situation, stories=changed(situation.snapshot.stories, STORY, reopened_at=at)))

    assert (reopened(SHOWN), reopened(SHOWN + 1)) == (None, "demo.wrong_build")


def grown(stories: tuple[str, ...]) -> Situation:
    """Build C has grown from B by one commit, and is live everywhere."""
    situation = green("release")
    third = "sha256:" + "cc" * 32
    commits = (*situation.snapshot.builds[1].commits, Commit(LATER, stories=stories))
    build = Build("build-c", "shop", (third,), LATER, 5, NOW - HOUR, commits, (STORY,))
    live = tuple(
        replace(one, id=f"{one.id}-c", digest=third, deployed_at=NOW - HOUR, live_from=NOW - HOUR)
        for one in situation.snapshot.deployments
        if one.environment == "production" and one.digest == NEW
    )
    ended = tuple(
        replace(one, removed_at=NOW - HOUR, live_to=NOW - HOUR) if one.environment == "production" else one
        for one in situation.snapshot.deployments
    )
    return facts(situation, builds=(*situation.snapshot.builds, build), deployments=(*ended, *live))


def test_carried_forward_until_somebody_works_on_the_story() -> None:
    """What was demonstrated in B counts in C, unless C's commit works on the story; whoever registered that."""
    touched = grown((STORY,))
    told = facts(grown(()), stories=changed(grown(()).snapshot.stories, STORY, latest_commit=LATER))

    assert said(grown(())) is None
    assert said(touched) == "demo.wrong_build"
    assert said(told) == "demo.wrong_build"


def test_not_carried_backward() -> None:
    """What was shown in a later build, or one beside, says nothing about this one."""
    situation = green("release")
    builds = changed(situation.snapshot.builds, "build-b", commits=(Commit(NEW_COMMIT, stories=(STORY,)),))
    beside = Build("build-x", "shop", ("sha256:" + "ee" * 32,), LATER, 5, NOW, (Commit(NEW_COMMIT), Commit(LATER)))
    ran = changed(situation.snapshot.deployments, "staging-main-bb", digest=beside.digests[0])

    assert said(facts(situation, builds=(*builds, beside), deployments=ran)) == "demo.wrong_build"


def in_production(slot: str, blue: str, **live: Any) -> Situation:
    """Shown on a slot of production while B ran on green, idle, and something on blue."""
    situation = shown(environment="production", slot=slot)
    others = tuple(one for one in situation.snapshot.deployments if one.environment != "production")
    idle = Deployment("g", "shop", "production", NEW, SHOWN - HOUR, 3, "green", live_from=NOW - HOUR)
    before = Deployment("b", "shop", "production", blue, SHOWN - DAY, 2, "blue", live_from=SHOWN - DAY)
    return facts(situation, deployments=(*others, idle, replace(before, **{"live_to": NOW - HOUR, **live})))


@pytest.mark.parametrize(
    ("situation", "code"),
    [
        (in_production("green", LIVE), None),
        (in_production("green", LIVE, live_to=SHOWN + 1), None),
        (in_production("green", LIVE, live_to=SHOWN), "demo.not_production_like"),
        (in_production("green", LIVE, live_from=SHOWN + 1), "demo.not_production_like"),
        (in_production("green", LIVE, live_from=None), "demo.not_production_like"),
        (in_production("green", NEW), "demo.not_production_like"),
        (in_production("blue", LIVE), "demo.wrong_build"),
        (in_production("blue", NEW), "demo.not_production_like"),
    ],
)
def test_on_a_slot_of_production(situation: Situation, code: str | None) -> None:
    """An idle slot is production-like while another one is live with another build."""
    assert said(situation) == code


def test_environment_that_the_policy_does_not_know() -> None:
    """Nobody says that it is like production."""
    situation = shown(environment="demo-lab")
    ran = changed(situation.snapshot.deployments, "staging-main-bb", environment="demo-lab")

    assert said(facts(situation, deployments=ran)) == "demo.not_production_like"


def test_production_that_is_declared_so() -> None:
    """Production itself counts as production-like if the policy says so."""
    environments = {"production": {"order": 1, "tier": "production", "production_like": True}}
    policy = with_rules({"kind": "demo", "actions": ["release"]}, environments=environments, suites=None)
    situation = shown(environment="production", slot="blue")
    ran = changed(situation.snapshot.deployments, "production-blue-bb", deployed_at=SHOWN)

    assert decided(facts(situation, deployments=ran), policy).verdict == "allow"


def test_without_a_story() -> None:
    """A deployment without stories needs no demonstration; a release without one waits for it."""
    situation = green()
    builds = changed(situation.snapshot.builds, "build-b", stories=(), commits=(Commit(OLD_COMMIT), Commit(NEW_COMMIT)))
    plain = decided(facts(situation, builds=builds), with_rules({"kind": "demo"}, {"kind": "veto"}))

    assert (plain.verdict, codes(plain)) == ("allow", {"demo": "story.none"})
    assert said(facts(green("release"), stories=())) == "story.missing"


def test_release_of_what_is_live_nowhere() -> None:
    """There is no build that the story could have been shown in."""
    situation = green("release")
    idle = tuple(replace(one, live_from=None) for one in situation.snapshot.deployments)

    assert said(facts(situation, deployments=idle)) == "flag.build_not_live"


def test_flag_of_two_stories() -> None:
    """Every story of the flag must have been shown."""
    situation = green("release")
    second = replace(situation.snapshot.stories[0], key="shop-2", latest_commit=OLD_COMMIT)
    shown_both = changed(situation.snapshot.demos, "demo-1", stories=(STORY, "shop-2"))
    both = facts(situation, stories=(*situation.snapshot.stories, second))

    assert second.flags == (FLAG,)
    assert said(both) == "demo.missing"
    assert said(facts(both, demos=shown_both)) is None
    assert said(facts(both, demos=without(both.snapshot.demos, "demo-1"))) == "demo.missing"


def test_release_of_nothing_at_all() -> None:
    """Where no build is live and no story names the flag, linking a story comes first."""
    situation = facts(green("release"), deployments=(), stories=())

    assert codes(decided(situation, only("c2-demo"))) == {"c2-demo": "story.missing"}
