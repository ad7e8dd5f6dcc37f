"""Whether a story is done in a build, in the shape of a decision."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.policy.situations import DAY, HOUR, NOW, changed, codes, facts, green, only, policy

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decision import Decision
from greenroom_server.policy.done import done, standings_of_stories
from greenroom_server.policy.facts import BreakGlass, Obstacle, Scope, Story, Waiver
from greenroom_server.policy.fixtures import LIVE, NEW, STORY, Situation


def asked(situation: Situation, story: str = STORY, under: Policy | None = None, **members: Any) -> Decision:
    return done(situation.snapshot, story, replace(situation.request, **members), under or policy(), NOW)


def test_done() -> None:
    """C1, C2 and C3 hold, and the answer says until when, and what for each condition."""
    decision = asked(green())

    assert (decision.verdict, codes(decision)) == ("allow", {})
    assert [(one.condition, one.id) for one in decision.rules] == [
        ("C1", "c1-suite"),
        ("C2", "c2-demo"),
        ("C3", "c3-button"),
        ("C3", "c3-ilities"),
        ("C3", "c3-open"),
    ]
    assert decision.expires_at == NOW - HOUR + 14 * DAY
    assert (decision.action, decision.digest) == ("release", NEW)


@pytest.mark.parametrize(
    ("members", "verdict", "code"),
    [
        ({"demos": ()}, "wait", {"c2-demo": "demo.missing"}),
        ({"obstacles": (Obstacle("o", Scope("shop"), NOW, 1),)}, "wait", {"c3-open": "obstacle.open"}),
        ({"approvals": (), "mode": "hold"}, "allow", {}),
    ],
)
def test_not_done(members: dict[str, Any], verdict: str, code: dict[str, str]) -> None:
    """One condition is not shown; approvals, hours and the mode have no part in it."""
    decision = asked(facts(green(), **members))

    assert (decision.verdict, codes(decision)) == (verdict, code)


def test_build_that_lacks_the_latest_work() -> None:
    """A story is not done in a build without its latest commit."""
    situation = facts(green(), stories=changed(green().snapshot.stories, STORY, latest_commit="f6" * 20))

    decision = asked(situation)

    assert decision.verdict == "wait"
    assert codes(decision)["_story"] == "story.not_in_build"
    assert codes(asked(green(), digest=LIVE))["_story"] == "story.not_in_build"


def test_build_that_nobody_knows() -> None:
    """It is told as a decision tells it, not as an exception."""
    assert codes(asked(green(), digest="sha256:00")) == {"_subject": "digest.unknown"}
    assert codes(asked(green(), under=object())) == {"_policy": "rule.error"}  # type: ignore[arg-type]


def test_without_a_policy() -> None:
    """Nothing says when a story is done."""
    snapshot, request = green().snapshot, green().request

    decision = done(snapshot, STORY, request, None, NOW)

    assert (decision.verdict, codes(decision)) == ("deny", {"_policy": "policy.none"})
    assert standings_of_stories(snapshot, [STORY], request, None, NOW) == {}


def test_many_stories_are_found_as_each_is() -> None:
    """The list of many says of each what the answer about one says."""
    situation = facts(green(), stories=(*green().snapshot.stories, Story("other", latest_commit="f6" * 20)))
    many = standings_of_stories(situation.snapshot, [STORY, "other"], situation.request, policy(), NOW)
    unknown = standings_of_stories(
        situation.snapshot, [STORY], replace(situation.request, digest="sha256:00"), policy(), NOW
    )

    assert {key: one.verdict for key, one in many.items()} == {
        key: asked(situation, key).verdict for key in (STORY, "other")
    }
    assert many["other"].verdict == "wait"
    assert unknown[STORY].results[0].finding.code == "digest.unknown"


def test_policy_that_shows_not_all() -> None:
    """A condition that no rule is about is never met."""
    decision = asked(green(), under=only("c1-suite", "c3-open"))

    assert (decision.verdict, codes(decision)) == ("deny", {"_c2": "done.uncovered"})


def test_waived_is_done_and_broken_glass_is_not() -> None:
    """A waiver of a rule holds here as well, while break-glass makes nothing done."""
    red = facts(green(), evidence=changed(green().snapshot.evidence, "acceptance", outcome="fail"))
    waiver = Waiver("w", "c1-suite", Scope("shop", "production"), NOW + HOUR, "pat@example.com", NOW, 1)
    people = ("ines@example.com", "omar@example.com")
    glass = BreakGlass("b", "release", "production", NEW, people, ("incident-commander",), "x", NOW, NOW + HOUR, 1)

    assert (asked(facts(red, waivers=(waiver,))).verdict, asked(facts(red, break_glasses=(glass,))).verdict) == (
        "allow",
        "deny",
    )
