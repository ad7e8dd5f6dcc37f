"""How outcomes become a decision: modes, waivers, break-glass, schedules, rollbacks, errors."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.policy.documents import shop
from tests.unit.policy.situations import (
    DAY,
    HOUR,
    NOW,
    asking,
    at,
    changed,
    codes,
    decided,
    facts,
    green,
    instant,
    only,
    outcomes,
    with_rules,
)

from greenroom_server.policy import judge
from greenroom_server.policy.canonical import write_decision
from greenroom_server.policy.compiled import compile_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.facts import BreakGlass, Build, Commit, Permit, Scope, Veto, Waiver
from greenroom_server.policy.findings import passed
from greenroom_server.policy.fixtures import FLAG, LIVE, NEW, NEW_COMMIT, OLD_COMMIT, STORY, Situation

RED = "c1-suite"


def red() -> Situation:
    situation = green()
    return facts(situation, evidence=changed(situation.snapshot.evidence, "acceptance", outcome="fail"))


@pytest.mark.parametrize("action", ["deploy", "switch", "release"])
def test_hold(action: Any) -> None:
    """On hold nothing goes, whatever the evidence says; a mode that nobody knows holds too."""
    held = facts(green(action), mode="hold")
    unknown = facts(green(action), mode="party")

    assert (decided(held).verdict, codes(decided(held))["_mode"]) == ("wait", "mode.hold")
    assert codes(decided(unknown))["_mode"] == "mode.hold"
    assert decided(facts(green("rollback"), mode="hold")).verdict == "allow"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: asking(one, environment="moon"), "the policy has no environment `moon`"),
        (lambda one: asking(one, action="explode"), "about the action `explode`"),
        (lambda one: asking(one, environment="staging"), "about the action `deploy` in `staging`"),
    ],
)
def test_nothing_is_allowed_by_absence(change: Any, message: str) -> None:
    """An unknown environment, an unknown action, and an environment that no rule is about are denied."""
    decision = decided(change(green()))

    assert (decision.verdict, codes(decision)) == ("deny", {"_policy": "policy.none"})
    assert message in decision.rules[0].finding.message


@pytest.mark.parametrize("action", ["deploy", "switch", "release", "rollback"])
def test_without_a_policy(action: Any) -> None:
    """Everything but darkening is denied."""
    situation = green(action)

    decision = decide(situation.snapshot, situation.request, None, NOW)

    assert (decision.verdict, codes(decision)) == ("deny", {"_policy": "policy.none"})


def test_rules_for_another_mode_alone() -> None:
    """A policy of which every rule is for another mode allows nothing."""
    rule = {"kind": "veto", "modes": ["deployment"]}

    assert codes(decided(green(), with_rules(rule))) == {"_policy": "policy.none"}


def test_rule_that_stumbles() -> None:
    """An exception in a rule is an error, which denies; the other rules are evaluated, and nothing escapes."""
    broken = facts(red(), evidence=(*red().snapshot.evidence, 7))

    decision = decided(broken, only("c3-open", "soak", "business-go"))

    assert decision.verdict == "deny"
    assert outcomes(decision) == {"business-go": "error"}
    assert codes(decision) == {"business-go": "rule.error"}
    assert decision.rules[0].finding.params == {"error": "AttributeError"}


def test_facts_that_cannot_be_written_down() -> None:
    """What could not be replayed is not allowed, but for darkening."""
    huge = facts(green(), seq=2**60)

    assert codes(decided(huge)) == {"_policy": "rule.error"}
    assert (decided(huge).verdict, decided(huge).inputs_digest) == ("deny", "")
    assert decided(asking(huge, action="darken")).verdict == "allow"


def test_snapshot_that_is_none() -> None:
    """Facts of the wrong shape deny, too."""
    situation = facts(green(), builds=None)

    assert (decided(situation).verdict, codes(decided(situation))) == ("deny", {"_policy": "rule.error"})


def test_own_check_that_stumbles() -> None:
    """What Greenroom checks by itself is guarded as rules are."""
    broken = facts(green(), permits=(Permit("p", "production", NEW, None, 1),))  # type: ignore[arg-type]

    assert (decided(broken).verdict, codes(decided(broken))) == ("deny", {"_concurrency": "rule.error"})


def test_rule_that_tells_of_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding that ends before it begins would make the search for the next moment endless, so it is an error."""
    monkeypatch.setattr(judge, "RULES", {"veto": lambda question, rule: passed(holds_until=question.now)})

    assert codes(decided(green(), with_rules({"kind": "veto"}))) == {"veto": "rule.error"}


