"""What the readers hand over: facts as they were written down elsewhere, normalised, not yet believed or stored.

A draft is pure data: whether the sender may say this, and how it fits what is known, is for the caller to decide.
Times are in UTC, digests are `sha256:<hex>` in small letters, texts are bounded and free of control characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

Outcome = Literal["pass", "fail", "error", "cancelled"]
DeploymentChange = Literal["deployed", "upgraded", "rolledback", "removed"]
EnvironmentChange = Literal["created", "modified", "deleted"]
IncidentState = Literal["detected", "reported", "resolved"]
TicketState = Literal["created", "updated", "closed"]

FIRST_ATTEMPT: Final = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What evidence is about: an artifact by its digest, or its source by a commit. One of both is given, or both."""

    digest: str | None = None
    commit: str | None = None

    def __post_init__(self) -> None:
        if self.digest is None and self.commit is None:
            raise ValueError("a subject is a digest or a commit")

    def is_part_of(self, other: "Subject") -> bool:
        """Whether all that this one says is said by `other` too."""
        return self.digest in (None, other.digest) and self.commit in (None, other.commit)


@dataclass(frozen=True, slots=True)
class Run:
    """The run of a pipeline or tool that produced evidence; a rerun has the same id and a higher attempt."""

    id: str
    attempt: int = FIRST_ATTEMPT


@dataclass(frozen=True, slots=True)
class Counts:
    """How often what came out. `total` is the sum of the four after it; `flaky` are among them, not beside them."""

    total: int
    passed: int
    failed: int
    errors: int
    skipped: int
    flaky: int = 0

    def outcome(self) -> Outcome:
        """Green needs something that passed and nothing that went wrong; nothing at all is not green."""
        if self.failed:
            return "fail"
        if self.errors:
            return "error"
        return "pass" if self.passed else "fail"


@dataclass(frozen=True, slots=True)
class Event:
    """The CDEvent that a draft was read from. (`source`, `id`) is unique and the key for telling repetitions.

    `context_ids` are the ids of the events that this one links to; with `chain_id` they tell what an event is about
    that names no artifact itself. `body_digest` is of the bytes of the request that it came in.
    """

    source: str
    id: str
    type: str
    at: datetime
    body_digest: str
    chain_id: str | None = None
    context_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceDraft:
    """That something was examined, and what came out.

    `subject` is None if neither the format nor the sender names it; it must then be found through `event`, or refused.
    `counts` is None if the format has no numbers, which is not the same as zero.
    `suite_definition_digest` changes when tests come or go. `attachment_digest` is of the bytes that were read.
    `verified_by` is the name of the pinned key whose signature holds; None means that nothing was signed.
    `detail` is JSON, bounded, and for people only.
    """

    kind: str
    run: Run
    outcome: Outcome
    attachment_digest: str
    suite: str | None = None
    subject: Subject | None = None
    environment: str | None = None
    slot: str | None = None
    counts: Counts | None = None
    suite_definition_digest: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    producer: str | None = None
    url: str | None = None
    verified_by: str | None = None
    event: Event | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class About:
    """What the sender says beside the file. A report names neither the build nor the run, so these come from here.

    What a format does say itself (a signed subject, an event's environment) is taken from the format.
    """

    kind: str
    run: Run
    suite: str | None = None
    subject: Subject | None = None
    environment: str | None = None
    slot: str | None = None
    producer: str | None = None
    url: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def evidence(self, outcome: Outcome, attachment_digest: str) -> EvidenceDraft:
        """A draft of what the sender says; the reader replaces and adds what it found."""
        return EvidenceDraft(
            kind=self.kind,
            suite=self.suite,
            run=self.run,
            outcome=outcome,
            attachment_digest=attachment_digest,
            subject=self.subject,
            environment=self.environment,
            slot=self.slot,
            started_at=self.started_at,
            finished_at=self.finished_at,
            producer=self.producer,
            url=self.url,
        )


@dataclass(frozen=True, slots=True)
class ProvenanceDraft:
    """Who built these artifacts, how and from what; from SLSA provenance.

    `commit` is None if the provenance names no source, or several. `ref` is as `refs/heads/main`.
    Trust is in the pair of `verified_by` and `builder_id`.
    """

    digests: tuple[str, ...]
    builder_id: str
    build_type: str
    attachment_digest: str
    commit: str | None = None
    source: str | None = None
    ref: str | None = None
    external_parameters: tuple[str, ...] = ()
    invocation_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    verified_by: str | None = None


@dataclass(frozen=True, slots=True)
class AttestationDraft:
    """That a statement of a type which is not read further was made about these subjects, for instance an SBOM."""

    predicate_type: str
    subjects: tuple[Subject, ...]
    attachment_digest: str
    verified_by: str | None = None


@dataclass(frozen=True, slots=True)
class BuildDraft:
    """That an artifact was made or published. `artifact` is as sent, usually a package URL; `digest` if that has one.

    `change` is the change that it contains, as its repository calls it, and `commit` the same if it is a commit.
    """

    event: Event
    artifact: str
    name: str | None = None
    digest: str | None = None
    service: str | None = None
    change: str | None = None
    commit: str | None = None
    sbom: str | None = None


@dataclass(frozen=True, slots=True)
class DeploymentDraft:
    """That a service was changed in an environment. `removed` has no artifact; the others have."""

    event: Event
    change: DeploymentChange
    service: str
    environment: str
    artifact: str | None = None
    digest: str | None = None
    slot: str | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentDraft:
    """That an environment came, changed or went."""

    event: Event
    change: EnvironmentChange
    environment: str
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class IncidentDraft:
    """That an incident was noticed, or is over."""

    event: Event
    incident: str
    state: IncidentState
    environment: str | None = None
    service: str | None = None
    artifact: str | None = None
    digest: str | None = None
    description: str | None = None
    ticket_url: str | None = None


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """That a ticket came, changed or was closed; what stories are made of. `resolution` only when closed."""

    event: Event
    ticket: str
    state: TicketState
    summary: str | None = None
    ticket_type: str | None = None
    labels: tuple[str, ...] = ()
    resolution: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeDraft:
    """That a change was merged. `commit` if the change's id is one, or the event says so."""

    event: Event
    change: str
    repository: str | None = None
    commit: str | None = None


Fact = (
    EvidenceDraft
    | ProvenanceDraft
    | AttestationDraft
    | BuildDraft
    | DeploymentDraft
    | EnvironmentDraft
    | IncidentDraft
    | TicketDraft
    | ChangeDraft
)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A readable event of which nothing is taken, with the reason in words. It is acknowledged, not refused."""

    source: str
    id: str
    type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was found, in the order in which it was written."""

    facts: tuple[Fact, ...] = ()
    ignored: tuple[Ignored, ...] = ()
