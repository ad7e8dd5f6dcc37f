"""What goes in and out of the routes of policies and decisions.

A policy document is checked by `policy.compiled`, the same code that decides; a decision is written by
`policy.canonical`. Both are described by hand in openapi.yaml.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from greenroom_server.flags.wire import Closed, Key
from greenroom_server.web.times import Moment
from greenroom_server.webhooks.address import MAX_URL_LENGTH

# One that no policy can be about is no mistake of form: it is decided, and denied.
Action = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Verdict = Literal["allow", "wait", "deny"]
Mode = Literal["delivery", "deployment", "hold"]
GateMode = Literal["observe", "warn", "enforce"]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Reason = Annotated[str, Field(max_length=2000)]


def _component(name: str) -> WithJsonSchema:
    return WithJsonSchema({"$ref": f"#/components/schemas/{name}"})


Policy = Annotated[dict[str, Any], _component("PolicyDocument")]
Decision = Annotated[dict[str, Any], _component("Decision")]


class PolicySummary(Closed):
    """A version of a policy. `active_for` names the services that it decides for now; `*` are all without their own."""

    name: str
    version: int
    digest: str
    author: str
    authored_at: datetime
    active_for: list[str]


class PolicyOut(PolicySummary):
    """A version of a policy, with the document as its author wrote it."""

    document: Policy


class PolicyRemark(Closed):
    """Something about a policy: an error keeps it from being stored, a warning is worth a look."""

    severity: Literal["error", "warning"]
    path: str
    message: str


class PolicyTestOut(Closed):
    """How one of a policy's own tests went; `codes` held the decision up, `failure` is empty if it passed."""

    name: str
    passed: bool
    expected: Verdict
    decided: Verdict
    codes: list[str]
    failure: str


class PolicyCheckOut(Closed):
    """What is to be said about a document: `is_acceptable` if it can be stored, `is_ready` if it can be activated."""

    digest: str | None
    is_acceptable: bool
    is_ready: bool
    remarks: list[PolicyRemark]
    tests: list[PolicyTestOut]


class ActivationIn(Closed):
    """Let a version decide: for the services named, or for all that have none of their own."""

    services: list[Key] | None = Field(default=None, min_length=1, max_length=200)
    reason: Reason = ""


class PolicySettings(Closed):
    """`four_eyes`: only somebody else than its author activates a policy."""

    four_eyes: bool
    version: int


class PolicySettingsIn(Closed):
    """`four_eyes`: only somebody else than its author activates a policy."""

    four_eyes: bool = True


class GateIn(Closed):
    """What becomes of a decision on a flag that is to be lit: it is only kept, or told too, or it holds."""

    mode: GateMode
    reason: Reason = ""


class GateOut(Closed):
    """What becomes of decisions on flags that are to be lit in an environment.

    `is_default`: nobody has set it. `is_governed`: a policy in force has a rule about releases there, so it is asked.
    """

    environment: str
    mode: GateMode
    is_default: bool
    is_governed: bool
    version: int


class ChangedDecision(Closed):
    """A past decision that another policy would have made otherwise, and the rules that differ."""

    id: str
    service: str
    environment: str
    action: Action
    decided_at: datetime
    was: Verdict
    would_be: Verdict
    rules: list[str]


class PolicyDifferenceOut(Closed):
    """What another policy would have made of the last decisions."""

    replayed: int
    changed: list[ChangedDecision]


class _Question(Closed):
    """May this be done there? A deploy, switch or rollback names a digest; a release a flag and its audience.

    Any other action is denied.
    """

    action: Action
    service: Key
    environment: Key
    digest: Digest | None = None
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None = None
    slot: Key | None = None
    flag: Key | None = None
    audience: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    scheduled_for: Moment | None = None


class CallbackIn(Closed):
    """Where to tell what became of a wait: a webhook of the project by its key, or a URL.

    Messages to a URL are signed with `secret` (24 to 64 bytes as base64); without one, the answer tells a new one.
    """

    webhook: Key | None = None
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_LENGTH)] | None = None
    secret: Annotated[str, Field(pattern=r"^whsec_[A-Za-z0-9+/]{32,86}={0,2}$")] | None = None
    expires_in_hours: Annotated[int, Field(ge=1, le=720)] = 24


class DecisionIn(_Question):
    """May this be done there now? A deploy, switch or rollback names a digest; a release a flag and its audience.

    With `callback`, who is told to wait hears what becomes of it.
    """

    callback: CallbackIn | None = None


class CallbackOut(Closed):
    """A callback that is open. `secret` signs it, and is shown this once; null if who asked knows it already."""

    id: str
    expires_at: datetime
    secret: str | None


class PolicyName(Closed):
    """A stored version of a policy."""

    name: Key
    version: Annotated[int, Field(ge=1, le=999_999)]


class SimulationIn(_Question):
    """As a decision, but at another moment, by another policy or in another mode; nothing is stored.

    `document` is a policy that need not be stored, or its YAML.
    """

    at: Moment | None = None
    mode: Mode | None = None
    policy: PolicyName | None = None
    document: Policy | Annotated[str, Field(max_length=1_000_000)] | None = None


class DecisionSummary(Closed):
    """A decision in a list."""

    id: str
    decision: Verdict
    action: Action
    service: str
    environment: str
    subject: str
    requester: str
    seq: int
    decided_at: datetime


class ReplayOut(Closed):
    """Whether the stored facts give the same bytes again, and if not, what is known about why."""

    same: bool
    why: str | None
    decision: Decision


class NewsOut(Closed):
    """Whether a decision may be another one now: `changed` once facts came in or its time passed."""

    changed: bool
    seq: int
