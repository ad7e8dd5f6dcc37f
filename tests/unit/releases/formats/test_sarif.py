"""SARIF logs: what counts as a finding, how bad it is, and that a tool which did not run is not a clean one."""

import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from tests.unit.releases.formats.rig import ABOUT, refusing

from greenroom_server.releases.formats.drafts import Counts, EvidenceDraft
from greenroom_server.releases.formats.findings import Threshold
from greenroom_server.releases.formats.limits import DEFAULT, MIB, Limits
from greenroom_server.releases.formats.refusals import Unreadable
from greenroom_server.releases.formats.sarif import read_sarif
from greenroom_server.releases.formats.values import digest_of_bytes

RULES: Final = [
    {"id": "quiet", "defaultConfiguration": {"level": "note"}},
    {"id": "loud", "defaultConfiguration": {"level": "error"}},
    {"id": "plain"},
    {"id": "critical", "properties": {"security-severity": "9.8"}, "defaultConfiguration": {"level": "note"}},
    {"id": "medium", "properties": {"security-severity": 5}, "defaultConfiguration": {"level": "note"}},
]


def log(*results: Any, **run: Any) -> dict[str, Any]:
    made = {"tool": {"driver": {"name": "scan", "rules": RULES}}, "results": list(results)}
    return {"version": "2.1.0", "runs": [made | run]}


def read(made: Any, **options: Any) -> EvidenceDraft:
    return read_sarif(json.dumps(made).encode(), ABOUT, **options)


def levels(made: Any) -> dict[str, int]:
    """How many findings there are of each level, those without any left out."""
    found: dict[str, int] = read(made).detail["findings"]
    return {level: count for level, count in found.items() if count}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"level": "error"}, "error"),
        ({"level": "none"}, "none"),
        ({}, "warning"),
        ({"ruleId": "unknown"}, "warning"),
        ({"ruleId": "plain"}, "warning"),
        ({"ruleId": "loud"}, "error"),
        ({"ruleId": "loud/part"}, "error"),
        ({"ruleIndex": 0}, "note"),
        ({"ruleIndex": 0, "ruleId": "loud"}, "note"),
        ({"ruleIndex": -1, "ruleId": "loud"}, "error"),
        ({"ruleIndex": 99, "ruleId": "loud"}, "error"),
        ({"rule": {"index": 1}}, "error"),
        ({"rule": {"id": "quiet"}}, "note"),
        ({"rule": {"id": "quiet", "toolComponent": {"index": 7}}}, "note"),
        ({"level": "note", "ruleId": "loud"}, "note"),
        ({"kind": "fail", "ruleId": "loud"}, "error"),
    ],
)
def test_the_level_of_a_finding(result: Any, expected: str) -> None:
    """Its own, else its rule's, else a warning; the rule is found by place or by id."""
    assert levels(log(result)) == {expected: 1}


def test_rules_of_extensions() -> None:
    """A result may refer to a rule of another component."""
    extension = {"name": "more", "rules": [{"id": "far", "defaultConfiguration": {"level": "error"}}]}
    tool = {"driver": {"name": "scan"}, "extensions": [extension]}
    by_place = {"rule": {"index": 0, "toolComponent": {"index": 0}}}
    assert levels(log(by_place, {"ruleId": "far"}, tool=tool)) == {"error": 2}


@pytest.mark.parametrize(
    "result",
    [
        {"level": "error", "kind": "pass"},
        {"level": "error", "kind": "review"},
        {"level": "error", "baselineState": "absent"},
        {"level": "error", "suppressions": [{"kind": "inSource"}]},
        {"level": "error", "suppressions": [{"status": "accepted"}, {}]},
    ],
)
def test_what_is_no_finding(result: Any) -> None:
    """Other kinds than `fail`, what is gone, and what was accepted do not count."""
    draft = read(log(result))
    assert levels(log(result)) == {}
    assert draft.outcome == "pass"
    assert draft.detail["suppressed"] == ("suppressions" in result)


@pytest.mark.parametrize(
    "result",
    [
        {"level": "error", "suppressions": []},
        {"level": "error", "suppressions": None},
        {"level": "error", "suppressions": [{"status": "rejected"}]},
        {"level": "error", "suppressions": [{"status": "accepted"}, {"status": "underReview"}]},
        {"level": "error", "baselineState": "unchanged"},
        {"level": "error", "baselineState": "new"},
    ],
)
def test_what_is_a_finding(result: Any) -> None:
    """A suppression that nobody accepted suppresses nothing; old findings are findings."""
    assert read(log(result)).outcome == "fail"


