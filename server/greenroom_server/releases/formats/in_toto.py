"""in-toto Statements, version 1 and 0.1: test results, SLSA provenance 1 and 0.2; other predicates by their type only.

A subject is its digest; its name is a label that nobody checks.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, Field

from greenroom_server.releases.formats.bounded_json import Foreign, parsed, strict_json
from greenroom_server.releases.formats.drafts import (
    About,
    AttestationDraft,
    Counts,
    Fact,
    Outcome,
    ProvenanceDraft,
    Subject,
)
from greenroom_server.releases.formats.limits import DEFAULT, MAX_LISTED, Limits
from greenroom_server.releases.formats.refusals import Oversized, UnknownFormat, Unreadable
from greenroom_server.releases.formats.values import (
    commit_in,
    digest_in,
    digest_of_bytes,
    link_in,
    listed,
    moment_or_none,
    shown,
)

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
PROVENANCE_1: Final = "https://slsa.dev/provenance/v1"
PROVENANCE_0_2: Final = "https://slsa.dev/provenance/v0.2"

_STATEMENTS: Final = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_DIGESTS: Final = ("sha256", "sha384", "sha512")
_COMMITS: Final = ("gitCommit", "sha1")
_REF: Final = "@refs/"
_GIT: Final = re.compile(r"git[+:@]|[^#?]*\.git(?:$|[@#?/])")

Identifier = Annotated[str, Field(min_length=1, max_length=2_048)]


class _Descriptor(Foreign):
    uri: str | None = None
    digest: dict[str, str] | None = None


class _Subject(Foreign):
    digest: Annotated[dict[str, str], Field(min_length=1)]


class _Statement(Foreign):
    kind: Annotated[str, Field(alias="_type")]
    subject: Annotated[list[_Subject], Field(min_length=1)]
    predicate_type: Annotated[Identifier, Field(alias="predicateType")]
    predicate: dict[str, Any] | None = None


class _TestResult(Foreign):
    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: list[_Descriptor]
    url: str | None = None
    passed: Annotated[list[str] | None, Field(alias="passedTests")] = None
    warned: Annotated[list[str] | None, Field(alias="warnedTests")] = None
    failed: Annotated[list[str] | None, Field(alias="failedTests")] = None


class _Builder(Foreign):
    id: Identifier


class _Metadata(Foreign):
    """The members of version 1, and as version 0.2 calls them."""

    invocation_id: Identifier | None = Field(None, validation_alias=AliasChoices("invocationId", "buildInvocationId"))
    started: str | None = Field(None, validation_alias=AliasChoices("startedOn", "buildStartedOn"))
    finished: str | None = Field(None, validation_alias=AliasChoices("finishedOn", "buildFinishedOn"))


class _RunDetails(Foreign):
    builder: _Builder
    metadata: _Metadata | None = None


class _BuildDefinition(Foreign):
    build_type: Annotated[Identifier, Field(alias="buildType")]
    external_parameters: Annotated[dict[str, Any], Field(alias="externalParameters")]
    resolved_dependencies: Annotated[list[_Descriptor] | None, Field(alias="resolvedDependencies")] = None


class _Provenance1(Foreign):
    build_definition: Annotated[_BuildDefinition, Field(alias="buildDefinition")]
    run_details: Annotated[_RunDetails, Field(alias="runDetails")]


class _Invocation(Foreign):
    config_source: Annotated[_Descriptor | None, Field(alias="configSource")] = None
    parameters: dict[str, Any] | None = None


class _Provenance02(Foreign):
    builder: _Builder
    build_type: Annotated[Identifier, Field(alias="buildType")]
    invocation: _Invocation | None = None
    metadata: _Metadata | None = None
    materials: list[_Descriptor] | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A statement whose frame is checked, and what is known beside it."""

    predicate_type: str
    predicate: Mapping[str, Any]
    subjects: tuple[Subject, ...]
    attachment_digest: str
    verified_by: str | None
    about: About | None

    def digests(self) -> tuple[str, ...]:
        return tuple(one.digest for one in self.subjects if one.digest is not None)


def read_statement(
    data: bytes,
    about: About | None = None,
    *,
    verified_by: str | None = None,
    attachment_digest: str | None = None,
    limits: Limits = DEFAULT,
) -> tuple[Fact, ...]:
    """The facts of one statement. `data` must be the verified bytes if `verified_by` names who signed them.

    `attachment_digest` is that of the envelope around it, if there was one.
    """
    if len(data) > limits.envelope_bytes:
        raise Oversized("envelope_bytes", limits.envelope_bytes)
    statement = parsed(_Statement, strict_json(data, limits))
    if statement.kind not in _STATEMENTS:
        raise UnknownFormat(f"`{shown(statement.kind)}` is no in-toto Statement that is read here", field="/_type")
    if len(statement.subject) > limits.subjects:
        raise Oversized("subjects", limits.subjects, field="/subject")
    subjects = tuple(_subject_of(one.digest, index) for index, one in enumerate(statement.subject))
    read = _Read(
        predicate_type=statement.predicate_type,
        predicate=statement.predicate or {},
        subjects=tuple(dict.fromkeys(subjects)),
        attachment_digest=attachment_digest or digest_of_bytes(data),
        verified_by=verified_by,
        about=about,
    )
    return _PREDICATES.get(read.predicate_type, _attestation)(read)


def _subject_of(digests: Mapping[str, str], index: int) -> Subject:
    for algorithm in _DIGESTS:
        if digest := digest_in(f"{algorithm}:{digests.get(algorithm, '')}"):
            return Subject(digest=digest)
    for algorithm in _COMMITS:
        if commit := commit_in(digests.get(algorithm, "")):
            return Subject(commit=commit)
    raise Unreadable(
        "a subject needs a digest of sha256, sha384, sha512, or the gitCommit", field=f"/subject/{index}/digest"
    )


