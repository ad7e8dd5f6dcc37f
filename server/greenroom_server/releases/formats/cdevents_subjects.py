"""What each type of CDEvent says, as drafts. The words of 0.4 are normalised to those of 0.5."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

from pydantic import AliasChoices, Field

from greenroom_server.releases.formats.bounded_json import Foreign, Id, Many, ModelT, Uri, parsed
from greenroom_server.releases.formats.drafts import (
    About,
    BuildDraft,
    ChangeDraft,
    DeploymentChange,
    DeploymentDraft,
    EnvironmentChange,
    EnvironmentDraft,
    Event,
    Fact,
    IncidentDraft,
    IncidentState,
    Outcome,
    Run,
    Subject,
    TicketDraft,
    TicketState,
)
from greenroom_server.releases.formats.told import Told
from greenroom_server.releases.formats.values import (
    artifact_digest_in,
    commit_in,
    link_in,
    listed,
    package_name_in,
    shown,
)

# The words of 0.4 and those of 0.5.
_OUTCOMES: Final[dict[str, Outcome]] = {
    "pass": "pass",
    "success": "pass",
    "fail": "fail",
    "failure": "fail",
    "cancel": "cancelled",
    "error": "error",
}


class _Named(Foreign):
    id: Id


class _Resource(Foreign):
    uri: Uri


class _Build(Foreign):
    artifact: Uri | None = Field(None, alias="artifactId")


class _Artifact(Foreign):
    change: _Named | None = None
    sbom: _Resource | None = None


class _Suite(Foreign):
    id: Id
    uri: Uri | None = None


class _TestSuiteRun(Foreign):
    outcome: Literal["pass", "success", "fail", "failure", "cancel", "error"]
    environment: _Named | None = None
    suite: _Suite | None = Field(None, alias="testSuite")
    severity: str | None = None
    reason: str | None = None


class _Removed(Foreign):
    environment: _Named


class _Deployed(_Removed):
    artifact: Uri = Field(alias="artifactId")


class _Environment(Foreign):
    name: str | None = None
    uri: str | None = Field(None, validation_alias=AliasChoices("uri", "url"))


class _Incident(Foreign):
    environment: _Named | None = None
    service: _Named | None = None
    artifact: Uri | None = Field(None, alias="artifactId")
    description: str | None = None
    ticket: str | None = Field(None, alias="ticketURI")


class _Ticket(Foreign):
    summary: str | None = None
    kind: str | None = Field(None, alias="ticketType")
    labels: Many[str] | None = None
    uri: str | None = Field(None, validation_alias=AliasChoices("uri", "url"))
    resolution: str | None = None


class _Merged(Foreign):
    repository: _Named | None = None


@dataclass(frozen=True, slots=True)
class EventRead:
    """An event whose envelope is checked."""

    event: Event
    subject_id: str
    content: Mapping[str, Any]
    told: Told
    about: About | None
    at: str

    def content_as(self, model: type[ModelT]) -> ModelT:
        return parsed(model, self.content, at=f"{self.at}/subject/content")


def _build(read: EventRead) -> Fact | str:
    artifact = read.content_as(_Build).artifact
    if artifact is None:
        return "a finished build without an `artifactId` made nothing that could be deployed"
    return _build_of(read, artifact)


def _artifact(read: EventRead) -> Fact | str:
    content = read.content_as(_Artifact)
    change = content.change.id if content.change else None
    sbom = link_in(content.sbom.uri) if content.sbom else None
    build = _build_of(read, read.subject_id)
    return replace(build, change=change, commit=build.commit or commit_in(change or ""), sbom=sbom)


def _build_of(read: EventRead, artifact: str) -> BuildDraft:
    return BuildDraft(
        event=read.event,
        artifact=artifact,
        name=package_name_in(artifact),
        digest=artifact_digest_in(artifact) or read.told.digest,
        service=read.told.service,
        commit=read.told.commit,
    )


def _test_suite_run(read: EventRead) -> Fact | str:
    content = read.content_as(_TestSuiteRun)
    about, told = _about_of(read, content), read.told
    if about is None:
        return "a test suite run counts if `customData.greenroom.kind` says what it tests"
    counts = told.counts.as_counts() if told.counts else None
    outcome = _OUTCOMES[content.outcome]
    if outcome == "pass" and counts is not None:
        outcome = counts.outcome()
    detail = {name: shown(text) for name, text in (("reason", content.reason), ("severity", content.severity)) if text}
    return replace(
        about.evidence(outcome, read.event.body_digest),
        environment=content.environment.id if content.environment else about.environment,
        slot=told.slot or about.slot,
        counts=counts,
        finished_at=read.event.at,
        event=read.event,
        detail=detail,
    )


def _about_of(read: EventRead, content: _TestSuiteRun) -> About | None:
    """Who says what goes before: the sender's own word, the event, what was sent beside it."""
    told, beside = read.told, read.about
    kind = told.kind or (beside.kind if beside else None)
    if kind is None:
        return None
    suite = told.suite or (content.suite.id if content.suite else None) or (beside and beside.suite) or read.subject_id
    run = Run(told.run or read.subject_id, told.attempt)
    said = About(kind=kind, suite=suite, run=run, subject=_subject_of(read), url=_link_of(content))
    if beside is None:
        return said
    return replace(
        beside, kind=kind, suite=suite, run=run, subject=said.subject or beside.subject, url=said.url or beside.url
    )


