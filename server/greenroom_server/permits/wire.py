"""What goes in and out about permits and break-glass."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from greenroom_server.decisions.wire import Decision
from greenroom_server.flags.wire import Closed, Key, Text
from greenroom_server.releases.wire import Digest, Label
from greenroom_server.releases.wire_facts import Reason

MAX_VALID_S: Final = 900
MAX_TTL_MINUTES: Final = 7 * 24 * 60
PermitAction = Literal["deploy", "switch", "rollback"]
BreakGlassAction = Literal["deploy", "switch", "release", "rollback"]
PermitState = Literal["open", "used", "closed", "released", "revoked", "expired"]
Envelope = Annotated[dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/DsseEnvelope"})]


class PermitIn(Closed):
    """May this digest go there now, and if so, let nothing else go there meanwhile.

    `valid_for_s` is how long the permit may be used; `attest_denial` signs a denial too.
    """

    action: PermitAction = "deploy"
    service: Key
    environment: Key
    digest: Digest
    slot: Key | None = None
    valid_for_s: Annotated[int, Field(ge=1, le=MAX_VALID_S)] = MAX_VALID_S
    attest_denial: bool = False


class PermitPolicy(Closed):
    """The policy that a permit is bound to."""

    name: str
    version: int
    digest: str


class Permit(Closed):
    """The right to do one thing once. `requester` asked for it; `break_glass` let it through in spite of rules.

    `open` may be used until `expires_at`; `used` is on its way; all others are over, and `ended_because` says why.
    """

    id: str
    state: PermitState
    action: PermitAction
    service: str
    environment: str
    slot: str | None
    digest: str
    policy: PermitPolicy
    requester: str
    decision: str
    break_glass: str | None
    seq: int
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None
    ended_at: datetime | None
    ended_because: str | None
    deployment: str | None


class PermitOut(Permit):
    """A permit with what was signed of it; `break_glass_record` only where a break-glass let it through."""

    attestation: Envelope | None
    break_glass_record: Envelope | None


class PermitAnswer(Closed):
    """What was decided, and the permit if that was an allow. A wait is never signed, a denial if it was asked for."""

    permit: Permit | None
    decision: Decision
    attestation: Envelope | None
    break_glass_record: Envelope | None


class PermitEndIn(Closed):
    """The permit is not needed any more."""

    reason: Text = ""


class PermitKeyOut(Closed):
    """A key that signs, or signed, a project's permits; the one that is not retired signs."""

    key_id: str
    algorithm: Literal["ed25519"]
    public_key: str
    created_at: datetime
    retired_at: datetime | None


class PermitKeysOut(Closed):
    """The keys of a project, and the verifier that its statements name."""

    verifier: str
    items: list[PermitKeyOut]


class BreakGlassIn(Closed):
    """Let one action through in spite of rules, once. `ttl_minutes` is at most what the policy allows."""

    service: Key
    environment: Key
    action: BreakGlassAction = "deploy"
    digest: Digest
    reason: Reason
    ticket: Label
    ttl_minutes: Annotated[int, Field(ge=1, le=MAX_TTL_MINUTES)] = 60


class BreakGlassConfirmIn(Closed):
    """A second person stands for it too."""

    comment: Text = ""


class BreakGlassReviewIn(Closed):
    """What came of looking at it afterwards."""

    findings: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class Confirmation(Closed):
    """Somebody stood for it too."""

    person: str
    at: datetime
    comment: str


class BreakGlassOut(Closed):
    """A break-glass. It lets through once `needs` people stand for it, who opened it being one.

    `used_by` is the path of the decision or permit that it let through; `review_due` is until when somebody else looks
    at that.
    """

    id: str
    state: Literal["open", "ready", "used", "reviewed", "withdrawn", "expired"]
    service: str
    environment: str
    action: BreakGlassAction
    digest: str
    reason: str
    ticket: str
    opened_by: str
    roles: list[str]
    confirmed_by: list[Confirmation]
    needs: int
    seq: int
    opened_at: datetime
    until: datetime
    used_at: datetime | None
    used_by: str | None
    review_due: datetime | None
    is_overdue: bool
    ended_at: datetime | None
    ended_by: str | None
    findings: str | None
