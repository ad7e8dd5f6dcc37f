"""What another policy would have decided: recorded situations, decided by both, side by side."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decision import Decision, Outcome, RuleResult, Verdict
from greenroom_server.policy.findings import BLOCKING
from greenroom_server.policy.fixtures import Situation
from greenroom_server.policy.testing import Decide


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that holds up under one policy and not under the other; None where a policy does not have it."""

    rule: str
    before: Outcome | None
    after: Outcome | None
    code: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A decision that comes out otherwise. `index` is the situation's place among those that were given."""

    index: int
    before: Decision
    after: Decision
    because: tuple[RuleChange, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """`verdicts` counts all situations by (before, after), those that stay the same too."""

    total: int
    verdicts: dict[tuple[Verdict, Verdict], int]
    changed: tuple[Changed, ...]


def difference(before: Policy | None, after: Policy, situations: Iterable[Situation], decide: Decide) -> Difference:
    """Each situation is decided by both policies at its own moment; None is that no policy was in force."""
    verdicts: Counter[tuple[Verdict, Verdict]] = Counter()
    changed: list[Changed] = []
    for index, one in enumerate(situations):
        old = decide(one.snapshot, one.request, before, one.now)
        new = decide(one.snapshot, one.request, after, one.now)
        verdicts[old.verdict, new.verdict] += 1
        if old.verdict != new.verdict:
            changed.append(Changed(index, old, new, _because(old, new)))
    return Difference(verdicts.total(), dict(verdicts), tuple(changed))


def _because(old: Decision, new: Decision) -> tuple[RuleChange, ...]:
    """By id; the code is of the policy under which the rule holds up."""
    before, after = ({one.id: one for one in decision.rules} for decision in (old, new))
    changes = (_change(rule, before.get(rule), after.get(rule)) for rule in sorted(before.keys() | after.keys()))
    return tuple(change for change in changes if change)


def _change(rule: str, before: RuleResult | None, after: RuleResult | None) -> RuleChange | None:
    was, is_now = (None if one is None else one.finding.outcome for one in (before, after))
    telling = after if is_now in BLOCKING else before
    if was == is_now or telling is None or telling.finding.outcome not in BLOCKING:
        return None
    return RuleChange(rule, was, is_now, telling.finding.code)
