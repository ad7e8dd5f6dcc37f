"""C1: the entire declared suite ran, green, against the build that contains the stories."""

from collections.abc import Iterator

from greenroom_server.policy.applicability import selected
from greenroom_server.policy.current import evidence_for
from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import SuiteSpec, SuitesRule
from greenroom_server.policy.facts import Build, Evidence
from greenroom_server.policy.findings import pending, worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.judging import Demand, judged
from greenroom_server.policy.rules.subject import not_in_build, without_build


def suites(question: Question, rule: SuitesRule) -> Finding:
    """Each suite for each build; and what is released must be in it as the story is now."""
    if (nothing := without_build(question)) is not None:
        return nothing
    declared = question.policy.document.suites
    names = tuple(sorted(declared)) if rule.require == "all" else rule.require
    if not names:
        return pending("evidence.missing", "the policy declares no suites, so no suite can have run")
    parts = [_suite(question, rule, build, name) for build in question.builds for name in names]
    return worst([*parts, *_stories(question)])


def _suite(question: Question, rule: SuitesRule, build: Build, name: str) -> Finding:
    spec = question.policy.document.suites[name]
    commit = question.index.linked_commit(build) if spec.bind == "commit" else None
    demand = Demand(
        what=f"the suite `{name}`",
        params={"kind": spec.kind, "suite": name, "digest": build.digests[0]},
        max_age=spec.max_age,
        max_attempts=rule.max_attempts,
        max_skipped_percent=rule.max_skipped_percent,
        definition=spec.definition,
        needs_counts=True,
    )
    return judged(demand, _of_suite(question, name, spec, build, commit), question.now)


def _of_suite(question: Question, name: str, spec: SuiteSpec, build: Build, commit: str | None) -> Iterator[Evidence]:
    places = None if spec.environment is None else selected(spec.environment, question.policy.document)
    for (suite, environment), one in evidence_for(question.index.current, spec.kind, build, commit).items():
        if suite == name and (places is None or environment in places):
            yield one


def _stories(question: Question) -> Iterator[Finding]:
    if question.request.action == "release":
        for story in question.stories:
            for build in question.builds:
                if (lacking := not_in_build(question, story, build)) is not None:
                    yield lacking
