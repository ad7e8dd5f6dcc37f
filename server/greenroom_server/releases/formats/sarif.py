"""SARIF 2.1.0: what the analysers of a run found, by level and by security severity, against a threshold.

An empty `results` says "ran, found nothing"; a missing one, or an invocation that did not succeed, says "did not run".
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from greenroom_server.releases.formats.bounded_json import Foreign, Many, large_json, parsed
from greenroom_server.releases.formats.drafts import About, Counts, EvidenceDraft, Outcome
from greenroom_server.releases.formats.findings import (
    ANY_ERROR,
    LEVELS,
    SEVERITIES,
    Level,
    Severity,
    Threshold,
    severity_of_score,
)
from greenroom_server.releases.formats.limits import DEFAULT, MAX_LISTED, Limits
from greenroom_server.releases.formats.refusals import UnknownFormat
from greenroom_server.releases.formats.values import (
    digest_of_bytes,
    digest_of_parts,
    listed,
    moment_or_none,
    shown,
)

VERSION: Final = "2.1.0"
_MAX_RULES: Final = 10 * MAX_LISTED


class _Configuration(Foreign):
    level: Level | None = None


class _RuleProperties(Foreign):
    severity: str | float | int | None = Field(None, alias="security-severity")


class _Rule(Foreign):
    id: str
    configuration: _Configuration | None = Field(None, alias="defaultConfiguration")
    properties: _RuleProperties | None = None


class _Component(Foreign):
    name: str = ""
    rules: Many[_Rule] | None = None


class _Tool(Foreign):
    driver: _Component
    extensions: Many[_Component] | None = None


class _Invocation(Foreign):
    succeeded: bool | None = Field(None, alias="executionSuccessful")
    started: str | None = Field(None, alias="startTimeUtc")
    ended: str | None = Field(None, alias="endTimeUtc")


class _ExternalFiles(Foreign):
    results: list[Any] | None = None


class _Run(Foreign):
    tool: _Tool
    results: list[Any] | None = None  # checked one by one, since there can be very many
    invocations: Many[_Invocation] | None = None
    elsewhere: _ExternalFiles | None = Field(None, alias="externalPropertyFileReferences")

    def has_run(self) -> bool:
        is_here = self.results is not None and not (self.elsewhere and self.elsewhere.results)
        return is_here and all(one.succeeded is not False for one in self.invocations or ())


class _Log(Foreign):
    version: str
    runs: Many[_Run]


class _ComponentReference(Foreign):
    index: int | None = None


class _RuleReference(Foreign):
    id: str | None = None
    index: int | None = None
    component: _ComponentReference | None = Field(None, alias="toolComponent")


class _Suppression(Foreign):
    status: Literal["accepted", "underReview", "rejected"] | None = None


class _Result(Foreign):
    rule_id: str | None = Field(None, alias="ruleId")
    rule_index: int | None = Field(None, alias="ruleIndex")
    rule: _RuleReference | None = None
    level: Level | None = None
    kind: Literal["notApplicable", "pass", "fail", "review", "open", "informational"] | None = None
    suppressions: Many[_Suppression] | None = None
    state: Literal["new", "unchanged", "updated", "absent"] | None = Field(None, alias="baselineState")

    def is_suppressed(self) -> bool:
        return bool(self.suppressions) and all(one.status in (None, "accepted") for one in self.suppressions or ())


def read_sarif(
    data: bytes, about: About, *, threshold: Threshold = ANY_ERROR, limits: Limits = DEFAULT
) -> EvidenceDraft:
    """One draft for all runs of a log. The counts are of runs: failed with a finding from `threshold` on, errors if an
    analyser did not run; how many findings of which kind there are is in `detail`.
    """
    log = parsed(_Log, large_json(data, limits))
    if log.version != VERSION:
        raise UnknownFormat(f"SARIF `{shown(log.version)}` is not read here, only {VERSION}", field="/version")
    findings = _Findings(threshold)
    for index, run in enumerate(log.runs):
        findings.add_run(run, f"/runs/{index}")
    counts = findings.counts()
    started, finished = _times_of(log)
    return replace(
        about.evidence(counts.outcome(), digest_of_bytes(data)),
        counts=counts,
        suite_definition_digest=_definition_of(log),
        started_at=about.started_at or started,
        finished_at=about.finished_at or finished,
        detail=findings.detail(),
    )


class _Findings:
    """What all runs found."""

    def __init__(self, threshold: Threshold) -> None:
        self._threshold = threshold
        self._outcomes: Counter[Outcome] = Counter()
        self._levels: Counter[Level] = Counter()
        self._severities: Counter[Severity] = Counter()
        self._rules: Counter[str] = Counter()
        self._suppressed = 0
        self._tools: list[str] = []
        self._not_run: list[str] = []

    def add_run(self, run: _Run, pointer: str) -> None:
        name = run.tool.driver.name
        self._tools.append(name)
        has_failed = self._add_results(run, pointer)
        if not run.has_run():
            self._not_run.append(name)
            self._outcomes["error"] += 1
        else:
            self._outcomes["fail" if has_failed else "pass"] += 1

    def _add_results(self, run: _Run, pointer: str) -> bool:
        rules = _Rules(run.tool)
        has_failed = False
        for index, raw in enumerate(run.results or ()):
            result = parsed(_Result, raw, at=f"{pointer}/results/{index}")
            if result.kind not in (None, "fail") or result.state == "absent":
                continue
            if result.is_suppressed():
                self._suppressed += 1
                continue
            rule = rules.of(result)
            has_failed |= self._add(rule, _level_of(result, rule), result.rule_id)
        return has_failed

    def _add(self, rule: _Rule | None, level: Level, rule_id: str | None) -> bool:
        severity = _severity_of(rule)
        self._levels[level] += 1
        if severity is not None:
            self._severities[severity] += 1
        name = rule.id if rule else rule_id
        if name is not None and (name in self._rules or len(self._rules) < _MAX_RULES):
            self._rules[name] += 1
        threshold = self._threshold
        return threshold.is_reached_by_level(level) or threshold.is_reached_by_severity(severity or "")

    def counts(self) -> Counts:
        outcomes = self._outcomes
        return Counts(
            total=outcomes.total(),
            passed=outcomes["pass"],
            failed=outcomes["fail"],
            errors=outcomes["error"],
            skipped=0,
        )

    def detail(self) -> dict[str, Any]:
        often = sorted(self._rules.items(), key=lambda rule: (-rule[1], rule[0]))[:MAX_LISTED]
        detail: dict[str, Any] = {
            "findings": {level: self._levels[level] for level in LEVELS},
            "suppressed": self._suppressed,
            "rules": {shown(name): count for name, count in often},
            "tools": listed(self._tools),
        }
        if self._severities:
            detail["security"] = {severity: self._severities[severity] for severity in SEVERITIES}
        if self._not_run:
            detail["not_run"] = listed(self._not_run)
        return detail


class _Rules:
    """The rules of one run's tool, found as results refer to them: by place, or by id."""

    def __init__(self, tool: _Tool) -> None:
        self._driver = tool.driver.rules or []
        self._extensions = [one.rules or [] for one in tool.extensions or ()]
        self._by_id = {rule.id: rule for rules in (*self._extensions, self._driver) for rule in rules}

    def of(self, result: _Result) -> _Rule | None:
        reference = result.rule or _RuleReference()
        index = reference.index if reference.index is not None else result.rule_index
        rules = self._listed_in(reference.component)
        if index is not None and 0 <= index < len(rules):
            return rules[index]
        # `CA1000/1` is a part of the rule `CA1000`.
        name = reference.id or result.rule_id or ""
        return self._by_id.get(name) or self._by_id.get(name.rpartition("/")[0])

    def _listed_in(self, component: _ComponentReference | None) -> list[_Rule]:
        if component is None or component.index is None:
            return self._driver
        return self._extensions[component.index] if 0 <= component.index < len(self._extensions) else []


def _level_of(result: _Result, rule: _Rule | None) -> Level:
    if result.level is not None:
        return result.level
    configured = rule.configuration.level if rule and rule.configuration else None
    return configured or "warning"


def _severity_of(rule: _Rule | None) -> Severity | None:
    return severity_of_score(rule.properties.severity) if rule and rule.properties else None


def _times_of(log: _Log) -> tuple[datetime | None, datetime | None]:
    invocations = [one for run in log.runs for one in run.invocations or ()]
    started = [moment for one in invocations if (moment := moment_or_none(one.started or ""))]
    ended = [moment for one in invocations if (moment := moment_or_none(one.ended or ""))]
    return min(started, default=None), max(ended, default=None)


def _definition_of(log: _Log) -> str:
    """A digest of which rules of which tools were looked for."""
    looked_for = {
        (component.name, rule.id)
        for run in log.runs
        for component in (run.tool.driver, *(run.tool.extensions or ()))
        for rule in component.rules or ()
    }
    tools = {(run.tool.driver.name, "") for run in log.runs}
    return digest_of_parts([f"{tool}\0{rule}" for tool, rule in sorted(looked_for | tools)] + [VERSION])
