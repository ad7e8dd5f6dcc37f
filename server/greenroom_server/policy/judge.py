"""One rule on one question: what it found, what a waiver or a later beginning makes of that, and never an exception."""

from dataclasses import replace

from greenroom_server.policy.decision import Finding, Outcome, RuleResult
from greenroom_server.policy.document import Rule
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.findings import BLOCKING
from greenroom_server.policy.instants import earliest
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules import RULES
from greenroom_server.policy.waivers import waiver_for


def judge(question: Question, rule: Rule) -> RuleResult:
    """A rule that begins later warns; a waived one lets pass and shows what it would have said; errors stay errors."""
    finding = _found(question, rule)
    if finding.outcome not in BLOCKING:
        return RuleResult(rule.id, rule.kind, rule.condition, finding)
    begins = question.policy.effective_from.get(rule.id)
    if begins is not None and question.now < begins:
        return _softened(rule, finding, "warn", begins)
    if finding.outcome == "error" or (waiver := waiver_for(question, rule)) is None:
        return RuleResult(rule.id, rule.kind, rule.condition, finding)
    return replace(_softened(rule, finding, "waived", waiver.until), waiver=waiver.id)


def _found(question: Question, rule: Rule) -> Finding:
    """INVARIANT: what a finding tells of time lies ahead; the search in `outlook` would not end otherwise."""
    try:
        finding = RULES[rule.kind](question, rule)
        clears_at, holds_until = finding.clears_at, finding.holds_until
        if (clears_at is None or clears_at > question.now) and (holds_until is None or holds_until > question.now):
            return finding
        raise ValueError("a finding tells of time that has passed")
    except Exception as error:
        return broken(error)


def broken(error: Exception) -> Finding:
    """Of the exception only its class is told: its text may name facts that the reader may not see."""
    name = type(error).__name__
    return Finding("error", "rule.error", f"the rule could not be evaluated ({name})", {"error": name})


def _softened(rule: Rule, finding: Finding, outcome: Outcome, until: Instant) -> RuleResult:
    holds_until = earliest(until, finding.holds_until)
    softened = replace(finding, outcome=outcome, clears_at=None, holds_until=holds_until)
    return RuleResult(rule.id, rule.kind, rule.condition, softened, underlying=finding.outcome)
