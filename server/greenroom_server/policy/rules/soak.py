"""The build ran in an earlier environment for some time: elapsed time, in one go, since the last incident."""

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import SoakRule
from greenroom_server.policy.facts import Build, Incident, Instant
from greenroom_server.policy.findings import passed, pending, worst
from greenroom_server.policy.instants import instant_text
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.subject import without_build


def soak(question: Question, rule: SoakRule) -> Finding:
    return without_build(question) or worst(_build(question, rule, build) for build in question.builds)


def _build(question: Question, rule: SoakRule, build: Build) -> Finding:
    params = {"environment": rule.in_, "digest": build.digests[0]}
    intervals = _intervals(question, build, rule.in_)
    if not intervals:
        steps = ({"do": "deploy", "environment": rule.in_},)
        return pending("soak.not_deployed", f"it never ran in `{rule.in_}`", params=params, next=steps)
    incidents = _incidents(question, rule, build)
    met = [_met_at(interval, incidents, rule.for_) for interval in intervals]
    known = [at for at in met if at is not None]
    if any(at <= question.now for at in known):
        return passed()
    if known:
        at = min(known)
        text = f"it has been in `{rule.in_}` long enough at {instant_text(at)}"
        return pending("soak.short", text, at, params={**params, "met_at": instant_text(at)})
    for incident in incidents:
        if incident.resolved_at is None:
            params["incident"] = incident.id
            steps = ({"do": "resolve_incident", "incident": incident.id},)
            text = f"the incident `{incident.id}` in `{rule.in_}` is open"
            return pending("soak.incident", text, params=params, evidence=(incident.id,), next=steps)
    steps = ({"do": "deploy", "environment": rule.in_},)
    return pending("soak.ended", f"it left `{rule.in_}` too early", params=params, next=steps)


def _intervals(question: Question, build: Build, environment: str) -> list[tuple[Instant, Instant | None]]:
    """When it ran there. Deployments that follow without a gap, as of the same build again, are one."""
    joined: list[tuple[Instant, Instant | None]] = []
    for one in question.index.deployments.get(environment, ()):
        if one.digest not in build.digests:
            continue
        if joined and (joined[-1][1] is None or one.deployed_at <= joined[-1][1]):
            start, end = joined[-1]
            last = None if end is None or one.removed_at is None else max(end, one.removed_at)
            joined[-1] = (start, last)
        else:
            joined.append((one.deployed_at, one.removed_at))
    return joined


def _incidents(question: Question, rule: SoakRule, build: Build) -> list[Incident]:
    """Those that start the time anew, by id."""
    if "incident" not in rule.reset_on:
        return []
    found = [
        one
        for one in question.snapshot.incidents
        if (one.scope.digest is None or one.scope.digest in build.digests)
        and one.scope.service in (None, build.service)
        and one.scope.environment in (None, rule.in_)
    ]
    return sorted(found, key=lambda one: one.id)


def _met_at(interval: tuple[Instant, Instant | None], incidents: list[Incident], length: int) -> Instant | None:
    """When the interval is long enough after the last incident in it; None if it never is."""
    start, end = interval
    for one in incidents:
        if end is not None and one.opened_at >= end:
            continue
        if one.resolved_at is None:
            return None
        start = max(start, one.resolved_at)
    met = start + length
    return met if end is None or met <= end else None