def waived(rule: str = RED, **scope: str) -> tuple[Waiver, ...]:
    return (Waiver("w1", rule, Scope(**scope), NOW + HOUR, "pat@example.com", NOW, 1, "known flake"),)


@pytest.mark.parametrize(
    ("waivers", "verdict"),
    [
        (waived(environment="production", digest=NEW), "allow"),
        (waived(environment="production", service="shop"), "allow"),
        (waived(environment="production", service="shop", digest=NEW), "allow"),
        (waived(environment="production"), "deny"),
        (waived(digest=NEW), "deny"),
        (waived(environment="staging", digest=NEW), "deny"),
        (waived(environment="production", digest=LIVE), "deny"),
        (waived(environment="production", service="bakery"), "deny"),
        (waived("soak", environment="production", digest=NEW), "deny"),
        ((replace(waived(environment="production", digest=NEW)[0], until=NOW),), "deny"),
        ((replace(waived(environment="production", digest=NEW)[0], withdrawn_at=NOW),), "deny"),
    ],
)
def test_waiver(waivers: tuple[Waiver, ...], verdict: str) -> None:
    """Its key is the whole of rule, environment, and digest or service; two for one rule stand side by side."""
    other = replace(waived(environment="production", digest=LIVE)[0], id="w0")

    assert decided(facts(red(), waivers=(other, *waivers))).verdict == verdict


def test_waived_outcome_stays_visible() -> None:
    """The decision says who waived what it would have said, and holds until the waiver ends."""
    decision = decided(facts(red(), waivers=waived(environment="production", digest=NEW)))

    result = next(one for one in decision.rules if one.id == RED)
    assert (result.finding.outcome, result.underlying, result.waiver) == ("waived", "fail", "w1")
    assert (result.finding.code, decision.expires_at) == ("evidence.failed", NOW + HOUR)


def test_what_cannot_be_waived() -> None:
    """A rule with `waivable: false` ignores waivers, and so does an error."""
    situation = facts(green(), provenances=(), waivers=waived("origin", environment="production", digest=NEW))
    broken = facts(green(), evidence=(7,), waivers=waived("business-go", environment="production", digest=NEW))

    assert codes(decided(situation)) == {"origin": "provenance.missing"}
    assert codes(decided(broken, only("business-go"))) == {"business-go": "rule.error"}


def test_waiver_of_one_digest_covers_no_other_live_build() -> None:
    """A release is about all live builds, so a waiver for one digest is not enough."""
    situation = green("release")
    half = changed(situation.snapshot.deployments, "production-blue-bb", digest=LIVE)
    made = facts(
        situation, deployments=half, evidence=(), waivers=waived("c3-ilities", environment="production", digest=NEW)
    )

    assert codes(decided(made))["c3-ilities"] == "evidence.missing"
    assert outcomes(decided(facts(made, deployments=situation.snapshot.deployments)))["c3-ilities"] == "waived"


def test_rule_that_begins_later() -> None:
    """Before its day it only warns, and the answer holds until then."""
    situation = facts(green(), evidence=tuple(one for one in green().snapshot.evidence if one.kind != "sbom"))
    new_year = instant("2027-01-01T00:00+01:00")
    rules = only("new-sbom", "c3-open")

    before, after = decided(situation, rules), decided(at(situation, new_year), rules)

    assert (before.verdict, outcomes(before), before.expires_at) == ("allow", {"new-sbom": "warn"}, new_year)
    assert (after.verdict, codes(after)) == ("wait", {"new-sbom": "evidence.missing"})


