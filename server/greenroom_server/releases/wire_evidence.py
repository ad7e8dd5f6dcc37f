"""What goes in and out about evidence."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from greenroom_server.flags.wire import Closed, Key
from greenroom_server.releases.wire import Commit, Digest, EvidenceKind, Label, Url
from greenroom_server.web.times import Moment

MAX_BATCH = 500
Outcome = Literal["pass", "fail", "error", "cancelled"]
Count = Annotated[int, Field(ge=0, le=10_000_000)]


class CheckedIn(Closed):
    """What was checked: an artifact by its digest, or its source by a commit. With both, the digest is what counts."""

    digest: Digest | None = None
    commit: Commit | None = None


class CountsIn(Closed):
    """How often what came out. Flaky ones are among those that passed."""

    total: Count = 0
    passed: Count = 0
    failed: Count = 0
    errors: Count = 0
    skipped: Count = 0
    flaky: Count = 0


class RunIn(Closed):
    """The run that produced it; a rerun has the same id and a higher attempt."""

    id: Label
    attempt: Annotated[int, Field(ge=1, le=1000)] = 1


class EvidenceIn(Closed):
    """Something was checked, and what came out.

    `producer` is the token's name if it is not given, and always the person where a person sends it.
    """

    kind: EvidenceKind
    suite: Label | None = None
    subject: CheckedIn
    environment: Key | None = None
    slot: Key | None = None
    outcome: Outcome
    counts: CountsIn | None = None
    suite_definition_digest: Digest | None = None
    run: RunIn
    started_at: Moment | None = None
    finished_at: Moment
    producer: Label | None = None
    url: Url | None = None
    attachment_digest: Digest | None = None


class RevocationIn(Closed):
    """Why the evidence must not count."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class CheckedOut(Closed):
    """What was checked."""

    digest: str | None
    commit: str | None


class RunOut(Closed):
    """The run that produced it."""

    id: str
    attempt: int


class EvidenceOut(Closed):
    """Something was checked. `verified_by` names the producer whose pinned key signed it."""

    id: str
    seq: int
    kind: str
    suite: str | None
    subject: CheckedOut
    environment: str | None
    slot: str | None
    outcome: Outcome
    counts: CountsIn | None
    suite_definition_digest: str | None
    run: RunOut
    started_at: datetime | None
    finished_at: datetime
    received_at: datetime
    producer: str
    is_automated: bool
    verified_by: str | None
    url: str | None
    attachment_digest: str | None
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_because: str | None


class EvidenceReceiptOut(Closed):
    """What became of a batch, in its order: `duplicate` was there already, word for word."""

    accepted: int
    duplicates: int
    items: list["ReceivedOut"]


class ReceivedOut(Closed):
    """One piece of evidence of a batch, and under which id and number it is kept; a document may hold provenance."""

    id: str
    seq: int
    status: Literal["accepted", "duplicate"]
    noun: Literal["evidence", "provenance"] = "evidence"
