"""What goes in and out of the routes of integrations."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from greenroom_server.flags.wire import Closed, Key

Kind = Literal["github", "gitlab", "azure", "flagger"]
RequestState = Literal["waiting", "answered", "expired", "gone"]
ForgeName = Annotated[str, Field(min_length=1, max_length=255)]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
Account = Annotated[str, Field(min_length=1, max_length=255)]
Secret = Annotated[str, Field(min_length=16, max_length=200)]
Credential = Annotated[str, Field(min_length=1, max_length=8000)]
Patience = Annotated[int, Field(ge=60, le=30 * 86_400)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")]


class PlaceIn(Closed):
    """Where what a forge calls an environment is; without a service, the integration's."""

    environment: Key
    service: Key | None = None
    slot: Key | None = None


Places = Annotated[dict[ForgeName, PlaceIn], Field(max_length=100)]


class IntegrationIn(Closed):
    """A forge or controller.

    An environment of the forge that is not among `places` means ours of the same key. `account` is the id of the GitHub
    App, or the id or path of the GitLab project; `secret` verifies what comes in, `credential` lets us in.
    """

    key: Key
    kind: Kind
    service: Key
    places: Places = Field(default_factory=dict)
    url: Url | None = None
    account: Account | None = None
    represented_as: Account | None = None
    patience_s: Patience = 86_400
    enabled: bool = True
    secret: Secret | None = None
    credential: Credential | None = None


class IntegrationOut(Closed):
    """An integration as it can be seen again: never its secrets. `trouble` is why the last look there failed."""

    key: str
    kind: Kind
    service: str
    places: dict[str, PlaceIn]
    url: str | None
    account: str | None
    represented_as: str | None
    patience_s: int
    enabled: bool
    has_secret: bool
    has_credential: bool
    trouble: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class GateRequestOut(Closed):
    """A deployment that waits for an answer, or was answered; `decision` is the last one on it."""

    id: str
    ticket: str
    service: str
    environment: str
    slot: str | None
    commit: str | None
    digest: str | None
    state: RequestState
    verdict: Literal["allow", "wait", "deny"] | None
    decision: str | None
    notes: int
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: datetime
    expires_at: datetime
    finished_at: datetime | None


class TakenIn(Closed):
    """Whether a question was put in line; None for events that ask nothing."""

    request: str | None


class MeasurementIn(Closed):
    """What a controller that asks again and again wants to know; the digest of an `image` stands behind its `@`."""

    service: Key
    environment: Key
    slot: Key | None = None
    action: Literal["deploy", "switch", "rollback"] = "deploy"
    digest: Digest | None = None
    commit: Commit | None = None
    image: Annotated[str, Field(pattern=r"@sha256:[0-9a-f]{64}$", max_length=1000)] | None = None


class MeasurementOut(Closed):
    """The answer in one word, and why; `reasons` and `steps` are for people."""

    result: Literal["allow", "wait", "deny"]
    decision: str | None
    retry_at: datetime | None
    reasons: list[str]
    steps: list[str]


class FlaggerIn(Closed):
    """What Flagger sends to a webhook of a canary; `metadata` is what the canary's author wrote."""

    name: Annotated[str, Field(max_length=253)]
    namespace: Annotated[str, Field(max_length=253)]
    phase: Annotated[str, Field(max_length=50)] = ""
    checksum: Annotated[str, Field(max_length=200)] = ""
    metadata: dict[str, Annotated[str, Field(max_length=2000)]] = Field(default_factory=dict, max_length=50)
