"""What is on its way into an environment: a release must not light what may come there because it is dark."""

from collections.abc import Iterator
from typing import Final

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.findings import pending, worst
from greenroom_server.policy.question import Question

# Of a deployment without a permit that nobody tells the end of, it is taken that it ended so long after it began.
UNDER_WAY_FOR: Final = 60 * 60 * 1000


def arriving(question: Question) -> Finding:
    """No build is on its way that brings work on the released stories which what is live lacks."""
    return worst(
        _arriving(question, digest, until, name)
        for name, digest, until in sorted(_on_their_way(question))
        if question.now < until and _brings_work(question, digest)
    )


def _on_their_way(question: Question) -> Iterator[tuple[str, str, Instant]]:
    """Name, digest and latest end of each: open permits, and deployments that have begun without one."""
    environment, snapshot = question.request.environment, question.snapshot
    permits = {one.id: one for one in snapshot.permits if one.service in ("", snapshot.service)}
    for permit in permits.values():
        if permit.environment == environment:
            yield permit.id, permit.digest, permit.until
    for one in snapshot.under_way:
        if one.environment == environment and one.permit not in permits:
            yield one.id, one.digest, one.started_at + UNDER_WAY_FOR


def _brings_work(question: Question, digest: str) -> bool:
    """What nobody knows may bring anything."""
    index = question.index
    build = index.build_of(digest)
    if build is None:
        return bool(question.stories)
    brought = [story for story in question.stories if story.key in index.stories_of(build)]
    return any(not index.has_latest(live, story) for story in brought for live in question.builds) or (
        bool(brought) and not question.builds
    )


def _arriving(question: Question, digest: str, until: Instant, name: str) -> Finding:
    environment = question.request.environment
    return pending(
        "flag.build_under_way",
        f"`{digest}`, which works on a story of the flag, is on its way to `{environment}`",
        until,
        params={"digest": digest, "under_way": name},
        next=({"do": "wait_for_deployment", "environment": environment, "digest": digest},),
    )
