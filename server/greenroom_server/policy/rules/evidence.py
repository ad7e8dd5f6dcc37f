"""Evidence of named kinds, all of it current, green and fresh; `deploy.rehearsal` comes from deployments."""

from collections.abc import Iterator

from greenroom_server.policy.current import evidence_for
from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import EvidenceRule
from greenroom_server.policy.facts import Build, Evidence
from greenroom_server.policy.findings import worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.judging import Demand, judged
from greenroom_server.policy.rules.rehearsal import REHEARSAL, rehearsal
from greenroom_server.policy.rules.subject import without_build


def evidence(question: Question, rule: EvidenceRule) -> Finding:
    """Each kind for each build; a kind that comes in several suites needs all of them."""
    if (nothing := without_build(question)) is not None:
        return nothing
    kinds = rule.all_of or ((rule.evidence,) if rule.evidence else ())
    return worst(part for build in question.builds for kind in kinds for part in _kind(question, rule, build, kind))


def _kind(question: Question, rule: EvidenceRule, build: Build, kind: str) -> Iterator[Finding]:
    if kind == REHEARSAL:
        yield rehearsal(question, rule, build)
        return
    by_suite: dict[str | None, list[Evidence]] = {None: []}
    for (suite, _), one in evidence_for(question.index.current, kind, build, None).items():
        by_suite.setdefault(suite, []).append(one)
    if len(by_suite) > 1 and not by_suite[None]:
        del by_suite[None]
    for suite, found in sorted(by_suite.items(), key=lambda item: item[0] or ""):
        yield judged(_demand(rule, build, kind, suite), found, question.now)


def _demand(rule: EvidenceRule, build: Build, kind: str, suite: str | None) -> Demand:
    params = {"kind": kind, "digest": build.digests[0]}
    return Demand(
        what=f"`{kind}`" if suite is None else f"`{kind}` (suite `{suite}`)",
        params=params if suite is None else {**params, "suite": suite},
        max_age=rule.max_age,
        max_duration=rule.max_duration,
    )
