"""A flag can be released only where the code behind it has traffic."""

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import FlagLiveRule
from greenroom_server.policy.facts import Deployment, Story
from greenroom_server.policy.findings import passed, pending, worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.subject import no_story


def flag_live(question: Question, rule: FlagLiveRule) -> Finding:
    """The live build contains every story of the flag as it is now, on every live slot unless the rule says any."""
    where = question.request.environment if rule.build_live_in == "target" else rule.build_live_in
    if not question.stories:
        return no_story(question)
    live = question.index.live(where)
    if not live:
        return pending("flag.build_not_live", f"nothing is live in `{where}`", params={"environment": where})
    return worst(_story(question, rule, story, where, live) for story in question.stories)


def _story(question: Question, rule: FlagLiveRule, story: Story, where: str, live: list[Deployment]) -> Finding:
    lacking = [one for one in live if not _has(question, one, story)]
    if not lacking or (not rule.every_live_slot and len(lacking) < len(live)):
        return passed(tuple(one.id for one in live if one not in lacking))
    return pending(
        "flag.build_not_live",
        f"what is live in `{where}` does not contain the story `{story.key}` as it is now",
        params={"environment": where, "story": story.key, "slots": [one.slot for one in lacking]},
        evidence=tuple(one.id for one in lacking),
        next=({"do": "deploy", "environment": where, "story": story.key},),
    )


def _has(question: Question, one: Deployment, story: Story) -> bool:
    build = question.index.build_of(one.digest)
    return build is not None and question.index.has_latest(build, story)
