"""What goes out about how far stories have come."""

from datetime import date, datetime
from typing import Any, Literal

from greenroom_server.decisions.wire import Decision, Verdict
from greenroom_server.flags.wire import Closed
from greenroom_server.policy.story_states import StoryState

Condition = Literal["C1", "C2", "C3"]


class ConditionOut(Closed):
    """Whether one of the three conditions is met, in all services that work on the story."""

    condition: Condition
    outcome: Literal["pass", "pending", "fail"]


class AcceptedOut(Closed):
    """Who accepted what was demonstrated, in which role."""

    person: str
    role: str
    at: datetime


class ShownOut(Closed):
    """A demonstration of the story that stands, and who accepted it."""

    demo: str
    environment: str
    slot: str | None
    at: datetime
    audience: list[str]
    accepted_by: list[AcceptedOut]


class StoryBuildOut(Closed):
    """The build in which a service has the story; `is_live`: what has the traffic there has the newest work on it."""

    service: str
    digest: str
    commit: str | None
    is_live: bool


class DoneInOut(StoryBuildOut):
    """Whether the story is done in one service."""

    decision: Decision


class StoryDoneOut(Closed):
    """Whether a story is done: `allow` if it is in every service that works on it.

    `next` and `steps` tell what is missing and who can supply it; `retry_at` when time alone makes it done.
    """

    story: str
    title: str
    environment: str
    decision: Verdict
    retry_at: datetime | None
    conditions: list[ConditionOut]
    services: list[DoneInOut]
    demos: list[ShownOut]
    next: list[dict[str, Any]]
    steps: list[str]


class StoryFlagOut(Closed):
    """A flag that hides the story: for all but the internal segment, from some, from nobody, or not there."""

    flag: str
    state: Literal["dark", "some", "all", "missing"]
    since: datetime | None
    expires_on: date | None


class MissingOut(Closed):
    """A rule that keeps the story from being done."""

    service: str
    rule: str
    condition: Condition | None
    code: str
    message: str


class StoryOnBoardOut(Closed):
    """How far a story has come in an environment, and what is missing until it is done."""

    story: str
    title: str
    state: StoryState
    decision: Verdict
    flags: list[StoryFlagOut]
    services: list[StoryBuildOut]
    missing: list[MissingOut]
    demos: list[ShownOut]
    steps: list[str]