def _link_of(content: _TestSuiteRun) -> str | None:
    return link_in(content.suite.uri) if content.suite else None


def _subject_of(read: EventRead) -> Subject | None:
    told = read.told
    return Subject(told.digest, told.commit) if told.digest or told.commit else None


def _deployment(change: DeploymentChange, read: EventRead) -> Fact | str:
    artifact = None
    if change == "removed":
        content = read.content_as(_Removed)
    else:
        deployed = read.content_as(_Deployed)
        content, artifact = deployed, deployed.artifact
    return DeploymentDraft(
        event=read.event,
        change=change,
        service=read.subject_id,
        environment=content.environment.id,
        artifact=artifact,
        digest=artifact_digest_in(artifact or "") or read.told.digest,
        slot=read.told.slot,
    )


def _environment(change: EnvironmentChange, read: EventRead) -> Fact | str:
    content = read.content_as(_Environment)
    return EnvironmentDraft(
        event=read.event,
        change=change,
        environment=read.subject_id,
        name=_shown(content.name),
        url=link_in(content.uri),
    )


def _incident(state: IncidentState, read: EventRead) -> Fact | str:
    content = read.content_as(_Incident)
    return IncidentDraft(
        event=read.event,
        incident=read.subject_id,
        state=state,
        environment=content.environment.id if content.environment else None,
        service=content.service.id if content.service else None,
        artifact=content.artifact,
        digest=artifact_digest_in(content.artifact or ""),
        description=_shown(content.description),
        ticket_url=link_in(content.ticket),
    )


def _ticket(state: TicketState, read: EventRead) -> Fact | str:
    content = read.content_as(_Ticket)
    return TicketDraft(
        event=read.event,
        ticket=read.subject_id,
        state=state,
        summary=_shown(content.summary),
        ticket_type=_shown(content.kind),
        labels=tuple(listed(content.labels or ())),
        resolution=_shown(content.resolution),
        url=link_in(content.uri),
    )


def _change(read: EventRead) -> Fact | str:
    content = read.content_as(_Merged)
    return ChangeDraft(
        event=read.event,
        change=read.subject_id,
        repository=content.repository.id if content.repository else None,
        commit=read.told.commit or commit_in(read.subject_id),
    )


def _shown(text: str | None) -> str | None:
    return shown(text) if text else None


READERS: Final[dict[str, Callable[[EventRead], Fact | str]]] = {
    "build.finished": _build,
    "artifact.packaged": _artifact,
    "artifact.published": _artifact,
    "testsuiterun.finished": _test_suite_run,
    "service.deployed": partial(_deployment, "deployed"),
    "service.upgraded": partial(_deployment, "upgraded"),
    "service.rolledback": partial(_deployment, "rolledback"),
    "service.removed": partial(_deployment, "removed"),
    "environment.created": partial(_environment, "created"),
    "environment.modified": partial(_environment, "modified"),
    "environment.deleted": partial(_environment, "deleted"),
    "incident.detected": partial(_incident, "detected"),
    "incident.reported": partial(_incident, "reported"),
    "incident.resolved": partial(_incident, "resolved"),
    "ticket.created": partial(_ticket, "created"),
    "ticket.updated": partial(_ticket, "updated"),
    "ticket.closed": partial(_ticket, "closed"),
    "change.merged": _change,
}
