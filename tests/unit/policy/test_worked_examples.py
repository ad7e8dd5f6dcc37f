"""The worked examples of the design: one change to a build of which all is well, and what is decided then."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

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
    policy,
    with_rules,
    without,
)

from greenroom_server.policy.canonical import decision_bytes
from greenroom_server.policy.compiled import compile_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.facts import (
    Approval,
    BreakGlass,
    Counts,
    Permit,
    Subject,
)
from greenroom_server.policy.fixtures import FLAG, LIVE, NEW, STORY, Situation

B, A = NEW, LIVE
STAGING = "staging-main-bb"


def calendar(weekly: str, kind: str = "freeze") -> dict[str, object]:
    return {"calendars": {"named": {"type": kind, "weekly": [weekly]}}}


def only_calendar(weekly: str, kind: str = "freeze") -> object:
    return with_rules({"kind": "calendar", "use": ["named"]}, **calendar(weekly, kind))


def test_nothing_changed() -> None:
    """All is well, so it may go: asked twice, the bytes are the same."""
    first, second = decided(green()), decided(green())

    assert first.verdict == "allow"
    assert codes(first) == {}
    assert decision_bytes(first) == decision_bytes(second)


def test_rules_in_another_order() -> None:
    """The order of the rules in the file changes no outcome."""
    document = shop()
    turned = compile_policy({**document, "rules": document["rules"][::-1]}, 7)

    assert decided(green(), turned).rules == decided(green()).rules


def evidence(situation: Situation, suite: str, **members: object) -> Situation:
    return facts(situation, evidence=changed(situation.snapshot.evidence, suite, **members))


def of_acceptance(**members: object) -> Situation:
    return evidence(green(), "acceptance", **members)


def deployment(situation: Situation, name: str, **members: object) -> Situation:
    return facts(situation, deployments=changed(situation.snapshot.deployments, name, **members))


def rerun(second: Literal["pass", "fail"], minutes: int) -> Situation:
    """The acceptance suite ran at 08:00, and again."""
    situation = green()
    first = next(one for one in situation.snapshot.evidence if one.suite == "acceptance")
    begun = instant("2026-11-17T08:00+01:00")
    again = replace(first, id="acceptance-2", outcome=second, finished_at=begun + minutes * 60_000, attempt=2)
    first = replace(first, finished_at=begun, outcome="fail" if second == "pass" else "pass")
    others = without(situation.snapshot.evidence, "acceptance")
    return facts(situation, evidence=(*others, first, again))


def unfinished(**members: object) -> Situation:
    """The story of B was not demonstrated."""
    return facts(green(), demos=(), **members)


def lit() -> Situation:
    flags = changed(green().snapshot.flags, FLAG, is_dark=False)
    return unfinished(flags=flags)


def two_digests() -> Situation:
    """The acceptance suite ran against the index, and a platform's digest of it is deployed."""
    index = "sha256:" + "1d" * 32
    situation = evidence(green(), "acceptance", subject=Subject(digest=index))
    return facts(situation, builds=changed(situation.snapshot.builds, "build-b", digests=(index, B)))


def skipped_staging() -> Situation:
    situation = green()
    return facts(situation, deployments=without(situation.snapshot.deployments, STAGING))


def approved(**members: object) -> Situation:
    situation = green()
    return facts(situation, approvals=changed(situation.snapshot.approvals, "approval-business-go-1", **members))


