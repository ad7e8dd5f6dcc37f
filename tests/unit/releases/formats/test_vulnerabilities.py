"""Vulnerability scans as in-toto predicates: how bad, and from when on a scan is red."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from tests.unit.releases.formats.rig import ABOUT, DIGEST, refusing, statement

from greenroom_server.releases.formats.drafts import Counts, EvidenceDraft, Subject
from greenroom_server.releases.formats.findings import Severity, Threshold
from greenroom_server.releases.formats.in_toto import VULNERABILITIES_0_1, VULNERABILITIES_0_2, read_statement

SCANNER: Final = "pkg:github/aquasecurity/trivy@0.19.2"


def scan(*result: Any, kind: str = VULNERABILITIES_0_2, threshold: Threshold | None = None) -> EvidenceDraft:
    predicate = {
        "scanner": {"uri": SCANNER, "db": {"lastUpdate": "2026-01-01T00:00:00Z"}, "result": list(result)},
        "metadata": {"scanStartedOn": "2026-01-01T10:00:00Z", "scanFinishedOn": "2026-01-01T10:05:00Z"},
    }
    (draft,) = read_statement(statement(kind, predicate), ABOUT, threshold=threshold or Threshold())
    assert isinstance(draft, EvidenceDraft)
    return draft


def vulnerability(*scores: Any, name: str = "CVE-1") -> dict[str, Any]:
    return {"id": name, "severity": [{"method": "nvd", "score": score} for score in scores]}


def severity_of(made: Any) -> str:
    (found,) = [name for name, count in scan(made).detail["security"].items() if count]
    return str(found)


def test_a_clean_scan() -> None:
    """Nothing found is green, and the scan is what is counted; times and subject are the statement's."""
    draft = scan()
    assert (draft.outcome, draft.counts, draft.subject) == ("pass", Counts(1, 1, 0, 0, 0), Subject(digest=DIGEST))
    assert draft.started_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert draft.finished_at == datetime(2026, 1, 1, 10, 5, tzinfo=UTC)
    assert draft.detail["tools"] == [SCANNER]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (["medium", "5.2"], "medium"),
        (["LOW", "9.8"], "critical"),
        ([7.0], "high"),
        (["Important"], "high"),
        (["moderate", "none"], "medium"),
        (["0.0"], "none"),
        (["negligible"], "none"),
        (["CVSS:3.1/AV:N/AC:L"], "unknown"),
        (["CVSS:3.1/AV:N/AC:L", "4"], "medium"),
        ([], "unknown"),
    ],
)
def test_severities(scores: list[Any], expected: str) -> None:
    """The worst score that can be read, as a word or a number."""
    assert severity_of(vulnerability(*scores)) == expected


@pytest.mark.parametrize(
    ("severity", "score", "outcome"),
    [
        (None, "low", "fail"),
        (None, "none", "fail"),
        ("high", "critical", "fail"),
        ("high", "7.0", "fail"),
        ("high", "6.9", "pass"),
        ("high", "none", "pass"),
        ("low", "low", "fail"),
        ("critical", "?", "fail"),
    ],
)
def test_thresholds(severity: Severity | None, score: str, outcome: str) -> None:
    """Without a threshold all are red; one whose severity is not known always is."""
    assert scan(vulnerability(score), threshold=Threshold(severity=severity)).outcome == outcome


def test_all_are_counted_and_named() -> None:
    """By severity, and the first hundred by name."""
    draft = scan(*(vulnerability("low", name=f"CVE-{number}") for number in range(150)), vulnerability("high"))
    assert (draft.detail["security"]["low"], draft.detail["security"]["high"]) == (150, 1)
    assert draft.detail["vulnerabilities"] == [f"CVE-{number}" for number in range(100)]
    assert draft.counts == Counts(1, 0, 1, 0, 0)


def test_the_shapes_of_version_0_1() -> None:
    """Its text has an object around each vulnerability, its example none, and a severity may stand alone."""
    wrapped = {"vulnerability": vulnerability("high")}
    alone = {"id": "CVE-2", "severity": {"method": "nvd", "score": "low"}}
    security = scan(wrapped, vulnerability("high"), alone, {"id": "CVE-3"}, kind=VULNERABILITIES_0_1).detail["security"]
    assert {name: count for name, count in security.items() if count} == {"high": 2, "low": 1, "unknown": 1}


@pytest.mark.parametrize(
    ("result", "field"),
    [
        ([{}], "/predicate/scanner/result/0/id"),
        ([vulnerability("low"), "CVE-1"], "/predicate/scanner/result/1"),
        ([{"id": 1}], "/predicate/scanner/result/0/id"),
    ],
)
def test_what_is_no_vulnerability(result: list[Any], field: str) -> None:
    """It could be the worst one, so the scan is refused."""
    with refusing("evidence_malformed", field=field):
        scan(*result)
