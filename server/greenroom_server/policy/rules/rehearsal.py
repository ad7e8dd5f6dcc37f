"""C3's push button: the last deployment of the build was fully automated, and quick enough."""

from dataclasses import dataclass
from typing import Any, Final

from greenroom_server.policy.current import evidence_for
from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import EvidenceRule
from greenroom_server.policy.durations import duration_text
from greenroom_server.policy.facts import Build, Evidence, EvidenceOutcome, Instant
from greenroom_server.policy.findings import failed, passed, pending
from greenroom_server.policy.instants import instant_text
from greenroom_server.policy.question import Question

REHEARSAL: Final = "deploy.rehearsal"


@dataclass(slots=True)
class _Rehearsal:
    at: Instant
    id: str
    outcome: EvidenceOutcome
    manual_steps: int
    duration: int | None


def rehearsal(question: Question, rule: EvidenceRule, build: Build) -> Finding:
    """About the newest deployment of the build anywhere, failed ones too, or evidence that says the same."""
    params: dict[str, Any] = {"kind": REHEARSAL, "digest": build.digests[0]}
    steps = ({"do": "supply", **params},)
    held = [*_deployments(question, build), *_evidence(question, build)]
    if not held:
        return pending("evidence.missing", "the build was never deployed anywhere", params=params, next=steps)
    last = max(held, key=lambda one: (one.at, one.id))
    problem = _problem(rule, last, params)
    if problem is not None:
        return problem
    until = None if rule.max_age is None else last.at + rule.max_age
    if until is not None and question.now >= until:
        text = f"the last deployment of the build is too old since {instant_text(until)}"
        params["since"] = instant_text(until)
        return pending("evidence.stale", text, params=params, evidence=(last.id,), next=steps)
    return passed((last.id,), until)


def _problem(rule: EvidenceRule, last: _Rehearsal, params: dict[str, Any]) -> Finding | None:
    more: dict[str, Any] = {"params": params, "evidence": (last.id,), "next": ({"do": "supply", **params},)}
    if last.outcome == "cancelled":
        return pending("evidence.cancelled", "the last deployment of the build was cancelled", **more)
    if last.outcome != "pass":
        return failed("evidence.failed", "the last deployment of the build failed", **more)
    if last.manual_steps > 0:
        more["params"] = {**params, "manual_steps": last.manual_steps}
        return failed("button.manual", "the last deployment of the build was not fully automated", **more)
    if rule.max_duration is None:
        return None
    if last.duration is None:
        return pending("evidence.untimed", "it is not known how long the last deployment took", **more)
    if last.duration > rule.max_duration:
        more["params"] = {**params, "duration_ms": last.duration, "max_duration_ms": rule.max_duration}
        text = f"the last deployment took {duration_text(last.duration)}, of at most {duration_text(rule.max_duration)}"
        return failed("button.slow", text, **more)
    return None


def _deployments(question: Question, build: Build) -> list[_Rehearsal]:
    return [
        _Rehearsal(
            one.deployed_at,
            one.id,
            "fail" if one.has_failed else "pass",
            max(one.manual_steps, 0 if one.is_automated else 1),
            one.duration_ms,
        )
        for one in question.snapshot.deployments
        if one.service == build.service and one.digest in build.digests
    ]


def _evidence(question: Question, build: Build) -> list[_Rehearsal]:
    current = evidence_for(question.index.current, REHEARSAL, build, None)
    return [_from(one) for one in current.values()]


def _from(one: Evidence) -> _Rehearsal:
    duration = None if one.started_at is None else one.finished_at - one.started_at
    return _Rehearsal(one.finished_at, one.id, one.outcome, 0 if one.is_automated else 1, duration)