GLASS = BreakGlass(
    id="bg1",
    action="deploy",
    environment="production",
    digest=NEW,
    confirmed_by=("ines@example.com", "omar@example.com"),
    roles=("incident-commander",),
    reason="checkout is down",
    at=NOW - HOUR,
    until=NOW + HOUR,
    seq=1,
)


@pytest.mark.parametrize(
    ("members", "verdict"),
    [
        ({}, "allow"),
        ({"used_at": NOW}, "deny"),
        ({"until": NOW}, "deny"),
        ({"at": NOW - 4 * HOUR, "until": NOW + DAY}, "deny"),
        ({"at": NOW - 4 * HOUR + 1, "until": NOW + DAY}, "allow"),
        ({"digest": LIVE}, "deny"),
        ({"environment": "staging"}, "deny"),
        ({"action": "switch"}, "deny"),
        ({"reason": " "}, "deny"),
        ({"roles": ("developer",)}, "deny"),
        ({"confirmed_by": ("ines@example.com",)}, "deny"),
        ({"confirmed_by": ("ines@example.com", "INES@example.com")}, "deny"),
        ({"confirmed_by": ("ines@example.com", "gone@example.com")}, "deny"),
    ],
)
def test_break_glass(members: dict[str, Any], verdict: str) -> None:
    """For one action, environment and digest, by two active people with the role, once, for at most four hours."""
    situation = facts(
        red(), break_glasses=(replace(GLASS, **members),), inactive_people=frozenset(["gone@example.com"])
    )

    assert decided(situation).verdict == verdict


def test_break_glass_ends() -> None:
    """The answer, which names it, holds until it does, at the latest four hours after it was given."""
    situation = facts(red(), break_glasses=(replace(GLASS, until=NOW + DAY),))

    decision = decided(situation)

    assert decision.expires_at == GLASS.at + 4 * HOUR
    assert write_decision(decision)["break_glass"] == "bg1"


def test_break_glass_is_not_used_where_it_is_not_needed() -> None:
    """What is allowed anyway does not spend it."""
    assert decided(facts(green(), break_glasses=(GLASS,))).break_glass is None


def test_break_glass_never() -> None:
    """What the policy lists under `never` stays, and so does what makes the digest certain."""
    origin = facts(green(), provenances=(), break_glasses=(GLASS,))
    twin = Build("twin", "shop", (NEW,), "f6" * 20, 9, NOW)
    ambiguous = facts(green(), builds=(*green().snapshot.builds, twin), break_glasses=(GLASS,))

    assert (decided(origin).verdict, decided(origin).break_glass) == ("wait", None)
    assert decided(ambiguous).verdict == "deny"


def test_break_glass_does_not_forge_a_signature() -> None:
    """Unsigned provenance stays unsigned where the rule asks for a signature."""
    rule = {"kind": "provenance", "builders": ["ci://main"], "verified": True}
    glass = {"roles": ["incident-commander"]}
    unsigned = tuple(replace(one, is_verified=False) for one in green().snapshot.provenances)
    situation = facts(green(), provenances=unsigned, break_glasses=(GLASS,))

    assert decided(situation, with_rules(rule, break_glass=glass)).verdict == "wait"
    assert decided(situation, with_rules({**rule, "verified": False}, break_glass=glass)).verdict == "allow"


def test_break_glass_needs_a_policy_that_knows_it() -> None:
    """Without `break_glass` in the policy there is no such way, and nothing owes a review by the policy."""
    used = replace(GLASS, used_at=NOW - 9 * DAY)
    situation = facts(red(), break_glasses=(GLASS, used))

    assert codes(decided(situation, only(RED))) == {RED: "evidence.failed"}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"review_due": NOW + 1}, None),
        ({"review_due": NOW}, "breakglass.review_overdue"),
        ({"review_due": NOW, "reviewed_at": NOW}, None),
        ({"review_due": NOW, "used_at": None}, None),
        ({"used_at": NOW - 2 * DAY}, "breakglass.review_overdue"),
        ({"used_at": NOW - 2 * DAY + 1}, None),
    ],
)
def test_review_that_is_due(members: dict[str, Any], code: str | None) -> None:
    """Once it is overdue nothing goes the normal way; a rollback does, and so does another break-glass."""
    used = replace(GLASS, **{"used_at": NOW - DAY, **members})
    situation = facts(green(), break_glasses=(used,))

    decision = decided(situation)

    assert codes(decision) == ({} if code is None else {"_review": code})
    assert decided(facts(green("rollback"), break_glasses=(used,))).verdict == "allow"
    assert decided(facts(green(), break_glasses=(used, replace(GLASS, id="bg2")))).verdict == "allow"


