"""Laws that hold for all decisions, over random facts and policies."""

import hashlib
import os
import random
from dataclasses import fields, replace
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.policy import worlds
from tests.unit.policy.situations import DAY, NOW, at, decided, facts

from greenroom_server.policy.canonical import decision_bytes, write_decision
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decide import decide, decide_on
from greenroom_server.policy.decision import Decision
from greenroom_server.policy.facts import Approval, Evidence, Instant, Parity, Scope, Veto
from greenroom_server.policy.fixtures import NEW, Situation
from greenroom_server.policy.question import Index
from greenroom_server.policy.stored import read_request, read_snapshot, write_request, write_snapshot

FACTOR = int(os.environ.get("FUZZ_FACTOR", "1"))
LAW = settings(
    max_examples=50 * FACTOR,
    deadline=None,
    derandomize=FACTOR == 1,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
pytestmark = pytest.mark.timeout(120 * FACTOR)
RANKS = {"deny": 0, "wait": 1, "allow": 2}
YEAR = 366 * DAY


def seen(decision: Decision) -> tuple[object, ...]:
    """What a reader may rely on while an answer holds."""
    return decision.verdict, decision.break_glass, {one.id: one.finding.outcome for one in decision.rules}


def moments(first: Instant, last: Instant, seed: int) -> list[Instant]:
    """Instants in [first, last): the ends, hours, milliseconds, anything."""
    if last <= first:
        return []
    draw = random.Random(seed)
    near = [first + 1, first + 3_600_000, last - 1, last - 3_600_000, first + DAY, last - DAY]
    anything = [draw.randrange(first, last) for _ in range(4)]
    hours = [moment - moment % 1_800_000 for moment in anything[:2]]
    return [moment for moment in (first, *near, *anything, *hours) if first <= moment < last]


@given(worlds.situations(), worlds.policies(), st.integers(0, 9999))
@LAW
def test_answer_holds_until_it_expires(situation: Situation, policy: Policy, seed: int) -> None:
    """On [now, expires_at) verdict and outcomes stay; at expires_at one of them has changed."""
    decision = decided(situation, policy)
    assume(decision.verdict == "allow")
    end = decision.expires_at

    for moment in moments(NOW, end or NOW + YEAR, seed):
        assert seen(decided(at(situation, moment), policy)) == seen(decision), moment - NOW
    if end is not None:
        assert NOW < end <= NOW + YEAR
        assert seen(decided(at(situation, end), policy)) != seen(decision)


@given(worlds.situations(), worlds.policies(), st.integers(0, 9999))
@LAW
def test_retry_is_the_first_instant_that_allows(situation: Situation, policy: Policy, seed: int) -> None:
    """At retry_at the same facts allow, and at no instant before; without it, at none within a year."""
    situation = facts(situation, break_glasses=())
    decision = decided(situation, policy)
    assume(decision.verdict != "allow")
    end = decision.retry_at

    for moment in moments(NOW, end or NOW + YEAR, seed):
        assert decided(at(situation, moment), policy).verdict != "allow", moment - NOW
    if end is not None:
        assert NOW < end <= NOW + YEAR
        assert decided(at(situation, end), policy).verdict == "allow"


@given(worlds.situations(), worlds.policies(), st.randoms())
@LAW
def test_order_of_facts_and_rules_is_of_no_matter(situation: Situation, policy: Policy, chance: random.Random) -> None:
    """Facts in another order give the same bytes, and so do rules of a policy with the same name."""
    members = {
        field.name: tuple(chance.sample(held, len(held)))
        for field in fields(situation.snapshot)
        if isinstance(held := getattr(situation.snapshot, field.name), tuple)
    }
    rules = policy.document.rules
    turned = policy.document.model_copy(update={"rules": tuple(chance.sample(rules, len(rules)))})

    other = decided(facts(situation, **members), replace(policy, document=turned))

    assert decision_bytes(other) == decision_bytes(decided(situation, policy))


@given(worlds.situations(), worlds.policies())
@LAW
def test_stored_inputs_replay(situation: Situation, policy: Policy) -> None:
    """A decision computed again from its stored inputs has the same bytes, as the RFC writes them."""
    decision = decided(situation, policy)
    snapshot = read_snapshot(write_snapshot(situation.snapshot))
    request = read_request(write_request(situation.request))

    again = decided(Situation(snapshot, request, situation.now), policy)

    assert decision_bytes(again) == decision_bytes(decision) == rfc8785.dumps(write_decision(decision))
    assert write_snapshot(snapshot) == write_snapshot(situation.snapshot)


@given(worlds.situations(), worlds.policies())
@LAW
def test_inputs_are_canonical(situation: Situation, policy: Policy) -> None:
    """The inputs are the bytes that the RFC demands, their digest is of these, and another moment has another one."""
    snapshot, request = situation.snapshot, situation.request
    named = {"digest": policy.digest, "version": policy.version, "tzdata": policy.tzdata}
    written: Any = {
        "snapshot": write_snapshot(snapshot),
        "request": write_request(request),
        "policy": named,
        "now": NOW,
    }

    decision, later = (decide(snapshot, request, policy, now) for now in (NOW, NOW + 1))

    assert decision.inputs == rfc8785.dumps(written)
    assert decision.inputs_digest == f"sha256:{hashlib.sha256(decision.inputs).hexdigest()}" != later.inputs_digest


@given(worlds.situations(), worlds.situations(), worlds.policies(), worlds.policies())
@LAW
def test_what_is_remembered_of_the_facts_changes_no_byte(
    situation: Situation, other: Situation, policy: Policy, other_policy: Policy
) -> None:
    """Whatever was asked before on the same facts, of another policy or at another moment, each answer is the same."""
    known = Index(situation.snapshot)
    asked = [
        (situation, policy),
        (other, other_policy),
        (other, policy),
        (situation, other_policy),
        (situation, policy),
    ]

    for one, under in asked:
        fresh = decide(situation.snapshot, one.request, under, one.now)
        again = decide_on(known, one.request, under, one.now)

        assert (decision_bytes(again), again.inputs) == (decision_bytes(fresh), fresh.inputs)


def compare(before: Decision, after: Decision) -> int:
    """Below nothing if the verdict got worse."""
    return RANKS[after.verdict] - RANKS[before.verdict]


@given(worlds.situations(), worlds.policies(), st.sampled_from([("product",), ("customer",), ("product", "customer")]))
@LAW
def test_one_more_approval_never_makes_it_worse(situation: Situation, policy: Policy, roles: tuple[str, ...]) -> None:
    """Of a person who has nothing to do with it, whatever the roles."""
    request = situation.request
    more = Approval(
        "more",
        "approve",
        request.action,
        request.environment,
        "new@example.com",
        roles,
        NOW,
        100,
        digest=request.digest,
        flag=request.flag,
        audience=request.audience,
    )
    approvals = (*situation.snapshot.approvals, more)

    assert compare(decided(situation, policy), decided(facts(situation, approvals=approvals), policy)) >= 0


@given(worlds.situations(), worlds.policies(), worlds.scopes)
@LAW
def test_one_more_veto_never_makes_it_better(situation: Situation, policy: Policy, scope: Scope) -> None:
    """Whatever it is about."""
    vetoes = (*situation.snapshot.vetoes, Veto("more", scope, "zoe@example.com", NOW, 100))

    assert compare(decided(situation, policy), decided(facts(situation, vetoes=vetoes), policy)) <= 0


@given(worlds.situations(), worlds.policies())
@LAW
def test_more_drift_never_makes_it_better(situation: Situation, policy: Policy) -> None:
    """In any comparison of environments."""
    drifted: tuple[Parity, ...] = tuple(
        replace(one, drift=(*one.drift, "libssl")) for one in situation.snapshot.parities
    )

    assert compare(decided(situation, policy), decided(facts(situation, parities=drifted), policy)) <= 0


@given(worlds.situations(), worlds.policies(), worlds.evidence)
@LAW
def test_a_new_red_run_never_makes_it_better(situation: Situation, policy: Policy, one: Evidence) -> None:
    """The latest of all runs of any check, and red."""
    red = replace(one, subject=replace(one.subject, digest=NEW), outcome="fail", finished_at=NOW, revoked_at=None)
    evidence = (*situation.snapshot.evidence, red)

    assert compare(decided(situation, policy), decided(facts(situation, evidence=evidence), policy)) <= 0


@given(worlds.situations(), worlds.policies())
@LAW
def test_darken_is_always_allowed(situation: Situation, policy: Policy) -> None:
    """Whatever the facts are."""
    darken = replace(situation.request, action="darken")

    assert decided(replace(situation, request=darken), policy).verdict == "allow"


@given(worlds.situations(), worlds.policies())
@LAW
def test_worst_outcome_decides(situation: Situation, policy: Policy) -> None:
    """Any fail denies, else any pending waits; an allow has been said by at least one rule."""
    decision = decided(situation, policy)
    outcomes = {one.finding.outcome for one in decision.rules if one.overridden_by is None}

    if outcomes & {"fail", "error"}:
        assert decision.verdict == "deny"
    elif "pending" in outcomes:
        assert decision.verdict == "wait"
    else:
        assert decision.verdict == "allow"
        assert decision.rules or situation.request.action == "rollback"
    assert "error" not in outcomes
    assert [one.id for one in decision.rules] == sorted(one.id for one in decision.rules)


@pytest.mark.parametrize("bad", [None, [], {}, {"project": 1}, "text"])
def test_what_was_never_written_is_not_read(bad: object) -> None:
    """Anything else than stored inputs is refused, and not half read."""
    with pytest.raises(ValueError, match=r"."):
        read_snapshot(bad)
