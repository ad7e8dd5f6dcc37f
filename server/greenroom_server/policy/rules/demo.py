"""C2: the stories were demonstrated to customers, from a production-like environment that really ran them.

A demonstration counts for the builds that grew from the one that was shown, until a later commit works on the story or
the story is reopened.
"""

from typing import Any, Final

from greenroom_server.policy.applicability import is_production_like
from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import DemoRule
from greenroom_server.policy.facts import Build, Demo, Deployment, Story
from greenroom_server.policy.findings import BLOCKING, passed, pending, worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.parity import parity_at
from greenroom_server.policy.rules.subject import no_story, without_build

# How near a demonstration came to counting: of several, the nearest tells what is still to do.
_NEARNESS: Final = (
    "demo.wrong_build",
    "demo.not_production_like",
    "parity.missing",
    "parity.stale",
    "parity.drift",
    "demo.not_accepted",
)


def demo(question: Question, rule: DemoRule) -> Finding:
    """Each story in each build."""
    if (nothing := without_build(question)) is not None:
        return nothing
    if question.stories:
        return worst(_story(question, rule, story, build) for story in question.stories for build in question.builds)
    if question.request.action == "release":
        return no_story(question)
    return Finding("not_applicable", "story.none", "the build brings no story")


def _story(question: Question, rule: DemoRule, story: Story, build: Build) -> Finding:
    shown = [one for one in question.snapshot.demos if one.revoked_at is None and story.key in one.stories]
    findings = [_demonstrated(question, rule, story, build, one) for one in sorted(shown, key=lambda one: one.id)]
    for finding in findings:
        if finding.outcome not in BLOCKING:
            return finding
    if findings:
        return max(findings, key=lambda finding: _NEARNESS.index(finding.code))
    text = f"the story `{story.key}` was not demonstrated"
    return pending("demo.missing", text, **_more(story))


def _more(story: Story, **params: Any) -> dict[str, Any]:
    return {"params": {"story": story.key, **params}, "next": ({"do": "demonstrate", "story": story.key},)}


def _demonstrated(question: Question, rule: DemoRule, story: Story, build: Build, one: Demo) -> Finding:
    ran = _that_ran(question, one)
    if not any(_shows(question, story, build, one, deployment) for deployment in ran):
        text = f"the demonstration `{one.id}` showed `{story.key}` while `{one.environment}` ran another build"
        return pending("demo.wrong_build", text, evidence=(one.id,), **_more(story))
    if not _in_production_like(question, one, ran):
        text = f"the demonstration `{one.id}` was in `{one.environment}`, which was not like production"
        return pending("demo.not_production_like", text, evidence=(one.id,), **_more(story))
    demand = question.policy.document.environments[one.environment].parity
    if demand is not None:
        found = parity_at(question, one.environment, demand, one.at, known_by=one.at)
        if found.outcome in BLOCKING:
            return pending(found.code, found.message, evidence=(one.id, *found.evidence), **_more(story))
    if not any(acceptance.role in rule.roles for acceptance in one.accepted_by):
        text = f"nobody with a role of {', '.join(rule.roles)} accepted `{story.key}` in the demonstration `{one.id}`"
        steps = ({"do": "accept", "demo": one.id, "roles": list(rule.roles)},)
        return pending("demo.not_accepted", text, params={"story": story.key}, evidence=(one.id,), next=steps)
    return passed((one.id,))


def _that_ran(question: Question, one: Demo) -> list[Deployment]:
    """What the environment, or the slot of it that was shown, ran at that moment."""
    return [
        deployment
        for deployment in question.index.deployments.get(one.environment, ())
        if deployment.slot == one.slot
        and deployment.deployed_at <= one.at
        and (deployment.removed_at is None or one.at < deployment.removed_at)
    ]


def _shows(question: Question, story: Story, build: Build, one: Demo, deployment: Deployment) -> bool:
    """Whether what ran is the build or one that it grew from, with all the work on the story that the build has."""
    index = question.index
    shown = index.build_of(deployment.digest)
    if shown is None or (story.reopened_at is not None and one.at < story.reopened_at):
        return False
    if shown is not build and shown.commit not in index.commits_of(build):
        return False
    work = {commit.id for commit in build.commits if story.key in commit.stories}
    return index.has_latest(shown, story) and work <= index.commits_of(shown)


def _in_production_like(question: Question, one: Demo, ran: list[Deployment]) -> bool:
    """Production itself counts where it is declared so, or by a slot without traffic beside one that is live."""
    document = question.policy.document
    spec = document.environments.get(one.environment)
    if spec is None:
        return False
    if spec.production_like or spec.tier != "production":
        return is_production_like(one.environment, document)
    if any(_was_live(deployment, one) for deployment in ran):
        return False
    shown = [question.index.build_of(deployment.digest) for deployment in ran]
    return any(
        deployment.slot != one.slot and question.index.build_of(deployment.digest) not in shown
        for deployment in question.index.deployments.get(one.environment, ())
        if _was_live(deployment, one)
    )


def _was_live(deployment: Deployment, one: Demo) -> bool:
    if deployment.live_from is None or one.at < deployment.live_from:
        return False
    ended = (at for at in (deployment.live_to, deployment.removed_at) if at is not None)
    return all(one.at < at for at in ended)
