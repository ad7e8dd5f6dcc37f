"""Somebody with the role says yes, who did not make it; and nobody says no."""

from dataclasses import replace
from typing import Any

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import ApprovalRule
from greenroom_server.policy.duties import Ballot, approvals_for, ballot_of, counted_for, next_change
from greenroom_server.policy.findings import failed, passed, pending
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.subject import without_build


def approval(question: Question, rule: ApprovalRule) -> Finding:
    """A rejection wins until its author withdraws it. One person counts once, whatever names they go by."""
    if question.request.action != "release" and (nothing := without_build(question)) is not None:
        return nothing
    rejections = [one for one in approvals_for(question) if one.verdict == "reject"]
    if rejections:
        first = rejections[0]
        text = f"{first.person} rejected it" + (f": {first.reason}" if first.reason else "")
        params = {"role": rule.role, "person": first.person}
        steps = ({"do": "withdraw_rejection", "approval": first.id, "person": first.person},)
        return failed("approval.rejected", text, params=params, evidence=(first.id,), next=steps)
    ballot = ballot_of(question, rule)
    counted = counted_for(question, rule)
    evidence = tuple(sorted(ballot.valid[person].id for person in counted))
    changes_at = next_change(question, ballot)
    if len(counted) >= rule.count:
        return passed(evidence, changes_at)
    return replace(_missing(rule, ballot, len(counted), evidence), holds_until=changes_at)


def _missing(rule: ApprovalRule, ballot: Ballot, have: int, evidence: tuple[str, ...]) -> Finding:
    params: dict[str, Any] = {"role": rule.role, "have": have, "need": rule.count}
    steps = ({"do": "approve", "role": rule.role, "count": rule.count - have},)
    who = f"{rule.count} with the role `{rule.role}` must approve, {have} did"
    if ballot.dependent:
        text = f"{who}; {', '.join(ballot.dependent)} took part in making it"
        code = "approval.not_independent"
    elif ballot.expired:
        code, text = "approval.expired", f"{who}; the approval of {', '.join(ballot.expired)} has expired"
    elif ballot.inactive:
        code, text = "approval.inactive", f"{who}; the account of {', '.join(ballot.inactive)} is not active"
    elif len(ballot.valid) > have:
        code, text = "approval.shared", f"{who}; {', '.join(ballot.valid)} counts for another rule already"
    else:
        code, text = "approval.missing", who
    return pending(code, text, params=params, evidence=evidence, next=steps)