EXAMPLES: dict[str, tuple[Callable[[], Situation], str, dict[str, str]]] = {
    "acceptance finished exactly 14 d ago": (
        lambda: of_acceptance(finished_at=NOW - 14 * DAY),
        "wait",
        {"c1-suite": "evidence.stale"},
    ),
    "and one millisecond less": (lambda: of_acceptance(finished_at=NOW - 14 * DAY + 1), "allow", {}),
    "component suite missing": (
        lambda: facts(green(), evidence=without(green().snapshot.evidence, "component")),
        "wait",
        {"c1-suite": "evidence.missing"},
    ),
    "acceptance failed": (lambda: of_acceptance(outcome="fail"), "deny", {"c1-suite": "evidence.failed"}),
    "no test case": (lambda: of_acceptance(counts=Counts()), "deny", {"c1-suite": "evidence.empty"}),
    "only skipped cases": (
        lambda: of_acceptance(counts=Counts(total=9, skipped=9)),
        "deny",
        {"c1-suite": "skipped_ratio"},
    ),
    "red attempt 1, green attempt 2": (lambda: rerun("pass", 30), "allow", {}),
    "green at 08:00, red at 08:30": (lambda: rerun("fail", 30), "deny", {"c1-suite": "evidence.failed"}),
    "acceptance of the index, deploy of a platform": (two_digests, "allow", {}),
    "acceptance names the digest of A": (
        lambda: of_acceptance(subject=Subject(digest=A)),
        "wait",
        {"c1-suite": "evidence.missing"},
    ),
    "last rehearsal had a manual step": (
        lambda: deployment(green(), STAGING, manual_steps=1),
        "deny",
        {"c3-button": "button.manual"},
    ),
    "last rehearsal took 10 min": (lambda: deployment(green(), STAGING, duration_ms=600_000), "allow", {}),
    "last rehearsal took 10 min 0.001 s": (
        lambda: deployment(green(), STAGING, duration_ms=600_001),
        "deny",
        {"c3-button": "button.slow"},
    ),
    "unfinished story, flag dark": (unfinished, "allow", {}),
    "unfinished story, flag on for 1 %": (lit, "deny", {"dark": "flag.not_dark"}),
    "unfinished story, flag missing": (lambda: unfinished(flags=()), "deny", {"dark": "flag.missing"}),
    "the flag exists in staging only": (
        lambda: unfinished(flags=tuple(one for one in green().snapshot.flags if one.environment == "staging")),
        "deny",
        {"dark": "flag.missing"},
    ),
    "B skipped staging": (
        skipped_staging,
        "wait",
        {"order": "order.not_deployed", "soak": "soak.not_deployed", "c3-button": "evidence.missing"},
    ),
    "approver is an author": (
        lambda: approved(person="ADA@example.com"),
        "wait",
        {"business-go": "approval.not_independent"},
    ),
    "approval 72 h old exactly": (
        lambda: approved(at=NOW - 72 * HOUR),
        "wait",
        {"business-go": "approval.expired"},
    ),
    "approval a millisecond younger": (lambda: approved(at=NOW - 72 * HOUR + 1), "allow", {}),
    "mode deployment, no approval": (
        lambda: facts(green(), approvals=(), mode="deployment"),
        "allow",
        {"business-go": "mode.other"},
    ),
    "concurrency 1 and a permit is open": (
        lambda: facts(green(), permits=(Permit("p_1", "production", B, NOW + 60_000, 1001, "shop"),)),
        "wait",
        {"_concurrency": "busy"},
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_deploy(name: str) -> None:
    """A change to the fixture, the verdict, and which rules say why."""
    make, verdict, why = EXAMPLES[name]

    decision = decided(make())

    assert (decision.verdict, codes(decision)) == (verdict, why)


@pytest.mark.parametrize(
    ("moment", "verdict"), [("2026-11-20T11:49:59.999+01:00", "allow"), ("2026-11-20T11:50+01:00", "wait")]
)
def test_runway(moment: str, verdict: str) -> None:
    """The window must still be open ten minutes from now."""
    situation = green(at=instant(moment))

    decision = decided(situation, only("hours"))

    assert decision.verdict == verdict
    assert decision.retry_at == (None if verdict == "allow" else instant("2026-11-23T09:00+01:00"))
    assert decision.expires_at == (instant("2026-11-20T11:50+01:00") if verdict == "allow" else None)


def test_soak_to_the_millisecond() -> None:
    """A day in staging is 24 hours of elapsed time."""
    situation = deployment(green(), STAGING, deployed_at=NOW - DAY + 1)

    short, met = decided(situation), decided(at(situation, NOW + 1))

    assert (short.verdict, codes(short), short.retry_at) == ("wait", {"soak": "soak.short"}, NOW + 1)
    assert met.verdict == "allow"


def test_weekend_freeze_in_spring() -> None:
    """After the clock went forward the freeze still ends at 08:00 of local time; the office opens at 09:00."""
    decision = decided(green(at=instant("2026-03-30T06:30Z")), only("hours", "freeze"))

    assert codes(decision) == {"hours": "calendar.closed"}
    assert decision.retry_at == instant("2026-03-30T07:00Z")


def test_nightly_freeze_in_autumn() -> None:
    """A freeze in the hour that the clock shows twice lasts from its first start to its second end, without a break."""
    situation = green(at=instant("2026-10-25T00:45Z"))
    nightly = with_rules({"kind": "calendar", "use": ["named"]}, **calendar("02:00-02:30"))

    decision = decided(situation, nightly)

    assert (decision.verdict, codes(decision)) == ("wait", {"calendar": "calendar.frozen"})
    assert decision.retry_at == instant("2026-10-25T01:30Z")


def test_one_off_freeze_tomorrow() -> None:
    """It does not matter today; the answer holds until the office closes, less the runway."""
    freeze = {"type": "freeze", "from": "2026-11-18T00:00", "to": "2026-11-19T00:00"}
    document = shop()
    document["calendars"]["xmas"] = freeze

    decision = decided(green(), compile_policy(document, 7))

    assert (decision.verdict, decision.expires_at) == ("allow", instant("2026-11-17T14:50Z"))


def test_freeze_over_midnight_and_the_end_of_the_week() -> None:
    """It is on in the last millisecond of Monday as well."""
    situation = green(at=instant("2026-11-16T23:59:59.999+01:00"))
    long = with_rules({"kind": "calendar", "use": ["named"]}, **calendar("Fri 22:00-Tue 02:00"))

    decision = decided(situation, long)

    assert (decision.verdict, decision.retry_at) == ("wait", instant("2026-11-17T02:00+01:00"))


def test_demonstration_while_staging_ran_another_build() -> None:
    """What counts is what really ran at that moment, as the deployments tell."""
    situation = green("release")
    shown = situation.snapshot.demos[0].at
    ran = replace(
        next(one for one in situation.snapshot.deployments if one.id == STAGING),
        id="staging-main-aa",
        digest=A,
        removed_at=shown + 1,
        live_to=shown + 1,
    )
    later = changed(situation.snapshot.deployments, STAGING, deployed_at=shown + 1, live_from=shown + 1)

    decision = decided(facts(situation, deployments=(*later, ran)))

    assert (decision.verdict, codes(decision)) == ("wait", {"c2-demo": "demo.wrong_build"})


def test_demonstration_on_the_idle_slot_of_production() -> None:
    """An idle slot is production-like while another slot is live with another build."""
    situation = green("release")
    shown = situation.snapshot.demos[0].at
    demos = changed(situation.snapshot.demos, "demo-1", environment="production", slot="green")
    green_slot = changed(
        situation.snapshot.deployments, "production-green-bb", deployed_at=shown - HOUR, live_from=NOW - HOUR
    )
    old_green = changed(green_slot, "production-green-aa", slot="blue")

    decision = decided(facts(situation, demos=demos, deployments=old_green))

    assert (decision.verdict, codes(decision)) == ("allow", {})


def test_release_while_the_build_is_only_on_the_idle_slot() -> None:
    """A flag needs a live build with its story."""
    situation = green("release")
    deployments = changed(
        changed(situation.snapshot.deployments, "production-blue-bb", digest=A), "production-green-bb", live_from=None
    )

    decision = decided(facts(situation, deployments=deployments))

    assert decision.verdict == "wait"
    assert codes(decision)["live"] == "flag.build_not_live"


@pytest.mark.parametrize("broken", [None, object()])
def test_darken_always(broken: object) -> None:
    """The kill switch works in a freeze, without an approval, and with a policy that is absent or nonsense."""
    situation = facts(green("darken", at=instant("2026-12-24T12:00Z")), approvals=())

    under_policy = decided(situation)
    without_one = decide(situation.snapshot, situation.request, broken, situation.now)  # type: ignore[arg-type]

    assert (under_policy.verdict, without_one.verdict) == ("allow", "allow")


def test_rollback_in_a_freeze() -> None:
    """It needs no fresh evidence, no hours and no soak; what customers would lose the code of goes dark."""
    situation = green("rollback", at=instant("2026-12-24T12:00Z"))
    released = facts(situation, evidence=(), flags=changed(situation.snapshot.flags, FLAG, is_dark=False))

    decision = decided(released)

    assert decision.verdict == "allow"
    assert decision.obligations == ({"do": "darken", "environment": "production", "flags": [FLAG]},)


def test_one_person_twice() -> None:
    """Two approvals of one person, whose address is written in two ways, count once."""
    document = shop()
    next(rule for rule in document["rules"] if rule["id"] == "business-go")["count"] = 2
    situation = green()
    first = situation.snapshot.approvals[0]
    again = replace(first, id="again", person=first.person.upper())

    decision = decided(facts(situation, approvals=(first, again)), compile_policy(document, 7))

    finding = next(one.finding for one in decision.rules if one.id == "business-go")
    assert decision.verdict == "wait"
    assert (finding.code, finding.params["have"], finding.params["need"]) == ("approval.missing", 1, 2)


def test_break_glass_over_a_red_suite() -> None:
    """Two people let it through; the rule is shown as failed and overridden."""
    situation = of_acceptance(outcome="fail")
    glass = BreakGlass(
        id="bg_1",
        action="deploy",
        environment="production",
        digest=B,
        confirmed_by=("ines@example.com", "omar@example.com"),
        roles=("incident-commander",),
        reason="checkout is down",
        at=NOW - 60_000,
        until=NOW + HOUR,
        seq=1001,
    )

    decision = decided(facts(situation, break_glasses=(glass,)))

    overridden = {one.id: (one.finding.outcome, one.overridden_by) for one in decision.rules if one.overridden_by}
    assert (decision.verdict, decision.break_glass) == ("allow", "bg_1")
    assert overridden == {"c1-suite": ("fail", "bg_1")}


def test_story_is_named() -> None:
    """A denial for a lit story says which story, which flag, and what is missing for it to be done."""
    decision = decided(lit())

    finding = next(one.finding for one in decision.rules if one.id == "dark")
    assert finding.params == {"story": STORY, "flags": [FLAG], "unfinished": "demo.missing"}
    assert finding.next[0] == {"do": "darken", "flag": FLAG}


def test_rejection_stands_until_withdrawn() -> None:
    """One no beats every yes."""
    situation = green()
    no = Approval("no", "reject", "deploy", "production", "max@example.com", ("product",), NOW, 1001, digest=B)
    rejected = facts(situation, approvals=(*situation.snapshot.approvals, no))
    withdrawn = facts(situation, approvals=(*situation.snapshot.approvals, replace(no, withdrawn_at=NOW)))

    assert outcomes(decided(rejected)) == {"business-go": "fail"}
    assert decided(withdrawn).verdict == "allow"


def test_policy_is_named() -> None:
    """A decision names the policy that it was made under, and the release of the time zones."""
    decision = decided(asking(green(), slot="green"))

    assert (decision.policy_name, decision.policy_version, decision.policy_digest) == ("shop", 7, policy().digest)
    assert decision.tzdata == policy().tzdata