def test_nothing_found_is_green() -> None:
    """An empty list says that the analyser ran; the run is what is counted."""
    draft = read(log())
    assert (draft.outcome, draft.counts) == ("pass", Counts(1, 1, 0, 0, 0))


@pytest.mark.parametrize(
    "run",
    [
        {"results": None},
        {"invocations": [{"executionSuccessful": True}, {"executionSuccessful": False}]},
        {"externalPropertyFileReferences": {"results": [{"location": {"uri": "more.sarif"}}]}},
    ],
)
def test_what_did_not_run_is_not_green(run: Any) -> None:
    """No list, a failed invocation or findings that are kept elsewhere: the log does not say that all is well."""
    draft = read(log(**run))
    assert (draft.outcome, draft.counts) == ("error", Counts(1, 0, 0, 1, 0))
    assert draft.detail["not_run"] == ["scan"]


def test_a_missing_list_is_not_an_empty_one() -> None:
    """A run without `results` did not run."""
    made = log()
    del made["runs"][0]["results"]
    assert read(made).outcome == "error"


def test_several_runs() -> None:
    """Each counts; one with a finding makes the log red, and one that did not run is shown beside it."""
    made = log({"level": "error"})
    made["runs"] += log()["runs"] + log(results=None)["runs"]
    draft = read(made)
    assert (draft.outcome, draft.counts) == ("fail", Counts(3, 1, 1, 1, 0))


def test_no_run_at_all_is_not_green() -> None:
    """An empty log is a fact, and nothing that passed."""
    draft = read({"version": "2.1.0", "runs": []})
    assert (draft.outcome, draft.counts) == ("fail", Counts(0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("threshold", "result", "outcome"),
    [
        (Threshold(), {"level": "warning"}, "pass"),
        (Threshold(), {"ruleId": "critical"}, "pass"),
        (Threshold(level="warning"), {"level": "warning"}, "fail"),
        (Threshold(level="warning"), {"level": "note"}, "pass"),
        (Threshold(level="none"), {"level": "note"}, "fail"),
        (Threshold(level="none"), {"level": "none"}, "pass"),
        (Threshold(severity="high"), {"ruleId": "critical"}, "fail"),
        (Threshold(severity="high"), {"ruleId": "medium"}, "pass"),
        (Threshold(severity="medium"), {"ruleId": "medium"}, "fail"),
        (Threshold(severity="low"), {"ruleId": "quiet"}, "pass"),
    ],
)
def test_thresholds(threshold: Threshold, result: Any, outcome: str) -> None:
    """Red from a level on, or from a security severity on if that is asked for."""
    assert read(log(result), threshold=threshold).outcome == outcome


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("9.0", "critical"),
        ("8.9", "high"),
        ("7", "high"),
        (4.0, "medium"),
        ("0.1", "low"),
        ("0.0", None),
        ("n/a", None),
    ],
)
def test_security_severities(score: Any, expected: str | None) -> None:
    """The score is a text or a number; out of ten, in four parts."""
    tool = {"driver": {"name": "scan", "rules": [{"id": "r", "properties": {"security-severity": score}}]}}
    security = read(log({"ruleId": "r"}, tool=tool)).detail.get("security")
    assert security == (expected and {name: int(name == expected) for name in ("critical", "high", "medium", "low")})


def test_the_rules_that_were_broken() -> None:
    """They are named with how often, the most frequent first, and not more than a hundred."""
    results = [{"ruleId": f"r{number % 150:03}"} for number in range(151)] + [{"ruleId": "two\nlines"}] * 3
    rules = read(log(*results)).detail["rules"]
    assert len(rules) == 100
    assert list(rules.items())[:3] == [("two\N{REPLACEMENT CHARACTER}lines", 3), ("r000", 2), ("r001", 1)]


def test_rules_without_end() -> None:
    """Past a thousand different rules only findings are counted."""
    draft = read(log(*({"ruleId": f"r{number}"} for number in range(2_000))))
    assert draft.detail["findings"]["warning"] == 2_000


