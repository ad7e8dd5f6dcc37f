"""Tests that a policy brings along: what they start from, change, and report."""

from typing import Any

import pytest
from tests.unit.policy.documents import rule, shop

from greenroom_server.policy.compiled import compile_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.fixture_changes import FIXTURES
from greenroom_server.policy.initial import TEMPLATES, render_template
from greenroom_server.policy.testing import run_tests
from greenroom_server.web.yaml_codec import read_yaml

NOON = "2026-11-17T12:00"


def verdict(fixture: str, action: str = "deploy", **test: Any) -> tuple[str, tuple[str, ...]]:
    """What the guide's policy decides in a test, and the codes of what holds it up."""
    made = {"name": "a", "fixture": fixture, "at": NOON, "action": action, "to": "production", "expect": "wait", **test}
    [result] = run_tests(compile_policy({**shop(), "tests": [made]}, 7), decide)
    return result.decided, result.codes


@pytest.mark.parametrize("environments", [("staging", "production"), ("dev", "test", "uat", "live")])
@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_pass_their_own_tests(template: str, environments: tuple[str, ...]) -> None:
    """What a template promises is what is decided."""
    text = render_template(template, name="shop", time_zone="America/New_York", environments=environments)

    results = run_tests(compile_policy(read_yaml(text.encode(), nodes=10_000), 1), decide)

    assert [one.failure for one in results if not one.has_passed] == []


def test_the_guide_passes_its_own_test() -> None:
    """The result names what was expected, decided, and why."""
    [result] = run_tests(compile_policy(shop(), 7), decide)

    assert (result.name, result.expected, result.decided) == ("friday noon is closed", "wait", "wait")
    assert (result.codes, result.failure, result.has_passed) == (("calendar.closed",), "", True)


def test_what_a_failure_says() -> None:
    """Another verdict, another reason, and no reason at all are told apart."""
    tests = [
        {"name": "verdict", "expect": "deny"},
        {"name": "reason", "expect": "wait", "because": "evidence.missing"},
        {"name": "nothing", "expect": "wait", "at": NOON},
    ]
    given = {"fixture": "green-build", "at": "2026-11-20T12:00", "action": "deploy", "to": "production"}
    policy = compile_policy({**shop(), "tests": [{**given, **one} for one in tests]}, 7)

    assert [one.failure for one in run_tests(policy, decide)] == [
        "expected `deny`, decided `wait`: `calendar.closed`",
        "decided `wait` as expected, but not because of `evidence.missing`: `calendar.closed`",
        "expected `wait`, decided `allow`: no rule in the way",
    ]


@pytest.mark.parametrize("action", ["deploy", "switch", "release", "darken", "rollback"])
def test_green_build_may_do_everything(action: str) -> None:
    """Of the fixture that the others start from, nothing is held up."""
    assert verdict("green-build", action) == ("allow", ())


@pytest.mark.parametrize(
    ("fixture", "action", "expected", "code"),
    [
        ("red-unit", "deploy", "deny", "evidence.failed"),
        ("red-component", "deploy", "deny", "evidence.failed"),
        ("red-acceptance", "release", "deny", "evidence.failed"),
        ("no-acceptance", "deploy", "wait", "evidence.missing"),
        ("no-suites", "deploy", "wait", "evidence.missing"),
        ("empty-suites", "deploy", "deny", "evidence.empty"),
        ("skipped-tests", "deploy", "deny", "skipped_ratio"),
        ("other-build-tested", "deploy", "wait", "evidence.missing"),
        ("stale-evidence", "deploy", "wait", "evidence.stale"),
        ("red-checks", "deploy", "deny", "evidence.failed"),
        ("no-checks", "release", "wait", "evidence.missing"),
        ("no-demo", "release", "wait", "demo.missing"),
        ("demo-of-another-build", "release", "wait", "demo.wrong_build"),
        ("unfinished-dark", "deploy", "allow", ""),
        ("unfinished-lit", "deploy", "deny", "flag.not_dark"),
        ("unfinished-flag-missing", "deploy", "deny", "flag.missing"),
        ("unfinished-without-flag", "deploy", "deny", "story.no_flag"),
        ("manual-deployment", "deploy", "deny", "button.manual"),
        ("slow-deployment", "release", "deny", "button.slow"),
        ("not-deployed-before", "deploy", "wait", "order.not_deployed"),
        ("just-deployed-before", "deploy", "wait", "soak.short"),
        ("older-than-live", "deploy", "deny", "order.older_than_live"),
        ("no-approval", "deploy", "wait", "approval.missing"),
        ("own-approval", "deploy", "wait", "approval.not_independent"),
        ("rejected", "release", "deny", "approval.rejected"),
        ("stale-approval", "deploy", "wait", "approval.expired"),
        ("obstacle", "switch", "wait", "obstacle.open"),
        ("incident", "deploy", "wait", "soak.incident"),
        ("veto", "deploy", "deny", "veto"),
        ("busy", "deploy", "wait", "busy"),
        ("drift", "release", "wait", "parity.drift"),
        ("built-elsewhere", "deploy", "deny", "provenance.builder"),
        ("no-provenance", "deploy", "wait", "provenance.missing"),
        ("unhealthy", "deploy", "allow", ""),
    ],
)
def test_fixture_by_name(fixture: str, action: str, expected: str, code: str) -> None:
    """Each fixture is held up by what its name says, if the policy has a rule about it."""
    decided, codes = verdict(fixture, action)

    assert (decided, code in codes or not code) == (expected, True), codes


