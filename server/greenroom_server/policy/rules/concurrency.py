"""Not more deployments to an environment at the same time than it can take."""

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import ConcurrencyRule
from greenroom_server.policy.findings import passed, pending
from greenroom_server.policy.question import Question


def concurrency(question: Question, rule: ConcurrencyRule) -> Finding:
    return busy(question, rule.max or question.environment.concurrency)


def busy(question: Question, limit: int) -> Finding:
    """Open permits for the environment, of which one lapses by time alone."""
    found = [one for one in question.snapshot.permits if one.environment == question.request.environment]
    held = sorted((one.until, one.id) for one in found if question.now < one.until)
    if len(held) < limit:
        return passed()
    clears_at = held[len(held) - limit][0]
    permits = [permit for _, permit in held]
    text = f"{len(held)} permits for `{question.request.environment}` are open, of at most {limit}"
    return pending("busy", text, clears_at, params={"permits": permits, "limit": limit})
