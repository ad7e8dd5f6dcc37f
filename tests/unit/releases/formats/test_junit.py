"""JUnit reports of every dialect are counted by their cases, never by what they say about themselves."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from tests.unit.releases.formats.rig import ABOUT, DIGEST, refusing

from greenroom_server.releases.formats.drafts import Counts, EvidenceDraft, Run, Subject
from greenroom_server.releases.formats.junit import read_junit
from greenroom_server.releases.formats.limits import Limits
from greenroom_server.releases.formats.values import digest_of_bytes

REPORTS: Final = Path(__file__).parent / "junit"
GREEN: Final = '<testcase classname="C" name="green"/>'
RED: Final = '<testcase classname="C" name="red"><failure message="m">text</failure></testcase>'


def read(*reports: str) -> EvidenceDraft:
    return read_junit([report.encode() for report in reports], ABOUT)


def suite(*cases: str, name: str = "s") -> str:
    return f'<testsuite name="{name}">{"".join(cases)}</testsuite>'


def numbers(draft: EvidenceDraft) -> tuple[int, int, int, int, int]:
    """Passed, failed, errors, skipped, flaky; the total is always their sum, flaky ones being counted already."""
    counts = draft.counts
    assert counts is not None
    assert counts.total == counts.passed + counts.failed + counts.errors + counts.skipped
    return counts.passed, counts.failed, counts.errors, counts.skipped, counts.flaky


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("pytest.xml", Counts(total=12, passed=6, failed=2, errors=2, skipped=2, flaky=0)),
        ("node-test.xml", Counts(total=6, passed=2, failed=2, errors=0, skipped=2, flaky=0)),
        ("surefire-flaky.xml", Counts(total=2, passed=1, failed=1, errors=0, skipped=0, flaky=1)),
    ],
)
def test_reports_of_real_runners(file: str, expected: Counts) -> None:
    """What pytest, node:test and surefire wrote is counted as a person would."""
    draft = read_junit([(REPORTS / file).read_bytes()], ABOUT)
    assert draft.counts == expected
    assert draft.outcome == "fail"


def test_what_the_sender_says_is_in_the_draft() -> None:
    """Kind, suite, subject and run are not in a report, so they are the sender's; the digest is of the bytes."""
    report = suite(GREEN)
    draft = read(report)
    assert (draft.kind, draft.suite, draft.run) == ("test.unit", "unit", Run("build-7", 2))
    assert draft.subject == Subject(digest=DIGEST)
    assert draft.attachment_digest == digest_of_bytes(report.encode())
    assert (draft.outcome, draft.verified_by) == ("pass", None)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ('<testcase name="a"/>', (1, 0, 0, 0, 0)),
        ('<testcase name="a"><failure/></testcase>', (0, 1, 0, 0, 0)),
        ('<testcase name="a"><error/></testcase>', (0, 0, 1, 0, 0)),
        ('<testcase name="a"><skipped/></testcase>', (0, 0, 0, 1, 0)),
        ('<testcase name="a"><failure/><error/></testcase>', (0, 0, 1, 0, 0)),
        ('<testcase name="a"><skipped/><failure/></testcase>', (0, 1, 0, 0, 0)),
        ('<testcase name="a"><flakyFailure/></testcase>', (1, 0, 0, 0, 1)),
        ('<testcase name="a"><flakyError/><flakyFailure/></testcase>', (1, 0, 0, 0, 1)),
        ('<testcase name="a"><failure/><rerunFailure/></testcase>', (0, 1, 0, 0, 0)),
        ('<testcase name="a"><rerunFailure/></testcase>', (0, 1, 0, 0, 0)),
        ('<testcase name="a"><rerunError/></testcase>', (0, 0, 1, 0, 0)),
        ('<testcase name="a"><failure/><flakyFailure/></testcase>', (0, 1, 0, 0, 0)),
        ('<testcase name="a" failure="node:test"/>', (0, 1, 0, 0, 0)),
        ('<testcase name="a" failure="x"><skipped type="todo"/><failure/></testcase>', (0, 0, 0, 1, 0)),
        ('<testcase name="a" status="notrun" result="suppressed"/>', (0, 0, 0, 1, 0)),
        ('<testcase name="a" status="run" result="completed"/>', (1, 0, 0, 0, 0)),
        ('<testcase name="a" status="fail"/>', (0, 1, 0, 0, 0)),
        ('<testcase name="a" status="broken"/>', (0, 0, 1, 0, 0)),
        ('<testcase name="a"><system-out><failure/></system-out></testcase>', (1, 0, 0, 0, 0)),
        ('<j:testcase xmlns:j="urn:j" name="a"><j:failure/></j:testcase>', (0, 1, 0, 0, 0)),
    ],
)
def test_how_one_case_went(case: str, expected: tuple[int, int, int, int, int]) -> None:
    """The children decide; what went wrong goes before what was skipped, and flaky is only what passed in the end."""
    assert numbers(read(suite(case))) == expected


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        (["", "<failure/>"], (0, 1, 0, 0, 1)),
        (["<failure/>", ""], (1, 0, 0, 0, 1)),
        (["<failure/>", "<error/>"], (0, 0, 1, 0, 0)),
        (["", ""], (1, 0, 0, 0, 0)),
        (["<failure/>", "<failure/>", ""], (1, 0, 0, 0, 1)),
        (["<failure/>", "<skipped/>"], (0, 1, 0, 0, 0)),
        (["<skipped/>", ""], (1, 0, 0, 0, 0)),
        (["<skipped/>", "<skipped/>"], (0, 0, 0, 1, 0)),
    ],
)
def test_a_case_that_comes_again_was_rerun(attempts: list[str], expected: tuple[int, int, int, int, int]) -> None:
    """The last attempt counts; flaky if it passed once and went wrong once; being skipped is no attempt."""
    cases = [f'<testcase classname="C" name="a">{attempt}</testcase>' for attempt in attempts]
    assert numbers(read(suite(*cases))) == expected


