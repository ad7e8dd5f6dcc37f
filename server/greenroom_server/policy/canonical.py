"""Bytes that are the same everywhere: RFC 8785 JSON of whole numbers, and the digest of a decision's inputs.

All names of members are ASCII here and there are no fractions, so that sorted keys and shortest escapes are all that
the RFC asks for; tests hold the bytes equal to those of the `rfc8785` package, which is 40 times slower.
"""

import hashlib
from typing import Any

import orjson

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decision import Decision, Finding, RuleResult
from greenroom_server.policy.facts import Instant, JsonObject, Request
from greenroom_server.policy.instants import instant_text, optional_text
from greenroom_server.policy.stored import write_request

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def canonical_bytes(value: Any) -> bytes:
    """Of plain JSON data without fractions. Raises TypeError for whole numbers past 53 bits."""
    return orjson.dumps(value, option=_OPTIONS)


def inputs_bytes(snapshot: bytes, request: Request, policy: Policy | None, now: Instant) -> bytes:
    """All that a decision depends on, as it is stored and named; the policy by its digest, since versions are kept.

    `snapshot` is `question.Index.written`.
    """
    named = None if policy is None else {"digest": policy.digest, "version": policy.version, "tzdata": policy.tzdata}
    written = {"now": now, "policy": named, "request": write_request(request), "snapshot": orjson.Fragment(snapshot)}
    return canonical_bytes(written)


def inputs_digest(inputs: bytes) -> str:
    """Empty where the inputs cannot be written down."""
    return f"sha256:{hashlib.sha256(inputs).hexdigest()}" if inputs else ""


def decision_bytes(decision: Decision) -> bytes:
    """The bytes that a decision is stored and compared as."""
    return canonical_bytes(write_decision(decision))


def write_decision(decision: Decision) -> JsonObject:
    """The JSON that docs/release-policy.md shows, without the id that the server gives it. Absent members are unset."""
    written: JsonObject = {
        "decision": decision.verdict,
        "inputs_digest": decision.inputs_digest,
        "action": decision.action,
        "subject": _given(
            service=decision.service,
            digest=decision.digest,
            commit=decision.commit,
            flag=decision.flag,
            audience=decision.audience,
        ),
        "target": _given(environment=decision.environment, slot=decision.slot),
        "policy": {
            "name": decision.policy_name,
            "version": decision.policy_version,
            "digest": decision.policy_digest,
            "mode": decision.mode,
            "tzdata": decision.tzdata,
        },
        "as_of": {"seq": decision.seq, "time": instant_text(decision.now)},
        "retry_at": optional_text(decision.retry_at),
        "expires_at": optional_text(decision.expires_at),
        "rules": [_result(result) for result in decision.rules],
        "next": [dict(step) for step in decision.next],
        "obligations": [dict(one) for one in decision.obligations],
    }
    if decision.scheduled_for is not None:
        written["scheduled_for"] = instant_text(decision.scheduled_for)
    if decision.break_glass is not None:
        written["break_glass"] = decision.break_glass
    return written


def _result(result: RuleResult) -> JsonObject:
    finding: Finding = result.finding
    written: JsonObject = {"id": result.id, "kind": result.kind, "outcome": finding.outcome, "code": finding.code}
    if finding.message:
        written["message"] = finding.message
    if finding.params:
        written["params"] = dict(finding.params)
    if finding.evidence:
        written["evidence"] = list(finding.evidence)
    written.update(
        _given(
            condition=result.condition,
            waiver=result.waiver,
            underlying=result.underlying,
            overridden_by=result.overridden_by,
            at=optional_text(result.at),
        )
    )
    return written


def _given(**members: str | None) -> dict[str, str]:
    return {name: value for name, value in members.items() if value is not None}