def test_times_come_from_the_invocations() -> None:
    """The first start and the last end, unless the sender says otherwise."""
    invocations = [
        {"executionSuccessful": True, "startTimeUtc": "2026-11-20T11:00:00Z", "endTimeUtc": "2026-11-20T11:05:00Z"},
        {"executionSuccessful": True, "startTimeUtc": "2026-11-20T10:00:00Z", "endTimeUtc": "soon"},
    ]
    draft = read(log(invocations=invocations))
    assert draft.started_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert draft.finished_at == datetime(2026, 11, 20, 11, 5, tzinfo=UTC)


def test_the_definition_changes_with_the_rules() -> None:
    """Fewer rules are another suite; other findings are not."""
    fewer = {"driver": {"name": "scan", "rules": RULES[1:]}}
    definition = read(log()).suite_definition_digest
    assert read(log({"level": "error"})).suite_definition_digest == definition
    assert read(log(tool=fewer)).suite_definition_digest != definition


def test_a_byte_order_mark() -> None:
    """Tools of .NET write one; the digest is of what was sent."""
    data = b"\xef\xbb\xbf" + json.dumps(log()).encode()
    assert read_sarif(data, ABOUT).attachment_digest == digest_of_bytes(data)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        ([], ""),
        ({"version": "2.1.0"}, "/runs"),
        (log(tool={}), "/runs/0/tool/driver"),
        (log(results={}), "/runs/0/results"),
        (log({}, "none"), "/runs/0/results/1"),
        (log({"level": "fatal"}), "/runs/0/results/0/level"),
        (log({"suppressions": [{"status": "maybe"}]}), "/runs/0/results/0/suppressions/0/status"),
        (log(invocations=[{"executionSuccessful": "yes"}]), "/runs/0/invocations/0/executionSuccessful"),
    ],
)
def test_what_is_no_log(made: Any, field: str) -> None:
    """A word that is not understood is refused, since it could mean that something was found."""
    with refusing("evidence_malformed", field=field):
        read(made)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"version": NaN}', b"[" * 2_000])
def test_what_is_no_json(data: bytes) -> None:
    """Truncated or otherwise broken JSON is refused."""
    with refusing("evidence_malformed"):
        read_sarif(data, ABOUT)


def test_another_version() -> None:
    """Version 2.0 has other words for the same."""
    with refusing("evidence_unknown_format", field="/version"):
        read(log() | {"version": "2.0.0"})


@pytest.mark.parametrize(
    ("piece", "count"),
    [(b"[],", 3_000_000), (b'{"a":0},', 1_500_000), (b'"",', 4_000_000), (b'"["', 4_000_000)],
)
def test_many_nodes_are_refused_before_they_are_made(piece: bytes, count: int) -> None:
    """A log that would take hundreds of MiB as objects is refused by counting its bytes."""
    data = b'{"version": "2.1.0", "runs": [' + piece * count + b"0]}"
    tracemalloc.start()
    try:
        with refusing("evidence_too_large", limit="json_nodes"):
            read_sarif(data, ABOUT)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("piece", [b'\\"', b"\\\\", b'"\\'])
def test_counting_looks_once(piece: bytes) -> None:
    """Texts without an end, with quotes that are none, do not make it start over from each of them."""
    data = b'{"version": "2.1.0", "runs": ["' + piece * 2_000_000 + b"," * 300_001
    with pytest.raises(Unreadable):
        read_sarif(data, ABOUT)


def test_brackets_in_texts_are_no_nodes() -> None:
    """Messages may be about JSON."""
    text = '[{",\\"' * 20_000
    assert read(log({"message": {"text": text}}), limits=Limits(json_nodes=100)).outcome == "pass"


def test_the_largest_log_fits_into_memory() -> None:
    """As many findings as are read take less than what a report may."""
    count = (DEFAULT.json_nodes - 60) // 2
    data = b'{"version":"2.1.0","runs":[{"tool":{"driver":{}},"results":[{"a":0}' + b',{"a":0}' * (count - 1) + b"]}]}"
    tracemalloc.start()
    try:
        assert read_sarif(data, ABOUT).detail["findings"]["warning"] == count
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()


def test_a_long_log() -> None:
    """Past the bytes that are read, a log is not looked at."""
    with refusing("evidence_too_large", limit="total_bytes"):
        read(log(), limits=Limits(total_bytes=20))
