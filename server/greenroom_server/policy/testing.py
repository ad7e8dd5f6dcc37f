"""Runs the tests that a policy brings along: each is a fixture, changed a little, and what must be decided about it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decision import Decision, Verdict
from greenroom_server.policy.document import (
    ApprovalFacts,
    DeploymentFacts,
    EvidenceFacts,
    PolicyTest,
    TestFacts,
)
from greenroom_server.policy.facts import Approval, Counts, Deployment, Evidence, Instant, Request, Snapshot
from greenroom_server.policy.fixture_changes import FIXTURES, changed
from greenroom_server.policy.fixtures import NEW, Situation, green_build, with_mode
from greenroom_server.policy.zones import read_moment

Decide: TypeAlias = Callable[[Snapshot, Request, Policy | None, Instant], Decision]


@dataclass(frozen=True, slots=True)
class TestResult:
    """What came of a test. `codes` are of the rules that held the decision up; `failure` is empty if it passed."""

    name: str
    expected: Verdict
    decided: Verdict
    codes: tuple[str, ...]
    failure: str = ""

    @property
    def has_passed(self) -> bool:
        return not self.failure


def run_tests(policy: Policy, decide: Decide) -> list[TestResult]:
    """The results in the order of the document."""
    return [_run(test, policy, decide) for test in policy.document.tests]


def situation_of(test: PolicyTest, policy: Policy) -> Situation:
    """The facts, the request and the moment that a test is about."""
    now = read_moment(test.at, policy.zone)
    _, change = FIXTURES[test.fixture]
    situation = with_mode(change(green_build(policy, now, test.action, test.to)), test.mode)
    return _with_facts(situation, test.facts, policy) if test.facts else situation


def _run(test: PolicyTest, policy: Policy, decide: Decide) -> TestResult:
    situation = situation_of(test, policy)
    decision = decide(situation.snapshot, situation.request, policy, situation.now)
    codes = tuple(one.finding.code for one in decision.rules if one.finding.outcome in ("pending", "fail", "error"))
    said = ", ".join(f"`{code}`" for code in codes) or "no rule in the way"
    failure = ""
    if decision.verdict != test.expect:
        failure = f"expected `{test.expect}`, decided `{decision.verdict}`: {said}"
    elif test.because and test.because not in codes:
        failure = f"decided `{decision.verdict}` as expected, but not because of `{test.because}`: {said}"
    return TestResult(test.name, test.expect, decision.verdict, codes, failure)


def _with_facts(situation: Situation, facts: TestFacts, policy: Policy) -> Situation:
    now, before = situation.now, situation.snapshot
    evidence = [_evidence(one, facts.evidence.get(one.suite or one.kind), now) for one in before.evidence]
    approvals = [_approval(one, facts.approvals.get(one.roles[0]), now) for one in before.approvals]
    deployments = [_deployment(one, facts.deployments.get(one.environment), now) for one in before.deployments]
    if facts.scheduled_for is not None:
        moment = read_moment(facts.scheduled_for, policy.zone)
        situation = replace(situation, request=replace(situation.request, scheduled_for=moment))
    return changed(
        situation,
        evidence=tuple(one for one in evidence if one),
        approvals=tuple(one for one in approvals if one),
        deployments=tuple(one for one in deployments if one),
    )


def _evidence(one: Evidence, facts: EvidenceFacts | None, now: Instant) -> Evidence | None:
    if facts is None:
        return one
    if facts.is_missing:
        return None
    finished_at = one.finished_at if facts.age is None else now - facts.age
    counts = one.counts or Counts(total=1, passed=1)
    total = counts.total if facts.total is None else facts.total
    skipped = counts.skipped if facts.skipped is None else facts.skipped
    return replace(
        one,
        outcome=facts.outcome or one.outcome,
        attempt=facts.attempt or one.attempt,
        counts=replace(counts, total=total, skipped=skipped, passed=total - skipped),
        started_at=finished_at,
        finished_at=finished_at,
        received_at=finished_at,
    )


def _approval(one: Approval, facts: ApprovalFacts | None, now: Instant) -> Approval | None:
    if facts is None:
        return one
    if facts.is_missing:
        return None
    return replace(
        one,
        at=one.at if facts.age is None else now - facts.age,
        person=facts.person or one.person,
        verdict=facts.verdict or one.verdict,
    )


def _deployment(one: Deployment, facts: DeploymentFacts | None, now: Instant) -> Deployment | None:
    if facts is None or one.digest != NEW:
        return one
    if facts.is_missing:
        return None
    deployed_at = one.deployed_at if facts.age is None else now - facts.age
    return replace(
        one,
        deployed_at=deployed_at,
        live_from=None if one.live_from is None else deployed_at,
        duration_ms=facts.duration or one.duration_ms,
        manual_steps=one.manual_steps if facts.manual_steps is None else facts.manual_steps,
    )
