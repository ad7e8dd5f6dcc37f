"""Is a story done in a build? Answered in the shape of a decision: C1 and C2 and C3, each rule with its finding."""

from dataclasses import replace

from greenroom_server.policy.answer import answer, foreseen
from greenroom_server.policy.asking import ask
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.conditions import checks_for, question_of_story
from greenroom_server.policy.decision import Decision, RuleResult
from greenroom_server.policy.facts import Instant, Request, Snapshot
from greenroom_server.policy.judge import broken
from greenroom_server.policy.outlook import Outlook
from greenroom_server.policy.question import Index
from greenroom_server.policy.rules.subject import without_build


def done(snapshot: Snapshot, story: str, request: Request, policy: Policy, now: Instant) -> Decision:
    """`allow` when the story is done in the build that the request's digest names, as the policy defines it for there.

    A request names the environment, which need not be one that the build is in. Break-glass makes no story done.
    """
    request, facts = replace(request, action="deploy", scheduled_for=None), Index(snapshot)
    try:
        return _done(facts, story, request, policy, now)
    except Exception as error:
        return answer(facts, request, None, now, "deny", (RuleResult("_policy", "policy", None, broken(error)),))


def _done(facts: Index, story: str, request: Request, policy: Policy, now: Instant) -> Decision:
    asked = ask(facts, request, policy, now)
    nothing = without_build(asked)
    if nothing is not None:
        return answer(facts, request, policy, now, "deny", (RuleResult("_subject", "subject", None, nothing),))
    question = question_of_story(asked, asked.index.story(story), asked.builds[0])
    outlook = Outlook(question, checks_for(question))
    return foreseen(question, outlook, outlook.standing(now))
