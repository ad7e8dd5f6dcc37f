"""Puts a decision together out of what was found."""

from collections.abc import Mapping
from typing import Any

from greenroom_server.policy.canonical import inputs_bytes, inputs_digest
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decision import Decision, Verdict
from greenroom_server.policy.facts import Instant, Request
from greenroom_server.policy.findings import BLOCKING, unique
from greenroom_server.policy.outlook import Outlook, Results, Standing, expires_at, retry_at
from greenroom_server.policy.question import Index, Question


def answer(
    index: Index, request: Request, policy: Policy | None, now: Instant, verdict: Verdict, rules: Results
) -> Decision:
    """A decision that knows nothing of any other instant."""
    return _decision(index, request, policy, now, verdict=verdict, rules=rules)


def foreseen(question: Question, outlook: Outlook, standing: Standing, **more: Any) -> Decision:
    """The decision of a standing, with how long it holds or when to ask again; `more` are further members of it."""
    is_allowed = standing.verdict == "allow"
    return _decision(
        question.index,
        question.request,
        question.policy,
        standing.at,
        verdict=standing.verdict,
        rules=_shown(standing.results),
        retry_at=None if is_allowed else retry_at(outlook, standing),
        expires_at=expires_at(outlook, standing) if is_allowed else None,
        break_glass=standing.break_glass,
        **more,
    )


def _decision(index: Index, request: Request, policy: Policy | None, now: Instant, **found: Any) -> Decision:
    inputs, snapshot = _inputs(index, request, policy, now), index.snapshot
    return Decision(
        action=request.action,
        service=request.service,
        environment=request.environment,
        policy_name="" if policy is None else policy.name,
        policy_version=0 if policy is None else policy.version,
        policy_digest="" if policy is None else policy.digest,
        mode=snapshot.mode,
        tzdata="" if policy is None else policy.tzdata,
        seq=snapshot.seq,
        now=now,
        inputs_digest=inputs_digest(inputs),
        inputs=inputs,
        digest=request.digest,
        commit=request.commit,
        slot=request.slot,
        flag=request.flag,
        audience=request.audience,
        scheduled_for=request.scheduled_for,
        next=() if found["verdict"] == "allow" else next_steps_of(found["rules"]),
        **found,
    )


def _inputs(index: Index, request: Request, policy: Policy | None, now: Instant) -> bytes:
    """Empty where they cannot be written down."""
    try:
        return inputs_bytes(index.written, request, policy, now)
    except Exception:
        return b""


def _shown(results: Results) -> Results:
    """By id; of what Greenroom checks by itself only what blocks."""
    shown = (one for one in results if not one.id.startswith("_") or one.finding.outcome in BLOCKING)
    return tuple(sorted(shown, key=lambda one: one.id))


def next_steps_of(results: Results) -> tuple[Mapping[str, Any], ...]:
    return unique(step for one in results if one.finding.outcome in BLOCKING for step in one.finding.next)
