"""Builds go through the environments in order, and never back behind what is live."""

from collections.abc import Iterator

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import OrderRule
from greenroom_server.policy.facts import Build
from greenroom_server.policy.findings import failed, passed, pending, worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.subject import without_build


def order(question: Question, rule: OrderRule) -> Finding:
    """The build was deployed in every environment that this one comes after."""
    if (nothing := without_build(question)) is not None:
        return nothing
    parts = [_deployed(question, build, key) for build in question.builds for key in question.environment.after]
    if rule.forbid_older_than_live:
        parts += [part for build in question.builds for part in _not_behind(question, build)]
    return worst(parts)


def _deployed(question: Question, build: Build, environment: str) -> Finding:
    ran = [one.id for one in question.index.deployments.get(environment, ()) if one.digest in build.digests]
    if ran:
        return passed((ran[-1],))
    params = {"environment": environment, "digest": build.digests[0]}
    steps = ({"do": "deploy", "environment": environment},)
    return pending("order.not_deployed", f"it was never deployed in `{environment}`", params=params, next=steps)


def _not_behind(question: Question, build: Build) -> Iterator[Finding]:
    for one in question.index.live(question.request.environment):
        live = question.index.build_of(one.digest)
        if live is None:
            params = {"digest": one.digest}
            steps = ({"do": "register_build", "digest": one.digest},)
            text = f"what is live, `{one.digest}`, is of no known build, so nobody can tell which is newer"
            yield pending("order.live_unknown", text, params=params, evidence=(one.id,), next=steps)
        elif is_older(question, build, live):
            params = {"live": live.id, "digest": build.digests[0]}
            text = f"it is older than the build `{live.id}`, which is live"
            yield failed("order.older_than_live", text, params=params, evidence=(one.id,))


def is_older(question: Question, build: Build, than: Build) -> bool:
    """By ancestry; where neither grew from the other, by which was registered first."""
    if build is than or build.commit == than.commit:
        return False
    if than.commit in question.index.commits_of(build):
        return False
    if build.commit in question.index.commits_of(than):
        return True
    return (build.registered_at, build.seq) < (than.registered_at, than.seq)
