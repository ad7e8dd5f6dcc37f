"""A person forbids it, whatever the evidence says, until the same person withdraws."""

from collections.abc import Iterator

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import VetoRule
from greenroom_server.policy.findings import failed, worst
from greenroom_server.policy.question import Question


def veto(question: Question, rule: VetoRule) -> Finding:
    return worst(vetoes(question))


def vetoes(question: Question) -> Iterator[Finding]:
    """A finding for each veto on the digest, the service or the environment."""
    for one in sorted(question.snapshot.vetoes, key=lambda one: one.id):
        if one.withdrawn_at is None and question.covers(one.scope):
            yield failed(
                "veto",
                f"{one.person} forbids it" + (f": {one.reason}" if one.reason else ""),
                params={"veto": one.id, "person": one.person},
                evidence=(one.id,),
                next=({"do": "withdraw_veto", "veto": one.id, "person": one.person},),
            )
