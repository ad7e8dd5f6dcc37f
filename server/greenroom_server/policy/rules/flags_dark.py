"""Deploying is not releasing: a story that is not done may go along if a flag keeps it dark."""

from collections.abc import Iterator
from typing import Any

from greenroom_server.policy.conditions import done_in
from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import FlagsDarkRule
from greenroom_server.policy.facts import Build, Story
from greenroom_server.policy.findings import BLOCKING, passed, worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.subject import without_build


def flags_dark(question: Question, rule: FlagsDarkRule) -> Finding:
    """Each story that the builds bring hangs on at least one dark flag, or is done."""
    return without_build(question) or worst(
        _story(question, story, build)
        for build in question.builds
        for story in question.stories
        if story.key in question.index.stories_of(build)
    )


def _story(question: Question, story: Story, build: Build) -> Finding:
    lit = list(_lit(question, story))
    if story.flags and not lit:
        return passed()
    done = done_in(question, story, build)
    if done.outcome not in BLOCKING:
        return passed(holds_until=done.holds_until)
    params: dict[str, Any] = {"story": story.key, "unfinished": done.code}
    clears_at = done.clears_at
    code, text, steps = _why(question, story, lit)
    return Finding(
        "fail",
        code,
        f"the story `{story.key}` is not done, and {text}",
        {**params, "flags": list(story.flags)},
        next=(*steps, *done.next),
        clears_at=clears_at,
        holds_until=done.holds_until,
    )


def _lit(question: Question, story: Story) -> Iterator[str]:
    """What keeps the story from being dark: every flag, if none of them is dark, and each that nobody knows."""
    states = {key: question.index.flags.get((key, question.request.environment)) for key in story.flags}
    if None in states.values():
        yield from (key for key, state in states.items() if state is None)
    elif not any(state is not None and state.is_dark for state in states.values()):
        yield from states


def _why(question: Question, story: Story, lit: list[str]) -> tuple[str, str, tuple[dict[str, Any], ...]]:
    environment = question.request.environment
    if not story.flags:
        return "story.no_flag", "no flag hides it", ({"do": "link_flag", "story": story.key},)
    if any((key, environment) not in question.index.flags for key in lit):
        text = f"its flag `{lit[0]}` does not exist in `{environment}`"
        return "flag.missing", text, tuple({"do": "create_flag", "flag": key} for key in lit)
    text = f"its flag `{lit[0]}` is not dark in `{environment}`"
    return "flag.not_dark", text, tuple({"do": "darken", "flag": key} for key in lit)
