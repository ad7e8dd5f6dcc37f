"""Makes the question out of a request: which builds it is about, and which stories come with them."""

from typing import Final

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import Build, Instant, Request, Story
from greenroom_server.policy.judge import judge
from greenroom_server.policy.question import (
    Index,
    Question,
    commits_live_everywhere,
    runs,
    stories_live_everywhere,
)

ACTIONS: Final = frozenset({"deploy", "switch", "release", "rollback"})


def ask(index: Index, request: Request, policy: Policy, now: Instant) -> Question:
    """A release is about the builds that are live, every other action about the one that the digest names."""
    if request.action == "release":
        stories = tuple(story for story in index.snapshot.stories if request.flag in story.flags)
        flags = (request.flag,) if request.flag is not None else ()
        builds = _live(index, request.environment)
        return Question(index, request, policy, now, judge, builds, _in_order(stories), flags)
    build = _named(index, request)
    if build is None:
        return Question(index, request, policy, now, judge)
    return Question(index, request, policy, now, judge, (build,), _brought(index, build, request.environment))


def _live(index: Index, environment: str) -> tuple[Build, ...]:
    found = {build.id: build for one in index.live(environment) if (build := index.build_of(one.digest)) is not None}
    return tuple(found[key] for key in sorted(found))


def _named(index: Index, request: Request) -> Build | None:
    """A switch need not name the digest: the slot runs it."""
    if request.digest is not None:
        return index.build_of(request.digest)
    if request.action != "switch" or request.slot is None:
        return None
    there = [one for one in index.deployments.get(request.environment, ()) if one.slot == request.slot and runs(one)]
    return index.build_of(there[-1].digest) if there else None


def _brought(index: Index, build: Build, environment: str) -> tuple[Story, ...]:
    """The stories that are new in the build, or worked on in it, compared with what is live."""
    commits = commits_live_everywhere(index, environment)
    keys = set(index.stories_of(build) - stories_live_everywhere(index, environment))
    for commit in build.commits:
        if commit.stories and commit.id not in commits:
            keys.update(commit.stories)
    return _in_order(tuple(index.story(key) for key in keys))


def _in_order(stories: tuple[Story, ...]) -> tuple[Story, ...]:
    return tuple(sorted(stories, key=lambda story: story.key))