def test_review_that_will_be_overdue() -> None:
    """The answer holds until then."""
    used = replace(GLASS, used_at=NOW - DAY, review_due=NOW + 60_000)

    assert decided(facts(green(), break_glasses=(used,))).expires_at == NOW + 60_000


def scheduled(when: str, now: str = "2026-11-17T10:00") -> Situation:
    return asking(green(at=instant(f"{now}+01:00")), scheduled_for=instant(f"{when}+01:00"))


@pytest.mark.parametrize(
    ("when", "verdict", "shown", "retry"),
    [
        ("2026-11-17T11:00", "allow", None, None),
        ("2026-11-17T09:00", "allow", None, None),
        ("2026-11-17T20:00", "wait", "2026-11-17T20:00", "2026-11-18T09:00"),
        ("2026-11-18T10:00", "allow", None, None),
    ],
)
def test_scheduled(when: str, verdict: str, shown: str | None, retry: str | None) -> None:
    """The hours must be right now and at that instant, and the decision says which of both is not."""
    decision = decided(scheduled(when), only("hours"))

    assert decision.verdict == verdict
    assert decision.rules[0].at == (None if shown is None else instant(f"{shown}+01:00"))
    assert decision.retry_at == (None if retry is None else instant(f"{retry}+01:00"))


def test_scheduled_while_it_is_closed_now() -> None:
    """What is closed now waits, though the scheduled time is fine; from its opening on both are."""
    decision = decided(scheduled("2026-11-18T10:00", now="2026-11-17T20:00"), only("hours"))

    assert (decision.verdict, decision.rules[0].at) == ("wait", None)
    assert decision.retry_at == instant("2026-11-18T09:00+01:00")


def test_approval_must_hold_until_then() -> None:
    """Evidence and approvals that will have run out by the scheduled time do not do."""
    decision = decided(scheduled("2026-11-20T10:00"))

    assert codes(decision) == {"business-go": "approval.expired"}
    assert decision.retry_at is None


def back(**members: Any) -> Situation:
    situation = green("rollback")
    return facts(situation, **members)


def test_rollback_only_to_what_was_live_here() -> None:
    """Anything else would be a deployment that no rule looks at, also under break-glass."""
    never = replace(green().snapshot.deployments[0], environment="production", digest=LIVE, live_from=None)
    others = tuple(one for one in back().snapshot.deployments if one.digest != LIVE)
    glass = replace(GLASS, action="rollback", digest=LIVE)

    decision = decided(back(deployments=(*others, never), break_glasses=(glass,)))

    assert (decision.verdict, codes(decision)) == ("deny", {"_rollback": "rollback.never_live"})


def test_rollback_only_backward() -> None:
    """Forward to what was rolled back is a deployment; to what is live already changes nothing."""
    situation = back()
    ended = changed(situation.snapshot.deployments, "production-blue-bb", live_to=NOW, removed_at=NOW)
    again = changed(ended, "production-green-aa", removed_at=None, live_to=None)

    forward = decided(asking(facts(situation, deployments=again), digest=NEW))

    assert (forward.verdict, codes(forward)) == ("deny", {"_rollback": "rollback.not_older"})
    assert decided(asking(situation, digest=NEW)).verdict == "allow"


def test_rollback_to_an_unknown_build() -> None:
    """The digest must be known, even in an emergency."""
    assert codes(decided(asking(back(), digest="sha256:00"))) == {
        "_rollback": "digest.unknown",
        "_subject": "digest.unknown",
    }


