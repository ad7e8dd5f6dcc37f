"""Break-glass: two people let one action through in spite of rules, once, for a short time, for all to see."""

from typing import Final

from greenroom_server.policy.checks import ROLLBACK, SUBJECT
from greenroom_server.policy.decision import RuleResult
from greenroom_server.policy.document import BreakGlassSpec
from greenroom_server.policy.facts import BreakGlass, Instant
from greenroom_server.policy.question import Question

# The binding to a digest, and signatures, are what the word of the two people is about.
_NEVER: Final = frozenset({"digest.unknown", "digest.ambiguous", "provenance.unverified", "policy.none"})


def usable(question: Question) -> BreakGlass | None:
    """The first by id that fits in everything, is not used and has not run out."""
    spec = question.policy.document.break_glass
    if spec is None:
        return None
    found = [one for one in question.snapshot.break_glasses if _fits(question, spec, one)]
    return min(found, key=lambda one: one.id, default=None)


def ends_at(question: Question, one: BreakGlass) -> Instant:
    spec = question.policy.document.break_glass
    return one.until if spec is None else min(one.until, one.at + spec.max_ttl)


def can_override(question: Question, result: RuleResult) -> bool:
    """Not what the policy lists under `never`, and not what makes the subject certain."""
    spec = question.policy.document.break_glass
    if spec is None or result.id in spec.never or result.id in (SUBJECT, ROLLBACK):
        return False
    return result.finding.code not in _NEVER


def _fits(question: Question, spec: BreakGlassSpec, one: BreakGlass) -> bool:
    request = question.request
    if (one.action, one.environment) != (request.action, request.environment) or one.used_at is not None:
        return False
    if question.now >= ends_at(question, one) or not one.reason.strip():
        return False
    if not question.builds or not all(one.digest in build.digests for build in question.builds):
        return False
    people = question.index.people
    confirmed = {person for person in people.persons(one.confirmed_by) if people.is_active(person)}
    return len(confirmed) >= spec.confirm_by and not set(spec.roles).isdisjoint(one.roles)
