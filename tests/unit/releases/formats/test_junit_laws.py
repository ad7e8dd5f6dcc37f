"""The same run written in several dialects counts the same."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final
from xml.sax.saxutils import quoteattr

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.releases.formats.rig import ABOUT

from greenroom_server.errors import Invalid
from greenroom_server.releases.formats.drafts import Counts
from greenroom_server.releases.formats.junit import read_junit


@dataclass(frozen=True)
class Case:
    name: str
    status: str
    is_flaky: bool


@dataclass(frozen=True)
class Suite:
    name: str
    cases: tuple[Case, ...]


NAMES: Final = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=12,
)
CASES: Final = st.builds(Case, NAMES, st.sampled_from(["passed", "failed", "error", "skipped"]), st.booleans())
SUITES: Final = st.lists(
    st.builds(Suite, NAMES, st.lists(CASES, max_size=6, unique_by=lambda case: case.name).map(tuple)),
    min_size=1,
    max_size=4,
    unique_by=lambda suite: suite.name,
)
CHILDREN: Final = {"passed": "", "failed": "<failure>x</failure>", "error": "<error/>", "skipped": "<skipped/>"}


def surefire(suites: list[Suite]) -> list[str]:
    """A file for each suite; a flaky case has a child of its own."""
    return [
        suite_of(suite, lambda case: "<flakyFailure/>" if case.is_flaky else "", extra=' time="1,234.5"')
        for suite in suites
    ]


def pytest_like(suites: list[Suite]) -> list[str]:
    """One file; a flaky case comes twice."""
    return ["<testsuites>" + "".join(suite_of(suite, again=True) for suite in suites) + "</testsuites>"]


def nested(suites: list[Suite]) -> list[str]:
    """Suites in a suite, prefixed tags, statuses as attributes, counters that lie."""
    inner = "".join(suite_of(suite, again=True, extra=' tests="0" failures="99"') for suite in suites)
    text = f"<testsuite name='all'>{inner}</testsuite>"
    return [text.replace("<testc", "<j:testc").replace("</testc", "</j:testc")]


def suite_of(
    suite: Suite, flaky: Callable[[Case], str] = lambda case: "", *, again: bool = False, extra: str = ""
) -> str:
    parts = []
    for case in suite.cases:
        start = f"<testcase classname={quoteattr(suite.name)} name={quoteattr(case.name)}>"
        if again and case.is_flaky and case.status == "passed":
            parts.append(f"{start}<failure/></testcase>")
        children = CHILDREN[case.status] + (flaky(case) if case.status == "passed" else "")
        parts.append(f"{start}{children}</testcase>")
    return f"<testsuite name={quoteattr(suite.name)}{extra}>{''.join(parts)}</testsuite>"


@given(SUITES)
def test_dialects_agree(suites: list[Suite]) -> None:
    """Whoever wrote the report, the counts are those of the run."""
    cases = [case for suite in suites for case in suite.cases]
    passed, failed, errors, skipped = (
        sum(case.status == status for case in cases) for status in ("passed", "failed", "error", "skipped")
    )
    flaky = sum(case.is_flaky and case.status == "passed" for case in cases)
    expected = Counts(len(cases), passed, failed, errors, skipped, flaky)

    for dialect in (surefire, pytest_like, nested):
        draft = read_junit([text.encode() for text in dialect(suites)], ABOUT)
        assert draft.counts == expected, dialect.__name__
        assert (draft.outcome == "pass") == (passed > 0 and failed == errors == 0)


@given(SUITES, st.randoms(use_true_random=False))
def test_the_order_of_suites_does_not_matter(suites: list[Suite], random: Random) -> None:
    """Files come in any order; counts, outcome and definition stay."""
    texts = [text.encode() for text in surefire(suites)]
    shuffled = list(texts)
    random.shuffle(shuffled)
    one, other = read_junit(texts, ABOUT), read_junit(shuffled, ABOUT)
    assert (one.counts, one.outcome, one.suite_definition_digest) == (
        other.counts,
        other.outcome,
        other.suite_definition_digest,
    )


@given(st.binary(max_size=300) | st.text(st.sampled_from("<>/testcasuiefrn =\"'&;!-[]?"), max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No input makes the reader fail in another way than by a refusal."""
    for report in (data, b"<testsuite>" + data + b"</testsuite>"):
        try:
            read_junit([report], ABOUT)
        except Invalid as refusal:
            code = refusal.code
        else:
            code = ""
        assert code in ("", "evidence_malformed", "evidence_forbidden_construct")