def test_rules_that_name_rollback() -> None:
    """They apply to it, and only they."""
    document = shop()
    document["rules"].append({"id": "no-veto", "kind": "veto", "actions": ["rollback"]})
    vetoed = back(vetoes=(Veto("v", Scope(digest=LIVE), "zoe@example.com", NOW, 1),))

    decision = decided(vetoed, compile_policy(document, 7))

    assert (decision.verdict, codes(decision)) == ("deny", {"no-veto": "veto"})
    assert decided(vetoed).verdict == "allow"


def lit(situation: Situation) -> Situation:
    return facts(situation, flags=changed(situation.snapshot.flags, FLAG, is_dark=False))


def test_obligations() -> None:
    """Only flags that are not dark, of stories that the target build lacks; a flag that nobody knows is not dark."""
    darken = ({"do": "darken", "environment": "production", "flags": [FLAG]},)

    assert decided(back()).obligations == ()
    assert decided(lit(back())).obligations == darken
    assert decided(back(flags=())).obligations == darken
    assert decided(lit(green())).obligations == ()


def test_obligations_where_nobody_knows_what_is_live() -> None:
    """Then any story that the target build lacks may be seen."""
    nothing = tuple(one for one in back().snapshot.deployments if one.digest == LIVE)

    assert len(decided(lit(back(deployments=nothing))).obligations) == 1


def test_switch_to_a_build_without_a_story() -> None:
    """A switch back to the older slot owes the same as a rollback."""
    situation = green("switch")
    swapped = changed(situation.snapshot.deployments, "production-blue-aa", live_from=None)
    live = changed(swapped, "production-green-bb", live_from=NOW - HOUR)

    decision = decided(lit(asking(facts(situation, deployments=live), digest=LIVE, slot="blue")))

    assert (decision.verdict, len(decision.obligations)) == ("allow", 1)


def test_switch_that_names_only_the_slot() -> None:
    """The slot runs the build; an empty one runs none, and without a slot nobody can tell."""
    situation = asking(green("switch"), digest=None)

    assert decided(situation).verdict == "allow"
    assert codes(decided(asking(situation, slot="red")))["_subject"] == "digest.unknown"
    assert codes(decided(asking(situation, slot=None)))["_subject"] == "digest.unknown"


def test_release_without_a_flag_or_with_an_unknown_build_live() -> None:
    """A release must name a flag, and everything that is live must be of a known build."""
    unknown = changed(green("release").snapshot.deployments, "production-blue-bb", digest="sha256:00")

    assert codes(decided(asking(green("release"), flag=None)))["_subject"] == "flag.missing"
    assert codes(decided(facts(green("release"), deployments=unknown)))["_subject"] == "digest.unknown"


def test_next_steps_of_all_that_blocks() -> None:
    """Each step once, in the order of the rules; nothing when it is allowed."""
    situation = facts(green(), approvals=(), provenances=())

    assert decided(situation).next == (
        {"do": "approve", "role": "product", "count": 1},
        {"do": "supply", "kind": "provenance", "digest": NEW},
    )
    assert decided(green()).next == ()


def test_concurrency_rule_takes_the_place_of_the_environments_limit() -> None:
    """A policy may allow more than the environment says."""
    situation = facts(green(), permits=(Permit("p", "production", NEW, NOW + HOUR, 1),))

    assert decided(situation, with_rules({"kind": "concurrency", "max": 2})).verdict == "allow"
    assert codes(decided(situation, with_rules({"kind": "veto"}))) == {"_concurrency": "busy"}


def test_build_that_is_in_production_in_part() -> None:
    """With two live builds, what one of them lacks is new."""
    situation = lit(green())
    both = changed(situation.snapshot.deployments, "staging-main-bb", environment="production", slot="green")
    commits = (Commit(OLD_COMMIT), Commit(NEW_COMMIT, stories=(STORY,)))
    builds = changed(situation.snapshot.builds, "build-b", commits=commits)

    decision = decided(facts(situation, deployments=both, builds=builds, demos=()), only("dark", "c1-suite"))

    assert codes(decision) == {"dark": "flag.not_dark"}
