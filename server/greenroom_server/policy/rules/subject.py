"""What rules say where there is no build to look at, or where a story is not in it."""

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.facts import Build, Story
from greenroom_server.policy.findings import failed, pending
from greenroom_server.policy.question import Question


def without_build(question: Question) -> Finding | None:
    """None where the question is about a build, or several."""
    if question.builds:
        return None
    request = question.request
    if request.action == "release" and not question.stories:
        return no_story(question)
    if request.action == "release":
        return pending("flag.build_not_live", f"no known build is live in `{request.environment}`")
    if request.digest is None:
        return _no_digest(question)
    if request.digest in question.index.builds:
        return failed("digest.ambiguous", f"several builds claim `{request.digest}`")
    return failed("digest.unknown", f"no build of `{request.service}` is registered with `{request.digest}`")


def _no_digest(question: Question) -> Finding:
    """Where a commit stood for its build it has several, or nobody registered one."""
    commit = question.request.commit
    if commit is None:
        return failed("digest.unknown", "the request names no digest")
    if sum(build.commit == commit for build in question.snapshot.builds) > 1:
        return failed("digest.ambiguous", f"there are several builds of the commit `{commit}`: name the digest")
    return failed(
        "digest.unknown", f"no build of `{question.request.service}` is registered with the commit `{commit}`"
    )


def not_in_build(question: Question, story: Story, build: Build) -> Finding | None:
    """None where the build contains the story as it is now, with its latest commit."""
    if question.index.has_latest(build, story):
        return None
    return pending(
        "story.not_in_build",
        f"the build `{build.id}` does not contain the story `{story.key}` as it is now",
        params={"story": story.key, "digest": build.digests[0]},
        next=({"do": "deploy", "story": story.key},),
    )


def no_story(question: Question) -> Finding:
    """A release without a story proves nothing, so it waits for one."""
    flag = question.request.flag
    return pending("story.missing", f"no story names the flag `{flag}`", next=({"do": "link_story", "flag": flag},))