@pytest.mark.parametrize(
    "reports",
    [
        [suite(RED, name="one") + suite(RED.replace("<failure message", "<x message").replace("/failure", "/x"))],
        [
            '<testsuite name="s" hostname="a">'
            + RED
            + '</testsuite><testsuite name="s" hostname="b">'
            + GREEN
            + "</testsuite>"
        ],
    ],
)
def test_the_same_name_elsewhere_is_another_case(reports: list[str]) -> None:
    """A green case in another suite or on another host does not cover a red one."""
    assert numbers(read(f"<testsuites>{reports[0]}</testsuites>")) == (1, 1, 0, 0, 0)


def test_the_same_name_in_another_file_is_another_case() -> None:
    """Files are parts of one run, such as the versions of a matrix; green in one does not cover red in another."""
    now_green = '<testcase classname="C" name="red"/>'
    assert numbers(read(suite(RED), suite(now_green))) == (1, 1, 0, 0, 0)
    assert numbers(read(suite(now_green), suite(RED))) == (1, 1, 0, 0, 0)


def test_cases_without_a_name_are_never_reruns() -> None:
    """Nothing tells them apart, so none of them hides another."""
    assert numbers(read(suite("<testcase/>", "<testcase><failure/></testcase>", "<testcase/>"))) == (2, 1, 0, 0, 0)


def test_suites_in_suites_and_cases_under_the_root() -> None:
    """A case counts at any depth."""
    deep = "<testsuite>" * 20 + RED + "</testsuite>" * 20
    assert numbers(read(f"<testsuites>{GREEN}{deep}</testsuites>")) == (1, 1, 0, 0, 0)


def test_a_case_as_the_root() -> None:
    """A file with nothing around its only case is read."""
    assert numbers(read(GREEN)) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize("tag", ["testsuite", "testsuites"])
def test_a_suite_that_could_not_be_loaded(tag: str) -> None:
    """What went wrong outside of all cases is an error, though the counters say that all is well."""
    draft = read(f'<{tag} name="broken" tests="1" errors="0"><error message="import"/>{GREEN}</{tag}>')
    assert numbers(draft) == (1, 0, 1, 0, 0)
    assert (draft.outcome, draft.detail["errors"]) == ("error", ["broken"])


@pytest.mark.parametrize(
    "report", ["<testsuites/>", "<testsuite tests='9' failures='0'/>", "<testsuites><x/></testsuites>"]
)
def test_no_case_at_all_is_a_fact_and_not_green(report: str) -> None:
    """An empty report is read, has a total of zero, and did not pass."""
    draft = read(report)
    assert (draft.outcome, draft.counts) == ("fail", Counts(0, 0, 0, 0, 0))
    assert draft.suite_definition_digest is None


def test_only_skipped_is_not_green() -> None:
    """Where nothing ran, nothing passed."""
    draft = read(suite('<testcase name="a"><skipped/></testcase>'))
    assert (draft.outcome, numbers(draft)) == ("fail", (0, 0, 0, 1, 0))


def test_the_counters_of_a_report_are_not_looked_at() -> None:
    """A forged total changes nothing."""
    honest = read(suite(GREEN, RED))
    forged = read(f'<testsuite name="s" tests="900" failures="0" errors="-4" skipped="x">{GREEN}{RED}</testsuite>')
    assert forged.counts == honest.counts


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("1,234.5", 1_234_500),
        ("0.0015", 2),
        ("", 0),
        ("NaN", 0),
        ("-1", 0),
        ("1e9", 0),
        ("9" * 30, 0),
        ("1,000,000", 10**9),
    ],
)
def test_how_long_a_case_took(time: str, expected: int) -> None:
    """Thousands are separated by some; what is no number of seconds counts as none."""
    assert read(suite(f'<testcase name="a" time="{time}"/>')).detail["duration_ms"] == expected


