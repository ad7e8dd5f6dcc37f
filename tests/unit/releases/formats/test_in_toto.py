"""Statements are read by their digests, and what a predicate leaves out is left open rather than guessed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from tests.unit.releases.formats.rig import ABOUT, COMMIT, DIGEST, OTHER_DIGEST, refusing, statement

from greenroom_server.releases.formats.drafts import (
    AttestationDraft,
    Counts,
    EvidenceDraft,
    Fact,
    ProvenanceDraft,
    Subject,
)
from greenroom_server.releases.formats.in_toto import PROVENANCE_0_2, PROVENANCE_1, TEST_RESULT, read_statement
from greenroom_server.releases.formats.limits import Limits
from greenroom_server.releases.formats.values import digest_of_bytes

HEX: Final = DIGEST.removeprefix("sha256:")
ANYBODY: Final = replace(ABOUT, subject=None)
SOURCE: Final = {"uri": "git+https://git.example/shop@refs/heads/main", "digest": {"gitCommit": COMMIT}}
IMAGE: Final = {"uri": "pkg:docker/python@3.11", "digest": {"sha256": HEX}}


def test_result(**changed: Any) -> Any:
    return {
        "result": "PASSED",
        "configuration": [{"digest": {"sha256": "ab" * 32}}],
        "passedTests": ["a", "b"],
    } | changed


test_result.__test__ = False  # type: ignore[attr-defined]


def provenance_1(*dependencies: Any, **metadata: Any) -> Any:
    return {
        "buildDefinition": {
            "buildType": "https://ci.example/workflow/v1",
            "externalParameters": {"workflow": {"ref": "refs/heads/other"}, "inputs": {}},
            "resolvedDependencies": list(dependencies),
        },
        "runDetails": {"builder": {"id": "https://ci.example/runner"}, "metadata": metadata},
    }


def provenance_0_2(configured: Any = None, *materials: Any) -> Any:
    return {
        "builder": {"id": "ci://main"},
        "buildType": "make",
        "invocation": {"configSource": configured, "parameters": {"target": "all"}},
        "metadata": {"buildInvocationId": "build-7", "buildStartedOn": "2026-11-20T11:00:00Z"},
        "materials": list(materials),
    }


def only(facts: tuple[Fact, ...]) -> Any:
    (fact,) = facts
    return fact


def evidence(**changed: Any) -> EvidenceDraft:
    draft = only(read_statement(statement(TEST_RESULT, test_result(**changed)), ABOUT))
    assert isinstance(draft, EvidenceDraft)
    return draft


def provenance(kind: str, predicate: Any) -> ProvenanceDraft:
    draft = only(read_statement(statement(kind, predicate)))
    assert isinstance(draft, ProvenanceDraft)
    return draft


def test_a_test_result() -> None:
    """Outcome, numbers and link come from the predicate, the kind and the run from the sender."""
    data = statement(TEST_RESULT, test_result(url="https://ci.example/7", warnedTests=["w"]))
    draft = only(read_statement(data, ABOUT, verified_by="ci"))
    assert (draft.outcome, draft.counts) == ("pass", Counts(3, 3, 0, 0, 0))
    assert (draft.kind, draft.suite, draft.run) == (ABOUT.kind, ABOUT.suite, ABOUT.run)
    assert (draft.subject, draft.verified_by) == (Subject(digest=DIGEST), "ci")
    assert draft.url == "https://ci.example/7"
    assert draft.attachment_digest == digest_of_bytes(data)
    assert draft.detail == {"result": "PASSED", "warned": ["w"]}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"result": "WARNED"}, "pass"),
        ({"result": "FAILED"}, "fail"),
        ({"result": "FAILED", "passedTests": None}, "fail"),
        ({"failedTests": ["c"]}, "fail"),
        ({"passedTests": []}, "fail"),
        ({"passedTests": None}, "pass"),
    ],
)
def test_green_needs_the_word_and_the_numbers(changed: dict[str, Any], outcome: str) -> None:
    """A result that says PASSED with failed tests, or with none at all, did not pass."""
    assert evidence(**changed).outcome == outcome


def test_a_result_without_lists_has_no_numbers() -> None:
    """Not known is not zero."""
    assert evidence(passedTests=None).counts is None


@pytest.mark.parametrize("configuration", [[], [{}], [IMAGE, {"uri": "ci.yml"}]])
def test_a_definition_needs_digests(configuration: list[Any]) -> None:
    """What has no digest can change without anybody seeing it."""
    assert evidence(configuration=configuration).suite_definition_digest is None


def test_the_definition_is_the_whole_configuration() -> None:
    """It changes with any part, whatever its digests are, and not with their order."""
    blob = {"name": "ci.yml", "digest": {"gitBlob": COMMIT}}
    turns = ([blob], [blob, IMAGE], [IMAGE, blob])
    one, both, turned = (evidence(configuration=parts).suite_definition_digest for parts in turns)
    assert one is not None
    assert both == turned != one


def test_links_that_are_none_are_dropped() -> None:
    """A link that a browser would run is not kept."""
    assert evidence(url="javascript:alert(1)").url is None


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        ({"sha256": HEX.upper()}, Subject(digest=DIGEST)),
        ({"sha256": HEX, "gitCommit": COMMIT}, Subject(digest=DIGEST)),
        ({"gitCommit": COMMIT}, Subject(commit=COMMIT)),
        ({"sha1": COMMIT}, Subject(commit=COMMIT)),
    ],
)
def test_a_subject_is_its_digest(digest: dict[str, str], expected: Subject) -> None:
    """An artifact's digest goes before a commit."""
    data = statement(TEST_RESULT, test_result(), subject=[{"digest": digest}])
    assert only(read_statement(data, ANYBODY)).subject == expected


