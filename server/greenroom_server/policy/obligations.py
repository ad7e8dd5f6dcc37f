"""What has to be done along with an action that is allowed."""

from collections.abc import Mapping
from typing import Any

from greenroom_server.policy.question import Question


def obligations(question: Question) -> tuple[Mapping[str, Any], ...]:
    """Before traffic goes to a build that lacks a released story, that story's flags have to be dark."""
    if question.request.action not in ("rollback", "switch") or not question.builds:
        return ()
    flags = [flag for key in sorted(_lost(question)) for flag in question.index.story(key).flags]
    lit = sorted({flag for flag in flags if not _is_dark(question, flag)})
    return ({"do": "darken", "environment": question.request.environment, "flags": lit},) if lit else ()


def _lost(question: Question) -> set[str]:
    """The stories that customers may see now and that the build does not contain."""
    index = question.index
    live = [index.build_of(one.digest) for one in index.live(question.request.environment)] or [None]
    seen = (index.stories.keys() if build is None else index.stories_of(build) for build in live)
    return set().union(*seen) - index.stories_of(question.builds[0])


def _is_dark(question: Question, flag: str) -> bool:
    """A flag that nobody knows is not taken for dark."""
    state = question.index.flags.get((flag, question.request.environment))
    return state is not None and state.is_dark
