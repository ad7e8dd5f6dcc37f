"""What goes in and out about what people and pipelines say: demos, parity, obstacles, approvals and the like.

Every `…In` is one fact. Its `service`, `environment` and `digest`, where it has them, say what it covers; left out
they mean every one. Every `…Out` says besides who said it, when, under which number, and whether it still stands.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from greenroom_server.flags.wire import Closed, Key, Name, Text
from greenroom_server.releases.wire import Action, Author, Commit, Digest, Label, StoryKey, Url, _distinct
from greenroom_server.web.times import Moment

Reason = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class _FactIn(Closed):
    """What all facts have: when it was so; now, if left out."""

    at: Moment | None = None


class ParityIn(_FactIn):
    """How an environment differed from the one that it stands for; each entry of `drift` names one difference."""

    environment: Key
    of: Key
    drift: list[Name] = Field(default=[], max_length=200)
    url: Url | None = None


class ProvenanceIn(_FactIn):
    """Who built a digest, from what."""

    digest: Digest
    builder: Label
    commit: Commit | None = None
    branch: Label | None = None


class HealthIn(_FactIn):
    """How an environment is, as a source of health sees it; `value` is what it measured, for people."""

    service: Key | None = None
    environment: Key
    source: Key
    is_healthy: bool
    value: float | None = Field(default=None, ge=-1e9, le=1e9)


class DemoIn(_FactIn):
    """Stories were shown to an audience in an environment (and slot)."""

    stories: Annotated[list[StoryKey], Field(min_length=1, max_length=100), AfterValidator(_distinct)]
    environment: Key
    slot: Key | None = None
    audience: list[Name] = Field(default=[], max_length=100)
    url: Url | None = None


class ObstacleIn(_FactIn):
    """Something stands in the way until it is closed."""

    service: Key | None = None
    environment: Key | None = None
    digest: Digest | None = None
    kind: Key = "obstacle"
    text: Reason
    url: Url | None = None


class IncidentIn(_FactIn):
    """Something went wrong where it runs. `reference` is what another tool calls it."""

    service: Key | None = None
    environment: Key | None = None
    digest: Digest | None = None
    text: Reason
    url: Url | None = None
    reference: Label | None = None


class ApprovalIn(Closed):
    """A person's word on one action: on a digest, or on a flag and audience where it is a release.

    `on_behalf_of` is the human whose decision a bot passes on.
    """

    verdict: Literal["approve", "reject"]
    action: Action
    environment: Key
    digest: Digest | None = None
    flag: Key | None = None
    audience: Label | None = None
    on_behalf_of: Author | None = None
    reason: Text = ""


class VetoIn(Closed):
    """A person forbids what is named, until the same person withdraws."""

    service: Key | None = None
    environment: Key | None = None
    digest: Digest | None = None
    reason: Reason


class WaiverIn(Closed):
    """One rule is not held against one digest or service in one environment, until a moment."""

    rule: Key
    environment: Key
    service: Key | None = None
    digest: Digest | None = None
    until: Moment
    reason: Reason


class AcceptanceIn(Closed):
    """What was demonstrated is accepted, in a role that is the caller's."""

    role: Key
    comment: Text = ""


class EndIn(Closed):
    """The fact stands no longer."""

    reason: Text = ""


class _FactOut(Closed):
    """What all facts have. `person` is who stands behind it; `ended_at` is when it ceased to stand."""

    id: str
    seq: int
    at: datetime
    received_at: datetime
    actor: str
    person: str | None
    ended_at: datetime | None
    ended_by: str | None
    ended_because: str | None


class ParityOut(_FactOut):
    """How an environment differed from the one that it stands for."""

    environment: str
    of: str
    drift: list[str]
    url: str | None


class ProvenanceOut(_FactOut):
    """Who built a digest, from what. `is_verified`: a pinned key of a producer signed it."""

    digest: str
    builder: str
    commit: str | None
    branch: str | None
    is_verified: bool


class HealthOut(_FactOut):
    """How an environment was, as a source of health saw it."""

    service: str | None
    environment: str
    source: str
    is_healthy: bool
    value: float | None


class AcceptanceOut(Closed):
    """Somebody accepted what was demonstrated."""

    person: str
    role: str
    at: datetime
    comment: str


class DemoOut(_FactOut):
    """Stories were shown to an audience, and who accepted them."""

    stories: list[str]
    environment: str
    slot: str | None
    audience: list[str]
    url: str | None
    accepted_by: list[AcceptanceOut]


class ObstacleOut(_FactOut):
    """Something stands, or stood, in the way."""

    service: str | None
    environment: str | None
    digest: str | None
    kind: str
    text: str
    url: str | None


class IncidentOut(_FactOut):
    """Something went wrong where it runs."""

    service: str | None
    environment: str | None
    digest: str | None
    text: str
    url: str | None
    reference: str | None


class ApprovalOut(_FactOut):
    """A person's word on one action; `roles` are those that the person had then."""

    verdict: Literal["approve", "reject"]
    action: Action
    environment: str
    digest: str | None
    flag: str | None
    audience: str | None
    on_behalf_of: str | None
    reason: str
    roles: list[str]


class VetoOut(_FactOut):
    """A person forbids, or forbade, what is named."""

    service: str | None
    environment: str | None
    digest: str | None
    reason: str


class WaiverOut(_FactOut):
    """One rule is not held against one digest or service in one environment, until a moment."""

    rule: str
    environment: str
    service: str | None
    digest: str | None
    until: Moment
    reason: str