def test_several_subjects() -> None:
    """Each different one gets evidence of its own, unless the sender named one of them."""
    subjects = [
        {"digest": {"sha256": HEX}},
        {"name": "again", "digest": {"sha256": HEX}},
        {"digest": {"gitCommit": COMMIT}},
    ]
    data = statement(TEST_RESULT, test_result(), subject=subjects)
    drafts = read_statement(data, ANYBODY)
    assert [draft.subject for draft in drafts if isinstance(draft, EvidenceDraft)] == [
        Subject(digest=DIGEST),
        Subject(commit=COMMIT),
    ]
    assert only(read_statement(data, replace(ABOUT, subject=Subject(commit=COMMIT)))).subject == Subject(commit=COMMIT)


def test_a_sender_cannot_name_another_subject() -> None:
    """Signed evidence about one build is no evidence about another."""
    with refusing("evidence_malformed", field="/subject"):
        read_statement(statement(TEST_RESULT, test_result()), replace(ABOUT, subject=Subject(digest=OTHER_DIGEST)))


@pytest.mark.parametrize("digest", [{"sha256": HEX}, {"gitCommit": COMMIT}])
def test_a_sender_who_names_both_digest_and_commit(digest: dict[str, str]) -> None:
    """The statement may be about either; what it says itself is what counts."""
    data = statement(TEST_RESULT, test_result(), subject=[{"digest": digest}])
    draft = only(read_statement(data, replace(ABOUT, subject=Subject(DIGEST, COMMIT))))
    assert draft.subject == (Subject(digest=DIGEST) if "sha256" in digest else Subject(commit=COMMIT))


def test_a_test_result_needs_a_kind() -> None:
    """The predicate has no word for which suite it was."""
    with refusing("evidence_malformed", field="kind"):
        read_statement(statement(TEST_RESULT, test_result()))


def test_provenance_1() -> None:
    """Builder, type, source and times are taken; the ref is that of the source, not of a parameter."""
    predicate = provenance_1(
        IMAGE, SOURCE, invocationId="build-7", startedOn="2026-11-20T12:00:00+01:00", finishedOn="2026-11-20T11:05:00Z"
    )
    draft = provenance(PROVENANCE_1, predicate)
    assert (draft.builder_id, draft.build_type) == ("https://ci.example/runner", "https://ci.example/workflow/v1")
    assert (draft.digests, draft.commit) == ((DIGEST,), COMMIT)
    assert (draft.source, draft.ref) == ("git+https://git.example/shop", "refs/heads/main")
    assert (draft.external_parameters, draft.invocation_id) == (("inputs", "workflow"), "build-7")
    assert draft.started_at == datetime(2026, 11, 20, 11, tzinfo=UTC)
    assert draft.finished_at == datetime(2026, 11, 20, 11, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("dependencies", "commit"),
    [
        ([], None),
        ([IMAGE], None),
        ([SOURCE, SOURCE], COMMIT),
        ([SOURCE, {"uri": "git+https://git.example/lib", "digest": {"gitCommit": "ab" * 20}}], None),
        ([{"uri": "https://git.example/shop.git", "digest": {"sha1": COMMIT}}], COMMIT),
        ([{"uri": "https://files.example/a.zip", "digest": {"sha1": COMMIT}}], None),
        ([{"uri": "git+https://git.example/shop", "digest": {"gitCommit": "c0ffee"}}], None),
        ([{}], None),
    ],
)
def test_the_source_commit_is_never_picked(dependencies: list[Any], commit: str | None) -> None:
    """Two sources, a file's hash or an abbreviation leave the commit open."""
    assert provenance(PROVENANCE_1, provenance_1(*dependencies)).commit == commit