def _attestation(read: _Read) -> tuple[Fact, ...]:
    return (AttestationDraft(read.predicate_type, read.subjects, read.attachment_digest, read.verified_by),)


def _test_result(read: _Read) -> tuple[Fact, ...]:
    about = read.about
    if about is None:
        raise Unreadable("a test result does not say its `kind`, `suite` and `run`; send them with it", field="kind")
    result = parsed(_TestResult, read.predicate, at="/predicate")
    counts = _counts_of(result)
    subjects = _named_by(about, read.subjects)
    evidence = replace(
        about.evidence(_outcome_of(result, counts), read.attachment_digest),
        counts=counts,
        suite_definition_digest=_definition_of(result),
        url=link_in(result.url) or about.url,
        verified_by=read.verified_by,
        detail=_detail_of(result),
    )
    return tuple(replace(evidence, subject=subject) for subject in subjects)


def _named_by(about: About, subjects: tuple[Subject, ...]) -> tuple[Subject, ...]:
    """The sender may pick among the subjects, and name no others: what is said of one build is not said of another."""
    named = about.subject
    if named is None:
        return subjects
    picked = tuple(subject for subject in subjects if subject.is_part_of(named))
    if not picked:
        raise Unreadable("the statement is about another subject than the one that was sent with it", field="/subject")
    return picked


def _counts_of(result: _TestResult) -> Counts | None:
    if result.passed is None and result.warned is None and result.failed is None:
        return None
    passed = len(result.passed or ()) + len(result.warned or ())
    failed = len(result.failed or ())
    return Counts(total=passed + failed, passed=passed, failed=failed, errors=0, skipped=0)


def _outcome_of(result: _TestResult, counts: Counts | None) -> Outcome:
    """Green only if the word and the numbers say so."""
    if result.result == "FAILED":
        return "fail"
    return "pass" if counts is None else counts.outcome()


def _definition_of(result: _TestResult) -> str | None:
    if len(result.configuration) != 1:
        return None
    digests = result.configuration[0].digest or {}
    return next((found for one in _DIGESTS if (found := digest_in(f"{one}:{digests.get(one, '')}"))), None)


def _detail_of(result: _TestResult) -> dict[str, Any]:
    detail: dict[str, Any] = {"result": result.result}
    detail.update(
        (name, listed(tests)) for name, tests in (("failed", result.failed), ("warned", result.warned)) if tests
    )
    return detail


def _provenance_1(read: _Read) -> tuple[Fact, ...]:
    provenance = parsed(_Provenance1, read.predicate, at="/predicate")
    definition, details = provenance.build_definition, provenance.run_details
    draft = ProvenanceDraft(
        digests=read.digests(),
        builder_id=details.builder.id,
        build_type=definition.build_type,
        attachment_digest=read.attachment_digest,
        external_parameters=_names_in(definition.external_parameters),
        verified_by=read.verified_by,
    )
    return (_completed(draft, _only_source(definition.resolved_dependencies), details.metadata),)


def _provenance_0_2(read: _Read) -> tuple[Fact, ...]:
    provenance = parsed(_Provenance02, read.predicate, at="/predicate")
    invocation = provenance.invocation or _Invocation()
    draft = ProvenanceDraft(
        digests=read.digests(),
        builder_id=provenance.builder.id,
        build_type=provenance.build_type,
        attachment_digest=read.attachment_digest,
        external_parameters=_names_in(invocation.parameters or {}),
        verified_by=read.verified_by,
    )
    configured = _source_of(invocation.config_source, is_source=True) if invocation.config_source else _Source()
    source = configured if configured.commit else _only_source(provenance.materials)
    return (_completed(draft, source, provenance.metadata),)


def _completed(draft: ProvenanceDraft, source: "_Source", metadata: _Metadata | None) -> ProvenanceDraft:
    told = metadata or _Metadata()
    return replace(
        draft,
        commit=source.commit,
        source=source.uri,
        ref=source.ref,
        invocation_id=told.invocation_id,
        started_at=moment_or_none(told.started or ""),
        finished_at=moment_or_none(told.finished or ""),
    )


_PREDICATES: Final[dict[str, Callable[[_Read], tuple[Fact, ...]]]] = {
    TEST_RESULT: _test_result,
    PROVENANCE_1: _provenance_1,
    PROVENANCE_0_2: _provenance_0_2,
}


@dataclass(frozen=True, slots=True)
class _Source:
    commit: str | None = None
    uri: str | None = None
    ref: str | None = None


def _only_source(descriptors: list[_Descriptor] | None) -> _Source:
    """The one source commit among what was built from; nothing if there are several, as none may be picked."""
    found = {source.commit: source for one in descriptors or () if (source := _source_of(one)).commit}
    return next(iter(found.values())) if len(found) == 1 else _Source()


def _source_of(descriptor: _Descriptor, *, is_source: bool = False) -> _Source:
    digests, uri = descriptor.digest or {}, descriptor.uri or ""
    commit = commit_in(digests.get("gitCommit", ""))
    if commit is None and (is_source or _GIT.match(uri)):
        commit = commit_in(digests.get("sha1", ""))
    place, at, ref = uri.partition(_REF)
    return _Source(commit, shown(place) or None, shown(f"refs/{ref}") if at else None)


def _names_in(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(shown(name) for name in sorted(parameters)[:MAX_LISTED])
