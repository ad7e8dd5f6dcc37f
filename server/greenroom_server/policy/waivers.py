"""Where a rule is not held against a digest or service in one environment, until a moment."""

from greenroom_server.policy.document import Rule
from greenroom_server.policy.facts import Waiver
from greenroom_server.policy.question import Question


def waiver_for(question: Question, rule: Rule) -> Waiver | None:
    """The one that lasts longest. Its key is the whole tuple: it must name an environment, and a digest or service."""
    if not rule.waivable or not question.snapshot.waivers:
        return None
    fitting = [one for one in question.snapshot.waivers if one.rule == rule.id and _fits(question, one)]
    return max(fitting, key=lambda one: (one.until, one.id), default=None)


def _fits(question: Question, one: Waiver) -> bool:
    scope = one.scope
    if one.withdrawn_at is not None or question.now >= one.until:
        return False
    if scope.environment is None or (scope.digest is None and scope.service is None):
        return False
    if not question.covers(scope):
        return False
    return scope.digest is None or all(scope.digest in build.digests for build in question.builds)
