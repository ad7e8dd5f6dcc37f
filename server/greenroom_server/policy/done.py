"""Is a story done in a build? Answered in the shape of a decision: C1 and C2 and C3, each rule with its finding."""

from collections.abc import Iterable
from dataclasses import replace

from greenroom_server.policy.answer import answer, foreseen
from greenroom_server.policy.asking import ask
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.conditions import checks_for, question_of_story
from greenroom_server.policy.decision import Decision, Finding, RuleResult
from greenroom_server.policy.facts import Instant, Request, Snapshot
from greenroom_server.policy.findings import failed
from greenroom_server.policy.judge import broken
from greenroom_server.policy.outlook import Outlook, Standing
from greenroom_server.policy.question import Index, Question
from greenroom_server.policy.rules.subject import without_build


def done(snapshot: Snapshot, story: str, request: Request, policy: Policy | None, now: Instant) -> Decision:
    """`allow` when the story is done in the build that the request's digest names, as the policy defines it for there.

    A request names the environment, which need not be one that the build is in. Break-glass makes no story done, and
    without a policy none is.
    """
    request, facts = _about_build(request), Index(snapshot)
    try:
        return _done(facts, story, request, policy, now)
    except Exception as error:
        return answer(facts, request, None, now, "deny", (_own("_policy", broken(error)),))


def standings_of_stories(
    snapshot: Snapshot, stories: Iterable[str], request: Request, policy: Policy | None, now: Instant
) -> dict[str, Standing]:
    """What `done` finds for each of these stories in one build, without a look ahead; nothing without a policy."""
    if policy is None:
        return {}
    asked = ask(Index(snapshot), _about_build(request), policy, now)
    nothing = without_build(asked)
    if nothing is not None:
        standing = Standing(asked, (_own("_subject", nothing),), breakable=False)
        return dict.fromkeys(stories, standing)
    return {story: _outlook(asked, story).standing(now) for story in stories}


def _done(facts: Index, story: str, request: Request, policy: Policy | None, now: Instant) -> Decision:
    if policy is None:
        text = "no policy is in force, or it cannot be read: nothing says when a story is done"
        none = failed("policy.none", text, next=({"do": "write_policy"},))
        return answer(facts, request, None, now, "deny", (_own("_policy", none),))
    asked = ask(facts, request, policy, now)
    nothing = without_build(asked)
    if nothing is not None:
        return answer(facts, request, policy, now, "deny", (_own("_subject", nothing),))
    outlook = _outlook(asked, story)
    return foreseen(outlook.question_at(now), outlook, outlook.standing(now))


def _about_build(request: Request) -> Request:
    return replace(request, action="deploy", scheduled_for=None)


def _outlook(asked: Question, story: str) -> Outlook:
    question = question_of_story(asked, asked.index.story(story), asked.builds[0])
    return Outlook(question, checks_for(question))


def _own(name: str, finding: Finding) -> RuleResult:
    return RuleResult(name, name.removeprefix("_"), None, finding)