def test_provenance_0_2() -> None:
    """The older names mean the same; its statement has the older type too."""
    configured = {"uri": "https://git.example/shop@refs/tags/v1", "digest": {"sha1": COMMIT}}
    draft = provenance(PROVENANCE_0_2, provenance_0_2(configured, IMAGE))
    assert (draft.builder_id, draft.build_type, draft.invocation_id) == ("ci://main", "make", "build-7")
    assert (draft.commit, draft.ref, draft.external_parameters) == (COMMIT, "refs/tags/v1", ("target",))
    assert draft.started_at == datetime(2026, 11, 20, 11, tzinfo=UTC)
    old = statement(PROVENANCE_0_2, provenance_0_2(), _type="https://in-toto.io/Statement/v0.1")
    assert only(read_statement(old)).commit is None


def test_provenance_0_2_with_its_source_among_the_materials() -> None:
    """Without a configured source the only one that it was made from counts."""
    assert provenance(PROVENANCE_0_2, provenance_0_2(None, IMAGE, SOURCE)).commit == COMMIT
    bare = {"builder": {"id": "ci://main"}, "buildType": "make"}
    assert provenance(PROVENANCE_0_2, bare).commit is None


def test_other_predicates_are_attestations() -> None:
    """What is not read further is kept by its type, such as an SBOM."""
    data = statement("https://cyclonedx.org/bom", None)
    assert read_statement(data, verified_by="ci") == (
        AttestationDraft("https://cyclonedx.org/bom", (Subject(digest=DIGEST),), digest_of_bytes(data), "ci"),
    )


def test_another_type_of_statement() -> None:
    """A version that may mean something else is not read."""
    with refusing("evidence_unknown_format", field="/_type"):
        read_statement(statement(TEST_RESULT, {}, _type="https://in-toto.io/Statement/v2"))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (statement(TEST_RESULT, {}, subject=[]), "/subject"),
        (statement(TEST_RESULT, {}, subject=[{"name": "a"}]), "/subject/0/digest"),
        (statement(TEST_RESULT, {}, subject=[{"digest": {}}]), "/subject/0/digest"),
        (statement(TEST_RESULT, {}, subject=[{"digest": {"sha256": "abc"}}]), "/subject/0/digest"),
        (statement(TEST_RESULT, {}, subject=[{"digest": {"sha512": "ab" * 64}}]), "/subject/0/digest"),
        (statement(TEST_RESULT, []), "/predicate"),
        (statement(TEST_RESULT, test_result(result="passed")), "/predicate/result"),
        (statement(TEST_RESULT, test_result(failedTests="none")), "/predicate/failedTests"),
        (statement(PROVENANCE_1, {"buildDefinition": provenance_1()["buildDefinition"]}), "/predicate/runDetails"),
        (statement(PROVENANCE_0_2, {"builder": {"id": ""}, "buildType": "make"}), "/predicate/builder/id"),
    ],
)
def test_what_is_no_statement(data: bytes, field: str) -> None:
    """The refusal points into the statement."""
    with refusing("evidence_malformed", field=field):
        read_statement(data, ABOUT)


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(envelope_bytes=10), "envelope_bytes"),
        (Limits(subjects=1), "subjects"),
        (Limits(json_nodes=3), "json_nodes"),
    ],
)
def test_limits(limits: Limits, limit: str) -> None:
    """A statement may be long and about many things, within limits."""
    subject = {"digest": {"sha256": HEX}}
    with refusing("evidence_too_large", limit=limit):
        read_statement(statement(TEST_RESULT, {}, subject=[subject, subject]), limits=limits)
