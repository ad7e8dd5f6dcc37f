"""What goes in and out of the routes of change requests."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from greenroom_server.access.wire import Person
from greenroom_server.flags.wire import Closed, Context, Difference, Key, Name, RolloutIn, Text
from greenroom_server.policy.durations import PATTERN, duration_ms
from greenroom_server.web.times import Moment

Operation = Literal["configure", "enable", "disable", "rollout", "flag", "archive", "restore", "segment"]
ContentHash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
RequestState = Literal["draft", "open", "approved", "applied", "rejected", "withdrawn", "expired", "conflicted"]


def _length(text: str) -> str:
    duration_ms(text)
    return text


Length = Annotated[str, Field(pattern=PATTERN, max_length=60), AfterValidator(_length)]


class ApprovalSettingsIn(Closed):
    """How many other people must agree to a change of what the environment serves; 0 switches it off.

    `roles`: each is in one of these (none: in any). `headless`: roles in which a pipeline may speak too. An approval
    ends after `expires_after`. Weakening it takes a `reason`.
    """

    required: Annotated[int, Field(ge=0, le=10)] = 0
    roles: list[Key] = Field(default=[], max_length=20)
    headless: list[Key] = Field(default=[], max_length=20)
    expires_after: Length = "7d"
    reason: Text = ""


class ApprovalSettingsOut(Closed):
    """What an environment asks for."""

    environment: str
    required: int
    roles: list[str]
    headless: list[str]
    expires_after: str
    version: int


class ChangeIn(Closed):
    """One change, as its own operation takes it.

    `configure` patches how a `flag` is served in the environment, `rollout` rolls it out, `enable` and `disable` switch
    it; `flag` patches the flag itself, `archive` ends it, `restore` brings it back; `segment` patches a `segment`.
    """

    op: Operation
    flag: Key | None = None
    segment: Key | None = None
    patch: dict[str, Any] | None = None
    rollout: RolloutIn | None = None


# As it was written: members that were left out are not made up.
Change = Annotated[dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/ChangeIn"})]


class ChangeRequestIn(Closed):
    """Ask for changes. A `draft` waits for its author; `apply_at` is when they are applied, if all holds then.

    A pipeline says `on_behalf_of` whom it asks; that person cannot approve.
    """

    title: Name
    reason: Text = ""
    changes: list[ChangeIn] = Field(min_length=1, max_length=50)
    draft: bool = False
    apply_at: Moment | None = None
    on_behalf_of: Person | None = None


class ApproveIn(Closed):
    """Agree to the content that `hash` names. `role` is the one that is spoken in; a pipeline must name it."""

    hash: ContentHash
    role: Key | None = None
    reason: Text = ""


class RejectIn(Closed):
    """Be against it, until this is taken back."""

    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    role: Key | None = None


class BecauseIn(Closed):
    """Why."""

    reason: Text = ""


class ScheduleIn(Closed):
    """When it is applied, if all holds then; null: when somebody applies it."""

    apply_at: Moment | None


class PreviewIn(Closed):
    """For whom to evaluate before and after: at most 20 contexts, at this moment (now, if left out)."""

    contexts: list[Context] = Field(default=[], max_length=20)
    at: Moment | None = None


class WordOut(Closed):
    """What somebody said. It `counts` if it is on the content as it is now, in time, and not the authors' own."""

    who: str
    verdict: Literal["approve", "reject"]
    hash: str
    roles: list[str]
    reason: str
    at: datetime
    retracted_at: datetime | None
    counts: bool


class WantedOut(Closed):
    """What an environment wants before it serves something else, and who agreed so far; `until` when that ends."""

    environment: str
    required: int
    roles: list[str]
    have: int
    until: datetime | None


class HeldOut(Closed):
    """Why it was not applied: the error's code and words, and the release policy's decision if that said no."""

    at: datetime
    code: str
    detail: str
    decision: str | None


class ChangeRequestSummary(Closed):
    """A change request in a list."""

    number: int
    environment: str
    title: str
    state: RequestState
    author: str
    apply_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ChangeRequestOut(ChangeRequestSummary):
    """A change request. Approvals name `hash`, which is of the `changes` and of what they were written for.

    `diff` is what they do, `conflicts` what moved since; `against` are those whose rejection stands.
    """

    reason: str
    editors: list[str]
    changes: list[Change]
    diff: list[Difference]
    conflicts: list[str]
    hash: str
    wanted: list[WantedOut]
    against: list[str]
    words: list[WordOut]
    held: HeldOut | None
    expires_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    version: int


class EvaluatedOut(Closed):
    """What one context gets of a flag."""

    variant: str | None
    value: Any
    reason: str


class EffectOut(Closed):
    """What the changes do to one context: `context` is its place in the request."""

    context: int
    flag: str
    before: EvaluatedOut
    after: EvaluatedOut


class PreviewOut(Closed):
    """What applying would change now, and for which of the contexts; `environments` would serve something else."""

    diff: list[Difference]
    environments: list[str]
    effects: list[EffectOut]
