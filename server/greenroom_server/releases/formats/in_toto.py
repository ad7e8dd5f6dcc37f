"""in-toto Statements, version 1 and 0.1: test results here, provenance and vulnerabilities; others by their type only.

A subject is its digest; its name is a label that nobody checks.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from greenroom_server.releases.formats.bounded_json import Foreign, Many, Uri, parsed, strict_json
from greenroom_server.releases.formats.drafts import About, AttestationDraft, Counts, Fact, Outcome, Subject
from greenroom_server.releases.formats.findings import ANY_ERROR, Threshold
from greenroom_server.releases.formats.limits import DEFAULT, Limits
from greenroom_server.releases.formats.provenance import read_provenance_0_2, read_provenance_1
from greenroom_server.releases.formats.refusals import Oversized, UnknownFormat, Unreadable
from greenroom_server.releases.formats.statement import Descriptor, StatementRead
from greenroom_server.releases.formats.values import commit_in, digest_in, digest_of_bytes, link_in, listed, shown
from greenroom_server.releases.formats.vulnerabilities import read_vulnerabilities

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
PROVENANCE_1: Final = "https://slsa.dev/provenance/v1"
PROVENANCE_0_2: Final = "https://slsa.dev/provenance/v0.2"
VULNERABILITIES_0_1: Final = "https://in-toto.io/attestation/vulns/v0.1"
VULNERABILITIES_0_2: Final = "https://in-toto.io/attestation/vulns/v0.2"

_STATEMENTS: Final = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_COMMITS: Final = ("gitCommit", "sha1")


class _Subject(Foreign):
    digest: Annotated[dict[str, str], Field(min_length=1)]


class _Statement(Foreign):
    kind: Annotated[str, Field(alias="_type")]
    subject: Annotated[Many[_Subject], Field(min_length=1)]
    predicate_type: Annotated[Uri, Field(alias="predicateType")]
    predicate: dict[str, Any] | None = None


class _TestResult(Foreign):
    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: Many[Descriptor]
    url: str | None = None
    passed: Annotated[Many[str] | None, Field(alias="passedTests")] = None
    warned: Annotated[Many[str] | None, Field(alias="warnedTests")] = None
    failed: Annotated[Many[str] | None, Field(alias="failedTests")] = None


def read_statement(
    data: bytes,
    about: About | None = None,
    *,
    verified_by: str | None = None,
    attachment_digest: str | None = None,
    threshold: Threshold = ANY_ERROR,
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
    read = StatementRead(
        predicate_type=statement.predicate_type,
        predicate=statement.predicate or {},
        subjects=tuple(dict.fromkeys(subjects)),
        attachment_digest=attachment_digest or digest_of_bytes(data),
        verified_by=verified_by,
        about=about,
        threshold=threshold,
    )
    return _PREDICATES.get(read.predicate_type, _attestation)(read)


def _subject_of(digests: Mapping[str, str], index: int) -> Subject:
    if digest := digest_in(f"sha256:{digests.get('sha256', '')}"):
        return Subject(digest=digest)
    for algorithm in _COMMITS:
        if commit := commit_in(digests.get(algorithm, "")):
            return Subject(commit=commit)
    raise Unreadable("a subject needs its sha256, or its gitCommit", field=f"/subject/{index}/digest")


def _attestation(read: StatementRead) -> tuple[Fact, ...]:
    return (AttestationDraft(read.predicate_type, read.subjects, read.attachment_digest, read.verified_by),)


def _test_result(read: StatementRead) -> tuple[Fact, ...]:
    result = read.predicate_as(_TestResult)
    counts = _counts_of(result)
    return tuple(
        replace(
            draft,
            counts=counts,
            suite_definition_digest=_definition_of(result),
            url=link_in(result.url) or draft.url,
            detail=_detail_of(result),
        )
        for draft in read.evidence(_outcome_of(result, counts))
    )


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
    """A digest of what the tests were configured by, if all of it has one; of git's blobs it is often `gitBlob`."""
    lines = sorted({f"{name}:{value}" for one in result.configuration for name, value in (one.digest or {}).items()})
    has_all = result.configuration and all(one.digest for one in result.configuration)
    return digest_of_bytes("\n".join(lines).encode()) if has_all else None


def _detail_of(result: _TestResult) -> dict[str, Any]:
    detail: dict[str, Any] = {"result": result.result}
    detail.update(
        (name, listed(tests)) for name, tests in (("failed", result.failed), ("warned", result.warned)) if tests
    )
    return detail


_PREDICATES: Final[dict[str, Callable[[StatementRead], tuple[Fact, ...]]]] = {
    TEST_RESULT: _test_result,
    PROVENANCE_1: read_provenance_1,
    PROVENANCE_0_2: read_provenance_0_2,
    VULNERABILITIES_0_1: read_vulnerabilities,
    VULNERABILITIES_0_2: read_vulnerabilities,
}
