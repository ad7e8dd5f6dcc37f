"""What goes in and out of the routes of named releases."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from greenroom_server.flags.wire import Closed, Difference, Key, Text
from greenroom_server.policy.durations import PATTERN, duration_ms
from greenroom_server.policy.zones import read_local, zone_of
from greenroom_server.web.times import Moment

MAX_FLAGS = 50
MAX_STEPS = 20
State = Literal["draft", "scheduled", "running", "held", "finished", "aborted", "undone"]
Reason = Annotated[str, Field(max_length=2000)]
Variant = Annotated[str, Field(min_length=1, max_length=100)]


def _duration(text: str) -> str:
    duration_ms(text)
    return text


def _local(text: str) -> str:
    read_local(text)
    return text


def _zone(text: str) -> str:
    zone_of(text)
    return text


# A rule of the release's is called by it, and ids of rules have 100 characters.
ReleaseKey = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Duration = Annotated[str, Field(pattern=PATTERN, max_length=60), AfterValidator(_duration)]
LocalTime = Annotated[str, Field(max_length=20), AfterValidator(_local)]
Zone = Annotated[str, Field(max_length=60), AfterValidator(_zone)]
Decision = Annotated[dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/Decision"})]


class SegmentAudience(Closed):
    """The members of a segment."""

    segment: Key


class PercentAudience(Closed):
    """A share of all, with three decimals at most."""

    percent: Annotated[float, Field(gt=0, lt=100)]


Audience = Literal["nobody", "internal", "everyone"] | SegmentAudience | PercentAudience


class ReleaseFlag(Closed):
    """A flag of a release, and the variant that goes live: the first that is not dark, if left out."""

    flag: Key
    variant: Variant | None = None
    bucket_by: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class ReleaseApprovalNeed(Closed):
    """The word of so many different people who have this role."""

    role: Key
    count: int = Field(default=1, ge=1, le=10)


class ReleaseAdvance(Closed):
    """What must be true before the next step is taken: all that is given. `guardrails` must have looked at the step."""

    after: Duration | None = None
    approval: ReleaseApprovalNeed | None = None
    guardrails: list[Key] = Field(default=[], max_length=20)


class ReleaseStep(Closed):
    """Whom the flags are served to; `flags` names those that are served to others than `audience` says."""

    name: Annotated[str, Field(max_length=200)] = ""
    audience: Audience
    flags: dict[Key, Audience] = Field(default={}, max_length=MAX_FLAGS)
    advance: ReleaseAdvance | None = None


class ReleaseIn(Closed):
    """A release: flags that go live together in one environment, step by step."""

    key: ReleaseKey
    name: Annotated[str, Field(max_length=200)] = ""
    description: Text = ""
    environment: Key
    flags: list[ReleaseFlag] = Field(min_length=1, max_length=MAX_FLAGS)
    steps: list[ReleaseStep] = Field(min_length=1, max_length=MAX_STEPS)
    start_approval: ReleaseApprovalNeed | None = None
    in_freeze: Literal["wait", "hold"] = "wait"
    overdue_after: Duration = "1h"


class ReleaseScheduleIn(Closed):
    """When to start: `at` a moment, or when the clock of a `zone` shows `local`. With neither, nothing starts it."""

    at: Moment | None = None
    local: LocalTime | None = None
    zone: Zone | None = None
    reason: Reason = ""


class ReleaseWordIn(Closed):
    """Why."""

    reason: Reason = ""


class ReleaseForceIn(Closed):
    """Why; and, with `force`, although somebody else changed a flag, or a guardrail warns."""

    reason: Reason = ""
    force: bool = False


class ReleaseUndoIn(Closed):
    """Back to what was served before the release, or before its last step."""

    to: Literal["start", "previous"] = "start"
    reason: Reason = ""
    force: bool = False


class ReleaseApproveIn(Closed):
    """A word for going on from the step in effect, as the plan of this `digest` has it."""

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    reason: Reason = ""


class ReleaseHold(Closed):
    """Why a release is held; `decision` is the policy's, if it was the policy."""

    code: str
    reason: str
    decision: Decision | None
    at: datetime


class ReleaseWait(Closed):
    """What must come before the next step."""

    what: Literal["time", "approval", "guardrail", "policy", "people"]
    until: datetime | None
    role: str | None
    have: int
    need: int
    guardrails: list[str]


class ReleaseApproval(Closed):
    """Somebody's word; `counts` no more once the plan was edited or the step was left."""

    step: int
    person: str
    roles: list[str]
    reason: str
    at: datetime
    counts: bool


class ReleaseConflict(Closed):
    """How a flag differs from what the release wrote there; `gone` says why there is nothing to compare."""

    flag: str
    gone: str | None
    differences: list[Difference]


class ReleaseSummary(Closed):
    """A release in a list."""

    key: str
    name: str
    environment: str
    flags: list[str]
    state: State
    step: int
    steps: int
    since: datetime | None
    due_at: datetime | None
    held_because: str | None
    version: int
    updated_at: datetime


class ReleaseOut(Closed):
    """A release: its plan, where it stands, and what it waits for."""

    key: str
    name: str
    description: str
    environment: str
    flags: list[ReleaseFlag]
    steps: list[ReleaseStep]
    start_approval: ReleaseApprovalNeed | None
    in_freeze: Literal["wait", "hold"]
    overdue_after: str
    digest: str
    author: str
    starter: str | None
    state: State
    step: int
    since: datetime | None
    due_at: datetime | None
    schedule: ReleaseScheduleIn | None
    is_dark: bool
    hold: ReleaseHold | None
    waits: list[ReleaseWait]
    approvals: list[ReleaseApproval]
    conflicts: list[ReleaseConflict]
    version: int
    created_at: datetime
    updated_at: datetime


class ReleaseMove(Closed):
    """A change of what a release serves: a `step` forth, `back`, `dark`, or an `undo`."""

    version: int
    kind: Literal["step", "back", "dark", "undo"]
    from_step: int
    to_step: int
    at: datetime
    actor: str
    reason: str


def audience_of(step: ReleaseStep, flag: str) -> Audience:
    return step.flags.get(flag, step.audience)


def document_of(wanted: ReleaseIn) -> dict[str, Any]:
    """What a plan's digest covers: all but what people call it."""
    return wanted.model_dump(mode="json", exclude={"key", "name", "description"})
