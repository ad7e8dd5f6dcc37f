"""How the environment is, as its sources of health said last. No reading is no good reading."""

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import HealthRule
from greenroom_server.policy.findings import failed, passed, pending, worst
from greenroom_server.policy.instants import instant_text
from greenroom_server.policy.question import Question


def health(question: Question, rule: HealthRule) -> Finding:
    """Every source is healthy, and said so lately."""
    return worst(_source(question, rule, source) for source in rule.sources)


def _source(question: Question, rule: HealthRule, source: str) -> Finding:
    environment = question.request.environment
    params = {"source": source, "environment": environment}
    steps = ({"do": "supply", "kind": "health", **params},)
    found = (one for one in question.snapshot.health if (one.source, one.environment) == (source, environment))
    last = max(found, key=lambda one: (one.at, one.seq), default=None)
    if last is None or last.is_healthy is None:
        text = f"`{source}` does not say how `{environment}` is"
        return pending("health.missing", text, params=params, next=steps)
    if not last.is_healthy:
        return failed("health.unhealthy", f"`{environment}` is not healthy, says `{source}`", params=params)
    until = last.at + rule.max_age
    if question.now >= until:
        text = f"what `{source}` said of `{environment}` is too old since {instant_text(until)}"
        return pending("health.stale", text, params=params, next=steps)
    return passed(holds_until=until)
