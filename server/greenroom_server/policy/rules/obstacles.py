"""C3: nothing is known that stands in the way of deploying: no open obstacle, and nobody's veto."""

from collections.abc import Iterator

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import ObstaclesRule
from greenroom_server.policy.findings import pending, worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.veto import vetoes


def obstacles(question: Question, rule: ObstaclesRule) -> Finding:
    """Those on the digest, the service or the environment."""
    return worst([*vetoes(question), *_open(question, rule)])


def _open(question: Question, rule: ObstaclesRule) -> Iterator[Finding]:
    for one in sorted(question.snapshot.obstacles, key=lambda one: one.id):
        if one.closed_at is None and one.kind not in rule.ignore and question.covers(one.scope):
            yield pending(
                "obstacle.open",
                f"the obstacle `{one.id}` is open" + (f": {one.text}" if one.text else ""),
                params={"obstacle": one.id, "kind": one.kind},
                evidence=(one.id,),
                next=({"do": "close_obstacle", "obstacle": one.id},),
            )
