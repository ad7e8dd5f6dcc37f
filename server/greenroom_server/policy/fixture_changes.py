"""The fixtures by name: a build of which everything is well, with one thing changed. Tests of a policy start from them.

Which code a rule answers with depends on the rules of the policy; a fixture that no rule looks at changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from greenroom_server.policy.facts import (
    Counts,
    Deployment,
    Evidence,
    Incident,
    Obstacle,
    Permit,
    Scope,
    Subject,
    Veto,
)
from greenroom_server.policy.fixtures import AUTHOR, DAY, HOUR, LIVE, NEW, Situation

Change: TypeAlias = Callable[[Situation], Situation]


def changed(situation: Situation, **facts: Any) -> Situation:
    """The situation with other facts of these kinds."""
    return replace(situation, snapshot=replace(situation.snapshot, **facts))


def with_evidence(situation: Situation, wanted: Callable[[Evidence], bool], **changes: Any) -> Situation:
    """With changes to all evidence that is wanted."""
    evidence = situation.snapshot.evidence
    return changed(situation, evidence=tuple(replace(one, **changes) if wanted(one) else one for one in evidence))


def with_deployments(situation: Situation, wanted: Callable[[Deployment], bool], **changes: Any) -> Situation:
    """With changes to all deployments that are wanted."""
    deployments = situation.snapshot.deployments
    return changed(situation, deployments=tuple(replace(one, **changes) if wanted(one) else one for one in deployments))


def _suite(kind: str) -> Callable[[Evidence], bool]:
    return lambda one: one.kind == kind and one.suite is not None


def _is_suite(one: Evidence) -> bool:
    return one.suite is not None


def _is_other(one: Evidence) -> bool:
    return one.suite is None


def _is_new(one: Deployment) -> bool:
    return one.digest == NEW


def _red(kind: str) -> Change:
    red = Counts(total=120, passed=119, failed=1)
    return lambda now: with_evidence(now, _suite(kind), outcome="fail", counts=red)


def _without(wanted: Callable[[Evidence], bool]) -> Change:
    return lambda now: changed(now, evidence=tuple(one for one in now.snapshot.evidence if not wanted(one)))


def _stale(now: Situation) -> Situation:
    long_ago = now.now - 4000 * DAY
    return with_evidence(now, lambda one: True, finished_at=long_ago, received_at=long_ago, started_at=long_ago)


def _skipped(now: Situation) -> Situation:
    return with_evidence(now, _is_suite, counts=Counts(total=120, passed=20, skipped=100))


def _unfinished(now: Situation, **flag: Any) -> Situation:
    """The story was opened again, just now."""
    stories = tuple(replace(one, reopened_at=now.now) for one in now.snapshot.stories)
    return changed(now, stories=stories, flags=tuple(replace(one, **flag) for one in now.snapshot.flags))


def _unfinished_without_flag(now: Situation) -> Situation:
    situation = _unfinished(now)
    return changed(situation, stories=tuple(replace(one, flags=()) for one in situation.snapshot.stories), flags=())


def _demo_of_another_build(now: Situation) -> Situation:
    """Where it was shown, A ran until now."""
    shown_in = {demo.environment for demo in now.snapshot.demos}
    recently = now.now
    before = [one for one in now.snapshot.deployments if one.environment in shown_in and _is_new(one)]
    old = tuple(
        replace(one, id=f"{one.id}-before", digest=LIVE, seq=2, removed_at=recently, live_to=recently) for one in before
    )
    later = with_deployments(now, lambda one: one in before, deployed_at=recently, live_from=recently)
    return changed(later, deployments=(*old, *later.snapshot.deployments))


def _approvals(**changes: Any) -> Change:
    return lambda now: changed(now, approvals=tuple(replace(one, **changes) for one in now.snapshot.approvals))


def _elsewhere(now: Situation, one: Deployment) -> bool:
    return _is_new(one) and one.environment != now.request.environment


def _not_before(now: Situation) -> Situation:
    there = tuple(one for one in now.snapshot.deployments if not _elsewhere(now, one))
    return changed(now, deployments=there)


def _just_deployed(now: Situation) -> Situation:
    recently = now.now - 60_000
    return with_deployments(now, lambda one: _elsewhere(now, one), deployed_at=recently, live_from=recently)


def _older(now: Situation) -> Situation:
    """B was built before A was, and A contains its commits."""
    old, new = now.snapshot.builds
    grown = replace(old, commits=new.commits, seq=new.seq + 1, registered_at=new.registered_at + HOUR)
    return changed(now, builds=(grown, replace(new, commits=new.commits[1:])))


def _in_the_way(now: Situation, kind: str) -> Situation:
    at, scope = now.now - HOUR, Scope(service=now.snapshot.service)
    made: dict[str, Any] = {
        "obstacles": Obstacle("obstacle-1", scope, at, 11, text="the certificate expires"),
        "incidents": Incident("incident-1", scope, at, 11),
        "vetoes": Veto("veto-1", scope, "quinn@example.com", at, 11, reason="not today"),
        "permits": Permit("permit-1", now.request.environment, LIVE, now.now + HOUR // 4, 11, now.snapshot.service),
    }
    return changed(now, **{kind: (made[kind],)})


def _drifted(now: Situation) -> Situation:
    drift = tuple(f"setting-{number}" for number in range(1, 101))
    return changed(now, parities=tuple(replace(one, drift=drift) for one in now.snapshot.parities))


def _built_elsewhere(now: Situation) -> Situation:
    provenances = now.snapshot.provenances
    return changed(now, provenances=tuple(replace(one, builder="somebody's machine") for one in provenances))


def _unhealthy(now: Situation) -> Situation:
    return changed(now, health=tuple(replace(one, is_healthy=False) for one in now.snapshot.health))


# name -> what is changed about the green build, and how
FIXTURES: Final[Mapping[str, tuple[str, Change]]] = {
    "green-build": ("nothing: all evidence is green and fresh, everybody approved, the story is done", lambda now: now),
    "red-unit": ("one unit test failed", _red("test.unit")),
    "red-component": ("one component test failed", _red("test.component")),
    "red-acceptance": ("one acceptance test failed", _red("test.acceptance")),
    "no-acceptance": ("the acceptance tests did not run", _without(_suite("test.acceptance"))),
    "no-suites": ("no suite ran", _without(_is_suite)),
    "empty-suites": (
        "the suites passed without a single test",
        lambda now: with_evidence(now, _is_suite, counts=Counts()),
    ),
    "skipped-tests": ("of 120 tests in each suite 100 were skipped", _skipped),
    "other-build-tested": (
        "all evidence is about build A",
        lambda now: with_evidence(now, lambda one: True, subject=Subject(digest=LIVE)),
    ),
    "stale-evidence": ("all evidence is eleven years old", _stale),
    "red-checks": (
        "all evidence that is of no suite is red",
        lambda now: with_evidence(now, _is_other, outcome="fail"),
    ),
    "no-checks": ("there is only evidence of suites", _without(_is_other)),
    "no-demo": ("nothing was demonstrated", lambda now: changed(now, demos=())),
    "demo-of-another-build": ("the demonstration was of build A", _demo_of_another_build),
    "unfinished-dark": ("the story was reopened; its flag is dark", _unfinished),
    "unfinished-lit": ("the story was reopened; its flag is on for some", lambda now: _unfinished(now, is_dark=False)),
    "unfinished-flag-missing": (
        "the story was reopened; its flag does not exist",
        lambda now: changed(_unfinished(now), flags=()),
    ),
    "unfinished-without-flag": ("the story was reopened and hangs on no flag", _unfinished_without_flag),
    "manual-deployment": (
        "the last deployment of build B had one manual step",
        lambda now: with_deployments(now, _is_new, manual_steps=1, is_automated=False),
    ),
    "slow-deployment": (
        "the last deployment of build B took a day",
        lambda now: with_deployments(now, _is_new, duration_ms=DAY),
    ),
    "not-deployed-before": ("build B never was in another environment", _not_before),
    "just-deployed-before": ("build B has been in the other environments for a minute", _just_deployed),
    "older-than-live": ("build B is older than build A, which is live", _older),
    "no-approval": ("nobody approved", lambda now: changed(now, approvals=())),
    "own-approval": ("the author of the code approved", _approvals(person=AUTHOR)),
    "rejected": ("everybody who was asked rejected", _approvals(verdict="reject")),
    "stale-approval": ("the approvals are eleven years old", lambda now: _approvals(at=now.now - 4000 * DAY)(now)),
    "obstacle": ("an obstacle is open", lambda now: _in_the_way(now, "obstacles")),
    "incident": ("an incident is open since an hour ago", lambda now: _in_the_way(now, "incidents")),
    "veto": ("somebody vetoed", lambda now: _in_the_way(now, "vetoes")),
    "busy": ("a permit for the environment is open", lambda now: _in_the_way(now, "permits")),
    "drift": ("what stands for production differs from it", _drifted),
    "built-elsewhere": ("build B was built on somebody's machine", _built_elsewhere),
    "no-provenance": ("nobody says where build B was built", lambda now: changed(now, provenances=())),
    "unhealthy": ("the target is not healthy", _unhealthy),
}
