"""Where builds may go, and what happens to flags: order, provenance, slots, dark and live flags."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.policy.documents import shop
from tests.unit.policy.situations import (
    HOUR,
    NOW,
    asking,
    changed,
    codes,
    decided,
    facts,
    green,
    only,
    policy,
    with_rules,
)

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import Build, Commit, Provenance
from greenroom_server.policy.fixtures import FLAG, LIVE, NEW, NEW_COMMIT, OLD_COMMIT, STORY, Situation

UNKNOWN = "sha256:" + "00" * 32
STAGING = "staging-main-bb"
DARK = ["c1-suite", "c2-demo", "c3-button", "c3-open", "dark"]
ORDER = with_rules({"kind": "order", "forbid_older_than_live": True})


def order(situation: Situation) -> tuple[str, dict[str, str]]:
    decision = decided(situation, ORDER)
    return decision.verdict, codes(decision)


def live_is(**members: Any) -> Situation:
    situation = green()
    return facts(situation, builds=changed(situation.snapshot.builds, "build-a", **members))


def test_after() -> None:
    """The build must have been in the environment before, in any digest, and not have failed there."""
    situation = green()
    other = changed(situation.snapshot.deployments, STAGING, digest=LIVE)
    broken = changed(situation.snapshot.deployments, STAGING, has_failed=True)

    assert order(situation) == ("allow", {})
    assert order(facts(situation, deployments=other)) == ("wait", {"order": "order.not_deployed"})
    assert order(facts(situation, deployments=broken)) == ("wait", {"order": "order.not_deployed"})


def test_older_than_live() -> None:
    """By ancestry; where neither has grown from the other, by which was registered first."""
    grown = (Commit(OLD_COMMIT), Commit(NEW_COMMIT), Commit("f6" * 20))
    denied = ("deny", {"order": "order.older_than_live"})

    assert order(live_is(commit="f6" * 20, commits=grown, registered_at=0)) == denied
    assert order(live_is(commit="f6" * 20, registered_at=NOW)) == denied
    assert order(live_is(commit="f6" * 20, registered_at=0)) == ("allow", {})
    assert order(live_is(commit=NEW_COMMIT, registered_at=NOW)) == ("allow", {})
    assert order(asking(green(), digest=LIVE))[0] == "wait"


def test_nobody_knows_what_is_live() -> None:
    """Then nobody knows what is newer; without the demand it does not matter."""
    situation = green()
    unknown = facts(
        situation, deployments=changed(situation.snapshot.deployments, "production-blue-aa", digest=UNKNOWN)
    )

    assert order(unknown) == ("wait", {"order": "order.live_unknown"})
    assert decided(unknown, with_rules({"kind": "order"})).verdict == "allow"


ORIGIN = with_rules({"kind": "provenance", "builders": ["ci://main"], "branches": ["main"], "verified": True})
GOOD = Provenance("p1", NEW, "ci://main", 1, NEW_COMMIT, "main", is_verified=True)


@pytest.mark.parametrize(
    ("records", "verdict", "code"),
    [
        ((GOOD,), "allow", None),
        ((), "wait", "provenance.missing"),
        ((replace(GOOD, digest=LIVE),), "wait", "provenance.missing"),
        ((replace(GOOD, builder="laptop"),), "deny", "provenance.builder"),
        ((replace(GOOD, commit=OLD_COMMIT),), "deny", "provenance.commit"),
        ((replace(GOOD, commit=None),), "allow", None),
        ((replace(GOOD, branch="hack"),), "deny", "provenance.branch"),
        ((replace(GOOD, branch=None),), "deny", "provenance.branch"),
        ((replace(GOOD, is_verified=False),), "wait", "provenance.unverified"),
        ((replace(GOOD, id="p0", builder="laptop"), GOOD), "allow", None),
        ((replace(GOOD, id="p0", builder="laptop"), replace(GOOD, is_verified=False)), "wait", "provenance.unverified"),
    ],
)
def test_provenance(records: tuple[Provenance, ...], verdict: str, code: str | None) -> None:
    """Builder, commit, branch and signature; of several records one must be right in everything."""
    decision = decided(facts(green(), provenances=records), ORIGIN)

    assert (decision.verdict, codes(decision).get("provenance")) == (verdict, code)


@pytest.mark.parametrize(
    ("must_be", "action", "slot", "verdict", "code"),
    [
        ("idle", "deploy", "green", "allow", None),
        ("idle", "deploy", "blue", "wait", "slot.live"),
        ("idle", "deploy", "red", "deny", "slot.unknown"),
        ("idle", "deploy", None, "deny", "slot.unknown"),
        ("deployed", "switch", "green", "allow", None),
        ("deployed", "switch", "blue", "wait", "slot.not_deployed"),
    ],
)
def test_slot(must_be: str, action: Any, slot: str | None, verdict: str, code: str | None) -> None:
    """A deployment goes to a slot without traffic, a switch to one that runs the build."""
    rule = with_rules({"kind": "slot", "must_be": must_be, "actions": [action]})

    decision = decided(asking(green(action), slot=slot), rule)

    assert (decision.verdict, codes(decision).get("slot")) == (verdict, code)


def test_environment_without_slots() -> None:
    """The rule says nothing there, which alone allows nothing."""
    environments = {"production": {"order": 1, "tier": "production"}}
    alone = with_rules({"kind": "slot"}, environments=environments, suites=None)
    beside = with_rules({"kind": "slot"}, {"kind": "veto"}, environments=environments, suites=None)

    assert codes(decided(green(), alone)) == {"_policy": "policy.none"}
    assert (decided(green(), beside).verdict, codes(decided(green(), beside))) == ("allow", {"slot": "slot.none"})


def dark(situation: Situation, under: Policy | None = None) -> tuple[str, dict[str, str]]:
    decision = decided(situation, under or only(*DARK))
    return decision.verdict, {name: code for name, code in codes(decision).items() if name == "dark"}


def lit(**members: Any) -> Situation:
    situation = green()
    return facts(situation, flags=changed(situation.snapshot.flags, FLAG, is_dark=False), **members)


def test_story_that_is_done_may_be_lit() -> None:
    """Its suites ran, it was demonstrated, and nothing stands in the way."""
    assert dark(lit()) == ("allow", {})


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ((), "story.no_flag"),
        ((FLAG, "second"), "flag.missing"),
        (("second",), "flag.missing"),
        ((FLAG,), "flag.not_dark"),
    ],
)
def test_unfinished_story(flags: tuple[str, ...], code: str) -> None:
    """Nothing hides it."""
    stories = changed(green().snapshot.stories, STORY, flags=flags)

    assert dark(lit(stories=stories, demos=())) == ("deny", {"dark": code})


def test_one_dark_flag_is_enough() -> None:
    """A story that hangs on two flags is dark while one of them is."""
    situation = lit(demos=())
    second = tuple(replace(one, key="second", is_dark=True) for one in situation.snapshot.flags)
    stories = changed(situation.snapshot.stories, STORY, flags=(FLAG, "second"))

    assert dark(facts(situation, stories=stories, flags=(*situation.snapshot.flags, *second))) == ("allow", {})


def test_story_that_nobody_knows() -> None:
    """A build with work on a story that was never registered brings something that nothing hides."""
    builds = changed(green().snapshot.builds, "build-b", stories=(STORY, "ghost"))

    assert dark(facts(green(), builds=builds)) == ("deny", {"dark": "story.no_flag"})


def test_what_is_live_already_is_not_new() -> None:
    """A story that every live build contains needs no flag, unless it was worked on since."""
    situation = lit(demos=())
    story = Commit(OLD_COMMIT, stories=(STORY,))
    had = changed(situation.snapshot.builds, "build-a", commits=(story,), stories=(STORY,))
    untouched = changed(had, "build-b", commits=(story, Commit(NEW_COMMIT)))

    assert dark(facts(situation, builds=had)) == ("deny", {"dark": "flag.not_dark"})
    assert dark(facts(situation, builds=untouched)) == ("allow", {})


def test_conditions_that_no_rule_shows() -> None:
    """Under a policy without a rule for C2, no story is ever done."""
    situation = lit()
    decision = decided(situation, only("c1-suite", "c3-open", "dark"))

    finding = next(one.finding for one in decision.rules if one.id == "dark")
    assert (decision.verdict, finding.params["unfinished"]) == ("deny", "done.uncovered")


def test_staging_is_measured_by_production() -> None:
    """Stories are done for production, also where a rule looks at another environment."""
    rules = [{"kind": "flags_dark", "environments": ["staging"]}]
    conditions = [rule for rule in shop()["rules"] if rule["id"] in DARK[:4]]
    under = with_rules(*rules, *conditions)
    situation = asking(lit(), environment="staging", slot=None)
    new = facts(situation, deployments=changed(situation.snapshot.deployments, STAGING, live_from=None))
    nowhere = with_rules(*rules, environments={"staging": {"order": 1, "tier": "staging"}}, suites=None)

    assert decided(new, under).verdict == "allow"
    assert codes(decided(facts(new, demos=()), under)) == {"flags-dark": "flag.not_dark"}
    assert codes(decided(new, nowhere)) == {"flags-dark": "flag.not_dark"}


def test_doneness_that_runs_out() -> None:
    """A lit story that is done holds only as long as its evidence is fresh."""
    decision = decided(lit(), only(*DARK[:4], "dark"))

    acceptance = next(one for one in lit().snapshot.evidence if one.suite == "acceptance")
    assert decision.expires_at == acceptance.finished_at + 14 * 24 * HOUR


def live(situation: Situation, **members: Any) -> dict[str, str]:
    return codes(decided(situation, with_rules({"kind": "flag_live", "actions": ["release"], **members})))


def test_flag_live() -> None:
    """The story must be on every live slot, or on any if the rule says so; where the rule says."""
    situation = green("release")
    half = facts(situation, deployments=changed(situation.snapshot.deployments, "production-blue-bb", digest=LIVE))
    nothing = facts(situation, deployments=())
    no = {"flag-live": "flag.build_not_live"}

    assert live(situation) == {}
    assert live(half) == no
    assert live(half, every_live_slot=False) == {}
    assert live(half, build_live_in="staging") == {}
    assert live(nothing) == no
    assert live(facts(situation, stories=())) == {"flag-live": "story.missing"}


def test_live_build_lacks_the_latest_work() -> None:
    """A story that was worked on since the live build is not in it as it is now."""
    situation = green("release")
    stories = changed(situation.snapshot.stories, STORY, latest_commit="f6" * 20)
    decision = decided(facts(situation, stories=stories), only("c1-suite", "live"))

    assert codes(decision) == {"c1-suite": "story.not_in_build", "live": "flag.build_not_live"}


def test_story_whose_commits_nobody_named() -> None:
    """Without a latest commit it is enough that the build contains the story."""
    situation = green("release")

    assert live(facts(situation, stories=changed(situation.snapshot.stories, STORY, latest_commit=None))) == {}


@pytest.mark.parametrize(
    ("digest", "builds", "code"),
    [
        (None, (), "digest.unknown"),
        (UNKNOWN, (), "digest.unknown"),
        (NEW, (Build("twin", "shop", (NEW,), "f6" * 20, 9, NOW),), "digest.ambiguous"),
        (NEW, (Build("other", "bakery", (NEW,), "f6" * 20, 9, NOW),), None),
    ],
)
def test_digest(digest: str | None, builds: tuple[Build, ...], code: str | None) -> None:
    """It must name exactly one build of the service, whatever the rules are about."""
    situation = green()
    known = facts(asking(situation, digest=digest), builds=(*situation.snapshot.builds, *builds))

    decision = decided(known)

    assert decision.verdict == ("allow" if code is None else "deny")
    assert codes(decision).get("_subject") == code
    assert {codes(decision).get(name) for name in ("c1-suite", "origin", "soak", "order", "c3-button")} == {code}


@pytest.mark.parametrize(
    ("of_commit", "code", "message"),
    [
        (0, "digest.unknown", "no build of `shop` is registered with the commit"),
        (1, "digest.unknown", "no build of `shop` is registered with the commit"),
        (2, "digest.ambiguous", "there are several builds of the commit"),
    ],
)
def test_commit_that_stands_for_no_build(of_commit: int, code: str, message: str) -> None:
    """Where no digest was found for a commit, the builds tell why; a digest found is asked about instead."""
    commit = "f6" * 20
    twins = tuple(
        Build(f"twin-{number}", "shop", (f"sha256:{number:064x}",), commit, number, NOW) for number in range(of_commit)
    )
    situation = facts(green(), builds=(*green().snapshot.builds, *twins))

    decision = decided(asking(situation, digest=None, commit=commit))

    finding = next(one.finding for one in decision.rules if one.id == "_subject")
    assert (decision.verdict, finding.code, decision.commit) == ("deny", code, commit)
    assert finding.message.startswith(message)


def test_policy_of_the_guide_is_what_is_tested() -> None:
    """The rules above are those of the guide."""
    assert set(DARK) <= {rule.id for rule in policy().document.rules}