def test_every_fixture_is_tried() -> None:
    """None is left out above, and each says what it changes."""
    [mark] = test_fixture_by_name.pytestmark  # type: ignore[attr-defined]

    assert {case[0] for case in mark.args[1]} | {"green-build"} == FIXTURES.keys()
    assert all(description for description, _ in FIXTURES.values())


def test_unhealthy_where_a_rule_asks() -> None:
    """A fixture that no rule of the guide looks at is held up by one that does."""
    health = {"id": "health", "kind": "health", "actions": ["deploy"], "sources": ["slo"], "max_age": "10m"}
    test = {"name": "a", "fixture": "unhealthy", "at": NOON, "action": "deploy", "to": "production", "expect": "deny"}
    document = {**shop(), "rules": [*shop()["rules"], health], "tests": [test, {**test, "name": "b"}]}

    assert run_tests(compile_policy(document, 1), decide)[0].codes == ("health.unhealthy",)


@pytest.mark.parametrize(
    ("facts", "expected", "code"),
    [
        ({"evidence": {"acceptance": {"age": "14d"}}}, "wait", "evidence.stale"),
        ({"evidence": {"acceptance": {"age": "13d"}}}, "allow", ""),
        ({"evidence": {"acceptance": {"is_missing": True}}}, "wait", "evidence.missing"),
        ({"evidence": {"acceptance": {"total": 0}}}, "deny", "evidence.empty"),
        ({"evidence": {"acceptance": {"total": 100, "skipped": 2}}}, "allow", ""),
        ({"evidence": {"acceptance": {"skipped": 60}}}, "deny", "skipped_ratio"),
        ({"evidence": {"acceptance": {"attempt": 3}}}, "deny", "evidence.attempts"),
        ({"evidence": {"test.security": {"outcome": "fail"}}}, "deny", "evidence.failed"),
        ({"approvals": {"product": {"age": "72h"}}}, "wait", "approval.expired"),
        ({"approvals": {"product": {"is_missing": True}}}, "wait", "approval.missing"),
        ({"approvals": {"product": {"verdict": "reject"}}}, "deny", "approval.rejected"),
        ({"approvals": {"product": {"person": "ada@example.com"}}}, "wait", "approval.not_independent"),
        ({"deployments": {"staging": {"age": "24h"}}}, "allow", ""),
        ({"deployments": {"staging": {"age": "23h59m59s999ms"}}}, "wait", "soak.short"),
        ({"deployments": {"staging": {"is_missing": True}}}, "wait", "order.not_deployed"),
        ({"deployments": {"staging": {"manual_steps": 1}}}, "deny", "button.manual"),
        ({"deployments": {"staging": {"duration": "10m1ms"}}}, "deny", "button.slow"),
        ({"scheduled_for": "2026-11-20T12:00"}, "wait", "calendar.closed"),
    ],
)
def test_facts_of_a_test(facts: dict[str, Any], expected: str, code: str) -> None:
    """A test may change evidence, approvals and deployments, to the millisecond."""
    decided, codes = verdict("green-build", facts=facts)

    assert (decided, code in codes or not code) == (expected, True), codes


def test_facts_of_a_deployment_that_waits_for_the_switch() -> None:
    """A build that has no traffic has none at another age either."""
    facts = {"deployments": {"production": {"age": "2h"}}}

    assert verdict("green-build", "switch", facts=facts) == ("allow", ())


def test_mode_of_a_test() -> None:
    """In mode deployment nobody has to approve."""
    assert verdict("no-approval", mode="deployment") == ("allow", ())


def test_suite_that_must_run_where_nothing_ran() -> None:
    """Evidence without an environment is not evidence from the one that a suite wants."""
    document = rule(shop(), "c1-suite", max_attempts=None)
    document["suites"]["unit"]["environment"] = {"keys": ["production"]}
    test = {"name": "a", "fixture": "green-build", "at": NOON, "action": "deploy", "to": "production", "expect": "wait"}

    [result] = run_tests(compile_policy({**document, "tests": [test]}, 1), decide)

    assert result.codes == ("evidence.missing",)
