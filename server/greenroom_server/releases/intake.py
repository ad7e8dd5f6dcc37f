"""From what a reader of formats found to what is kept: evidence, as if it had been sent as JSON, and provenance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.releases.formats import drafts
from greenroom_server.releases.wire_evidence import EvidenceIn
from greenroom_server.releases.wire_facts import ProvenanceIn
from greenroom_server.web.validation import parse

SBOM: Final = "sbom"
_SBOM_TYPES: Final = ("https://spdx.dev/Document", "https://cyclonedx.org/bom")


@dataclass(frozen=True, slots=True)
class Offered:
    """One piece of evidence as it was read, and where it stands in the request (`/3`, or nothing).

    `detail` is for people only. `verified_by` is the producer whose pinned key signed it.
    """

    wanted: EvidenceIn
    pointer: str = ""
    verified_by: str | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class OfferedProvenance:
    """Who built a digest, as a statement says; `attachment_digest` is of the statement as it was sent."""

    wanted: ProvenanceIn
    attachment_digest: str
    verified_by: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What stands in a document, ready to be kept."""

    evidence: list[Offered] = field(default_factory=list)
    provenances: list[OfferedProvenance] = field(default_factory=list)


def told_in(found: Iterable[drafts.Fact], about: drafts.About) -> Told:
    """What the drafts tell; in `about`, what the sender did not say is empty.

    Raises `Invalid` for what lacks a member that neither the format nor the sender gives.
    """
    told = Told()
    for draft in found:
        match draft:
            case drafts.EvidenceDraft():
                told.evidence.append(offered_evidence(draft))
            case drafts.ProvenanceDraft():
                told.provenances.extend(_provenances(draft))
            case drafts.AttestationDraft():
                told.evidence.extend(_attested(draft, about))
            case _:
                name = type(draft).__name__.removesuffix("Draft").lower()
                raise Invalid(errors=[FieldError("", f"a document about a {name} is no evidence")])
    return told


def offered_evidence(draft: drafts.EvidenceDraft) -> Offered:
    """The draft as evidence; raises `Invalid` for what it lacks."""
    members = {
        "kind": draft.kind,
        "suite": draft.suite or None,
        "subject": _subject(draft.subject),
        "environment": draft.environment,
        "slot": draft.slot,
        "outcome": draft.outcome,
        "counts": _counts(draft.counts),
        "suite_definition_digest": draft.suite_definition_digest,
        "run": {"id": draft.run.id, "attempt": draft.run.attempt},
        "started_at": _moment(draft.started_at),
        "finished_at": _moment(draft.finished_at),
        "producer": draft.producer,
        "url": draft.url,
        "attachment_digest": draft.attachment_digest,
    }
    return Offered(_parsed(members), verified_by=draft.verified_by, detail=dict(draft.detail) or None)


def _attested(draft: drafts.AttestationDraft, about: drafts.About) -> Iterable[Offered]:
    """A statement that is not read further says only that it was made: an SBOM, or what the sender calls it."""
    kind = SBOM if draft.predicate_type.startswith(_SBOM_TYPES) else None
    for number, subject in enumerate(draft.subjects, 1):
        members = {
            "kind": about.kind or kind,
            "suite": f"subject {number}" if len(draft.subjects) > 1 else None,
            "subject": _subject(subject),
            "outcome": "pass",
            "run": {"id": about.run.id or draft.attachment_digest, "attempt": about.run.attempt},
            "finished_at": _moment(about.finished_at),
            "producer": about.producer,
            "url": about.url,
            "attachment_digest": draft.attachment_digest,
        }
        detail = {"predicate_type": draft.predicate_type}
        yield Offered(_parsed(members), verified_by=draft.verified_by, detail=detail)


def _provenances(draft: drafts.ProvenanceDraft) -> Iterable[OfferedProvenance]:
    for digest in draft.digests:
        members = {
            "digest": digest,
            "builder": draft.builder_id,
            "commit": draft.commit,
            "branch": None if draft.ref is None else draft.ref.removeprefix("refs/heads/"),
            "at": _moment(draft.finished_at),
        }
        yield OfferedProvenance(parse(ProvenanceIn, members), draft.attachment_digest, draft.verified_by)


def _parsed(members: Mapping[str, Any]) -> EvidenceIn:
    missing = [
        FieldError(name, f"`{name}` is neither in the document nor sent with it")
        for name in ("kind", "subject", "finished_at")
        if not members[name]
    ]
    if not members["run"]["id"]:
        missing.append(FieldError("run", "`run` is neither in the document nor sent with it"))
    if missing:
        raise Invalid(errors=missing)
    return parse(EvidenceIn, dict(members))


def _subject(subject: drafts.Subject | None) -> dict[str, Any] | None:
    return None if subject is None else {"digest": subject.digest, "commit": subject.commit}


def _counts(counts: drafts.Counts | None) -> dict[str, int] | None:
    if counts is None:
        return None
    names = ("total", "passed", "failed", "errors", "skipped", "flaky")
    return {name: getattr(counts, name) for name in names}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
