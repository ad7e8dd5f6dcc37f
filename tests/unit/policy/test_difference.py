"""What another policy would have decided about the same facts."""

from datetime import datetime

from tests.unit.policy.documents import more, rule, shop, without

from greenroom_server.policy.compiled import compile_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.difference import RuleChange, difference
from greenroom_server.policy.fixture_changes import FIXTURES
from greenroom_server.policy.fixtures import Situation, green_build

SHOP = compile_policy(shop(), 7)
TUESDAY = "2026-11-17T10:00:00+01:00"


def situation(fixture: str = "green-build", at: str = TUESDAY) -> Situation:
    _, change = FIXTURES[fixture]
    return change(green_build(SHOP, int(datetime.fromisoformat(at).timestamp() * 1000)))


def test_same_policy_changes_nothing() -> None:
    """Whatever happened is decided the same way again, and counted."""
    cases = [situation(name) for name in FIXTURES]

    found = difference(SHOP, compile_policy(shop(), 8), cases, decide)

    assert found.changed == ()
    assert found.total == len(FIXTURES) == sum(found.verdicts.values())
    assert all(before == after for before, after in found.verdicts)


def test_rule_that_is_new_or_gone() -> None:
    """A decision that changes names the rules that made the difference, and their codes."""
    later = compile_policy(without(shop(), "soak", "freeze"), 8)
    cases = [situation(), situation("just-deployed-before"), situation("red-unit")]

    found, back = difference(SHOP, later, cases, decide), difference(later, SHOP, cases, decide)

    [gone], [new] = found.changed, back.changed
    assert (gone.index, gone.before.verdict, gone.after.verdict) == (1, "wait", "allow")
    assert gone.because == (RuleChange("soak", "pending", None, "soak.short"),)
    assert new.because == (RuleChange("soak", None, "pending", "soak.short"),)
    assert found.verdicts == {("allow", "allow"): 1, ("wait", "allow"): 1, ("deny", "deny"): 1}


def test_rule_that_became_stricter() -> None:
    """Only what holds up under one policy and not under the other is among the reasons."""
    stricter = rule(shop(), "c1-suite", max_attempts=1, max_skipped_percent=0)
    later = compile_policy(more(stricter, kind="evidence", evidence="licence", actions=["deploy"]), 8)

    [changed] = difference(SHOP, later, [situation()], decide).changed

    assert changed.because == (RuleChange("more", None, "pending", "evidence.missing"),)
    assert difference(later, SHOP, [situation("no-approval")], decide).changed == ()


def test_outcome_that_became_worse() -> None:
    """A rule that turned from waiting to refusing is a reason, though it held up before."""
    document = without(shop(), "c3-ilities")
    waits = compile_policy(more(document, kind="evidence", evidence="licence", actions=["deploy"]), 8)
    refuses = compile_policy(more(document, kind="evidence", evidence="sbom", actions=["deploy"]), 9)

    [changed] = difference(waits, refuses, [situation("red-checks")], decide).changed

    assert (changed.before.verdict, changed.after.verdict) == ("wait", "deny")
    assert changed.because == (RuleChange("more", "pending", "fail", "evidence.failed"),)


def test_before_the_first_policy() -> None:
    """Without a policy everything was denied."""
    [changed] = difference(None, SHOP, [situation()], decide).changed

    assert (changed.before.verdict, changed.after.verdict) == ("deny", "allow")
    assert [one.code for one in changed.because] == ["policy.none"]
