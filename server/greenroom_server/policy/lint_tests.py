"""Whether the tests in a document can be run."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from greenroom_server.policy.codes import CODES
from greenroom_server.policy.document import ApprovalRule, EvidenceRule, PolicyDocument, PolicyTest, TestFacts
from greenroom_server.policy.fixture_changes import FIXTURES
from greenroom_server.policy.fixtures import REHEARSAL
from greenroom_server.policy.lint_calendars import unreadable
from greenroom_server.policy.lint_names import unknown
from greenroom_server.policy.remarks import Remark, path_of
from greenroom_server.policy.zones import read_moment, zone_of

NO_POLICY: Final = "policy.none"


def test_remarks(document: PolicyDocument) -> Iterator[Remark]:
    """Errors in single tests; warnings where there are none, or none that shows that something is held up."""
    if not document.tests:
        text = "there are no tests: add one that must be allowed, and one for each rule that you rely on"
        yield Remark("/tests", text, "warning")
    elif all(test.expect == "allow" for test in document.tests):
        yield Remark("/tests", "no test expects `wait` or `deny`, so that a rule that is lost breaks none", "warning")
    seen: set[str] = set()
    for index, test in enumerate(document.tests):
        path = path_of("tests", index)
        if test.name in seen:
            yield Remark(f"{path}/name", f"`{test.name}` is the name of another test")
        seen.add(test.name)
        yield from _in_test(path, test, document)


def _in_test(path: str, test: PolicyTest, document: PolicyDocument) -> Iterator[Remark]:
    yield from unknown(f"{path}/fixture", test.fixture, FIXTURES, "fixture")
    yield from unreadable(f"{path}/at", _moment, test.at)
    if test.because:
        yield from _because(f"{path}/because", test.because, test)
    if test.because != NO_POLICY:
        yield from unknown(f"{path}/to", test.to, document.environments, "environment")
    if test.facts:
        yield from _in_facts(f"{path}/facts", test.facts, document)


def _because(path: str, code: str, test: PolicyTest) -> Iterator[Remark]:
    if test.expect == "allow":
        yield Remark(path, "nothing holds up what is allowed: leave `because` out, or expect `wait` or `deny`")
    if code not in CODES:
        close = get_close_matches(code, CODES, 1)
        yield Remark(path, f"no rule ever answers with `{code}`" + (f"; did you mean `{close[0]}`?" if close else ""))


def _in_facts(path: str, facts: TestFacts, document: PolicyDocument) -> Iterator[Remark]:
    """A change of what is not there would change nothing, and the test would show nothing."""
    yield from unreadable(f"{path}/scheduled_for", _moment, facts.scheduled_for)
    approvals = {rule.role for rule in document.rules if isinstance(rule, ApprovalRule)}
    for name, given, known, noun in (
        ("evidence", facts.evidence, _evidence(document), "suite or evidence"),
        ("approvals", facts.approvals, approvals, "approval by role"),
        ("deployments", facts.deployments, set(document.environments), "environment"),
    ):
        for key in given:
            yield from unknown(f"{path}/{name}{path_of(key)}", key, known, noun)


def _evidence(document: PolicyDocument) -> set[str]:
    """By what the evidence of a fixture is told apart."""
    names = set(document.suites)
    for rule in document.rules:
        if isinstance(rule, EvidenceRule):
            names.update(rule.all_of or (), (rule.evidence,) if rule.evidence else ())
    return names - {REHEARSAL}


def _moment(text: str) -> object:
    # That the zone is known is told elsewhere, and every zone reads the same times.
    return read_moment(text, zone_of("UTC"))
