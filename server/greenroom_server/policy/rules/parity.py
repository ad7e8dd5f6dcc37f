"""Whether the environments that stand for production are like it: drift was looked for lately, and little found."""

from typing import Any

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import ParityDemand, ParityRule
from greenroom_server.policy.facts import Instant, Parity
from greenroom_server.policy.findings import passed, pending, worst
from greenroom_server.policy.instants import instant_text
from greenroom_server.policy.question import Question


def parity(question: Question, rule: ParityRule) -> Finding:
    """Each environment that the policy demands parity of with `of`, which is else the environment asked about."""
    of = rule.of or question.request.environment
    demands = {
        key: spec.parity
        for key, spec in sorted(question.policy.document.environments.items())
        if spec.parity is not None and spec.parity.of == of
    }
    if not demands:
        return pending("parity.missing", f"the policy demands of no environment to be like `{of}`", params={"of": of})
    return worst(parity_at(question, key, demand, question.now) for key, demand in demands.items())


def parity_at(
    question: Question, environment: str, demand: ParityDemand, at: Instant, known_by: Instant | None = None
) -> Finding:
    """What was known of an environment's drift at a moment; only of records until `known_by`, if it is given."""
    more: dict[str, Any] = {
        "params": {"environment": environment, "of": demand.of},
        "next": ({"do": "supply", "kind": "parity", "environment": environment},),
    }
    last = _last(question, environment, demand.of, known_by)
    if last is None:
        return pending("parity.missing", f"nobody compared `{environment}` with `{demand.of}`", **more)
    if len(last.drift) > demand.max_drift:
        text = f"`{environment}` differs from `{demand.of}` in {len(last.drift)} things, of at most {demand.max_drift}"
        return pending("parity.drift", text, evidence=(last.id,), **more)
    until = last.at + demand.max_age
    if at >= until:
        text = f"the comparison of `{environment}` with `{demand.of}` is too old since {instant_text(until)}"
        return pending("parity.stale", text, evidence=(last.id,), **more)
    return passed((last.id,), until)


def _last(question: Question, environment: str, of: str, known_by: Instant | None) -> Parity | None:
    found = (
        one
        for one in question.snapshot.parities
        if one.environment == environment
        and one.of == of
        and one.revoked_at is None
        and (known_by is None or one.at <= known_by)
    )
    return max(found, key=lambda one: (one.at, one.seq, one.id), default=None)
