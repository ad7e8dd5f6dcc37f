"""When a story is done in a build: C1 and C2 and C3, as the rules of the policy for a release define them.

A condition that no rule is about cannot be shown, so the story is not done.
"""

from dataclasses import replace
from typing import Final

from greenroom_server.policy.applicability import applies
from greenroom_server.policy.decision import Finding, RuleResult
from greenroom_server.policy.document import Condition, PolicyDocument, Rule
from greenroom_server.policy.facts import Build, Story
from greenroom_server.policy.findings import failed, worst
from greenroom_server.policy.question import Check, Question
from greenroom_server.policy.rules.subject import not_in_build

CONDITIONS: Final[tuple[Condition, ...]] = ("C1", "C2", "C3")

# They ask for doneness, or about a flag and not about a story.
_NOT_ABOUT_STORIES: Final = frozenset({"flags_dark", "flag_live"})


def done_in(question: Question, story: Story, build: Build) -> Finding:
    """Whether the story is done in the build, whatever the question itself is about."""
    asked = question_of_story(question, story, build)
    return worst([check(asked).finding for check in checks_for(asked)])


def question_of_story(question: Question, story: Story, build: Build) -> Question:
    """The question whether this story could be released from this build."""
    environment = _environment(question.policy.document, question.request.environment)
    request = replace(
        question.request, action="release", environment=environment, digest=build.digests[0], flag=None, slot=None
    )
    return replace(
        question, request=request, builds=(build,), stories=(story,), flags=story.flags, assigned=None, ballots={}
    )


def checks_for(question: Question) -> list[Check]:
    """Every rule with a condition, and what has to hold besides."""
    rules = _condition_rules(question)
    covered = {rule.condition for rule in rules}
    besides = [_uncovered(condition) for condition in CONDITIONS if condition not in covered]
    return [*(_asking(rule) for rule in rules), _contained, *besides]


def _condition_rules(question: Question) -> list[Rule]:
    document, request, mode = question.policy.document, question.request, question.snapshot.mode
    return [
        rule
        for rule in document.rules
        if rule.condition is not None
        and rule.kind not in _NOT_ABOUT_STORIES
        and applies(rule, document, request.action, request.environment, mode)
    ]


def _asking(rule: Rule) -> Check:
    return lambda question: question.judge(question, rule)


def _contained(question: Question) -> RuleResult:
    lacking = (not_in_build(question, story, build) for story in question.stories for build in question.builds)
    return RuleResult("_story", "story", "C1", worst(one for one in lacking if one is not None))


def _uncovered(condition: Condition) -> Check:
    text = f"no rule of the policy is about {condition}, so no story is done"
    result = RuleResult(f"_{condition.lower()}", "condition", condition, failed("done.uncovered", text))
    return lambda _: result


def _environment(document: PolicyDocument, asked: str) -> str:
    """Stories are done for production: the environment asked about, if it is one, else the first that is."""
    if asked in document.environments and document.environments[asked].tier == "production":
        return asked
    production = [(spec.order, key) for key, spec in document.environments.items() if spec.tier == "production"]
    return min(production)[1] if production else asked
