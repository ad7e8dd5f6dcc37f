"""Vulnerabilities that a scanner found, as in-toto's predicates of versions 0.1 and 0.2 have them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field

from greenroom_server.releases.formats.bounded_json import Foreign, Many, parsed
from greenroom_server.releases.formats.drafts import Counts, Fact
from greenroom_server.releases.formats.findings import SEVERITIES, Severity, Threshold, severity_of_score
from greenroom_server.releases.formats.statement import StatementRead
from greenroom_server.releases.formats.values import listed, moment_or_none, shown

_WORDS: Final[dict[str, Severity]] = {
    "critical": "critical",
    "high": "high",
    "important": "high",
    "medium": "medium",
    "moderate": "medium",
    "low": "low",
    "minor": "low",
}
_HARMLESS: Final = frozenset(("none", "negligible", "0", "0.0"))
_WORST_FIRST: Final = (*SEVERITIES, "none")


class _Score(Foreign):
    score: str | float | int


class _Vulnerability(Foreign):
    id: str
    severity: Many[_Score] | _Score | None = None

    def scores(self) -> list[str | float | int]:
        given = self.severity
        return [one.score for one in (given if isinstance(given, list) else [given]) if one is not None]


class _Scanner(Foreign):
    uri: str
    result: list[Any]


class _Metadata(Foreign):
    started: Annotated[str | None, Field(alias="scanStartedOn")] = None
    finished: Annotated[str | None, Field(alias="scanFinishedOn")] = None


class _Scan(Foreign):
    scanner: _Scanner
    metadata: _Metadata | None = None


def read_vulnerabilities(read: StatementRead) -> tuple[Fact, ...]:
    """Evidence of one scan: failed if a vulnerability reaches the threshold, or has no severity to tell."""
    scan = read.predicate_as(_Scan)
    vulnerabilities = list(_vulnerabilities_in(scan))
    found = Counter(map(_severity_of, vulnerabilities))
    is_red = any(_is_red(severity, read.threshold) for severity in found)
    counts = Counts(total=1, passed=int(not is_red), failed=int(is_red), errors=0, skipped=0)
    metadata = scan.metadata or _Metadata()
    return tuple(
        replace(
            draft,
            counts=counts,
            started_at=draft.started_at or moment_or_none(metadata.started or ""),
            finished_at=draft.finished_at or moment_or_none(metadata.finished or ""),
            detail={
                "security": {severity: found[severity] for severity in (*_WORST_FIRST, "unknown")},
                "vulnerabilities": listed(one.id for one in vulnerabilities),
                "tools": [shown(scan.scanner.uri)],
            },
        )
        for draft in read.evidence(counts.outcome())
    )


def _vulnerabilities_in(scan: _Scan) -> Iterator[_Vulnerability]:
    for index, entry in enumerate(scan.scanner.result):
        # The text of version 0.1 has one more object around each; its example has none.
        inner = entry.get("vulnerability", entry) if isinstance(entry, dict) else entry
        yield parsed(_Vulnerability, inner, at=f"/predicate/scanner/result/{index}")


def _severity_of(vulnerability: _Vulnerability) -> str:
    """The worst of the scores that can be read; `unknown` if none can."""
    known = {severity for score in vulnerability.scores() if (severity := _severity_in(score))}
    return next((severity for severity in _WORST_FIRST if severity in known), "unknown")


def _severity_in(score: str | float | int) -> str | None:
    word = str(score).strip().lower()
    return _WORDS.get(word) or severity_of_score(score) or ("none" if word in _HARMLESS else None)


def _is_red(severity: str, threshold: Threshold) -> bool:
    if threshold.severity is None or severity == "unknown":
        return True
    return threshold.is_reached_by_severity(severity)