def test_when_it_began() -> None:
    """The earliest moment with an offset; local times say nothing, and what the sender says goes before."""
    times = ["2026-11-20T10:00:00", "2026-11-20T12:00:00+01:00", "2026-11-20T11:30:00Z", "yesterday"]
    report = "".join(f'<testsuite timestamp="{time}"/>' for time in times)
    assert read(f"<testsuites>{report}</testsuites>").started_at == datetime(2026, 11, 20, 11, tzinfo=UTC)
    assert read('<testsuite timestamp="2026-11-20T10:00:00"/>').started_at is None


def test_the_names_of_what_went_wrong() -> None:
    """They are listed by class and name, without control characters, cut when long."""
    draft = read(
        suite(
            RED,
            '<testcase name="broken&#10;here"><error/></testcase>',
            '<testcase classname="C" name="f"><flakyFailure/></testcase>',
            f'<testcase name="{"x" * 1000}"><failure/></testcase>',
            GREEN,
        )
    )
    assert draft.detail["failed"][0] == "C.red"
    assert len(draft.detail["failed"][1]) == 300
    assert draft.detail["errors"] == ["broken\N{REPLACEMENT CHARACTER}here"]
    assert draft.detail["flaky"] == ["C.f"]


def test_the_lists_of_names_are_bounded() -> None:
    """All of ten thousand red cases are counted, and a hundred of them named."""
    draft = read(suite(*(f'<testcase name="{number}"><failure/></testcase>' for number in range(10_000))))
    assert numbers(draft) == (0, 10_000, 0, 0, 0)
    assert len(draft.detail["failed"]) == 100


def test_a_rerun_that_passed_is_not_listed_as_failed() -> None:
    """It is listed as flaky only."""
    detail = read(suite(RED, '<testcase classname="C" name="red"/>')).detail
    assert detail["flaky"] == ["C.red"]
    assert "failed" not in detail


def test_the_definition_changes_with_the_cases_only() -> None:
    """The same cases in another order, number of files, on another host or with another outcome are the same suite."""
    other = '<testcase classname="C" name="other"/>'
    definition = read(suite(GREEN, other)).suite_definition_digest
    assert definition is not None
    assert read(suite(other, GREEN)).suite_definition_digest == definition
    assert read(suite(other), suite(GREEN)).suite_definition_digest == definition
    assert (
        read(suite(other, GREEN).replace("<testsuite", "<testsuite hostname='h'")).suite_definition_digest == definition
    )
    assert read(suite(other.replace("/>", "><failure/></testcase>"), GREEN)).suite_definition_digest == definition
    assert read(suite(GREEN)).suite_definition_digest != definition
    assert read(suite(GREEN, other, name="t")).suite_definition_digest != definition


def test_several_files_are_one_piece_of_evidence() -> None:
    """Surefire writes a file for each class; their cases are added up, and the digest is over all of them."""
    draft = read(suite(GREEN), suite(RED), suite())
    assert numbers(draft) == (1, 1, 0, 0, 0)
    assert draft.detail["files"] == 3
    digests = [digest_of_bytes(report.encode()) for report in (suite(GREEN), suite(RED), suite())]
    assert draft.attachment_digest == digest_of_bytes("".join(f"{one}\n" for one in digests).encode())


def test_no_file_at_all() -> None:
    """Nothing sent is refused, unlike a report without cases."""
    with refusing("evidence_malformed"):
        read_junit([], ABOUT)


def test_a_refusal_names_the_file() -> None:
    """Of several files, the pointer says which one cannot be read."""
    with refusing("evidence_malformed", field="/1"):
        read(suite(GREEN), "<testsuite>")


@pytest.mark.parametrize("report", ["<html/>", "<checkstyle><file/></checkstyle>"])
def test_what_is_no_junit_report(report: str) -> None:
    """Another format is refused, naming its root, rather than read as an empty report."""
    with refusing("evidence_malformed"):
        read(report)


def test_an_unknown_root_around_cases() -> None:
    """Some tools wrap their suites; where cases are found, they count."""
    assert numbers(read(f"<run>{suite(GREEN)}</run>")) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(files=1), "files"),
        (Limits(total_bytes=100), "total_bytes"),
        (Limits(xml_elements=3), "xml_elements"),
        (Limits(report_groups=1), "report_groups"),
    ],
)
def test_limits_count_over_all_files(limits: Limits, limit: str) -> None:
    """Two files that are each within a limit are refused together."""
    report = suite(GREEN, "<properties/>").encode()
    with refusing("evidence_too_large", limit=limit):
        read_junit([report, report], ABOUT, limits=limits)


def test_at_a_limit() -> None:
    """What a limit allows is read."""
    report = suite(GREEN).encode()
    draft = read_junit([report], ABOUT, limits=Limits(files=1, total_bytes=len(report), xml_elements=2, xml_depth=2))
    assert draft.outcome == "pass"
