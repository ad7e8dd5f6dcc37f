"""The laws of `flags.md`: who is in a rollout or a split, and who moves when a flag is edited."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.evaluation.documents import NOW, clause, flag, rule, snapshot
from tests.unit.evaluation.strategies import examples

from greenroom.evaluation import evaluate, rollout_bucket, split_bucket

percents = st.integers(0, 100_000)
keys = st.text(max_size=12).filter(lambda text: text.isascii())
quick = examples(100)


def is_inside(percent: int, key: str, **members: Any) -> bool:
    """Whether a key is inside a rollout of the percent."""
    rolled = rule(members.pop("id", "r-1"), rollout={"percent": percent, **members})
    loaded = snapshot(flag(rules=[rolled], fallthrough={"variant": "off"}))
    return bool(evaluate(loaded, "f", {"targetingKey": key}, NOW).value)


@quick
@given(low=percents, high=percents, key=keys)
@example(low=0, high=100_000, key="")
def test_raising_a_percent_never_removes_anybody(low: int, high: int, key: str) -> None:
    """Inside at a percent is inside at every greater percent."""
    low, high = sorted((low, high))

    assert is_inside(low, key) <= is_inside(high, key)


@quick
@given(percent=percents, key=keys)
def test_editing_reordering_and_renaming_rules_moves_nobody(percent: int, key: str) -> None:
    """The bucket depends on the group and the key, on nothing else of the rule."""
    rollout = {"percent": percent}
    other = rule("other", when=clause("in", "somebody"))
    orders = (
        [rule("a", rollout=rollout)],
        [rule("b", rollout=rollout)],
        [other, rule("a", rollout=rollout)],
        [rule("a", rollout=rollout), other],
        [rule("a", rollout=rollout, description="edited", when={"not": clause("in", "somebody")})],
        [rule("a", rollout=rollout | {"group": "f", "bucket_by": "targetingKey"})],
    )

    served = {
        evaluate(snapshot(flag(rules=rules, fallthrough={"variant": "off"})), "f", {"targetingKey": key}, NOW).value
        for rules in orders
    }

    assert len(served) == 1


@quick
@given(weights=st.tuples(percents, percents), more=percents, key=keys)
def test_raising_the_first_weight_never_takes_anybody_from_the_first_variant(
    weights: tuple[int, int], more: int, key: str
) -> None:
    """Whoever is served the first variant of a split is served it at every greater weight."""
    low, high = sorted(weights)

    def first(weight: int) -> bool:
        split = [{"variant": "on", "weight": weight}, {"variant": "off", "weight": 100_000 - weight}]
        loaded = snapshot(flag(fallthrough={"split": split}))
        return evaluate(loaded, "f", {"targetingKey": key}, NOW).variant == "on"

    assert first(low) <= first(high)


@quick
@given(percent=st.integers(0, 100), key=keys)
def test_whole_percents_are_the_people_of_unleash(percent: int, key: str) -> None:
    """At a whole percent, inside means Unleash's `h % 100 + 1 <= percent`."""
    unleash = rollout_bucket("f", key) // 1000 + 1

    assert is_inside(percent * 1000, key) == (unleash <= percent)


@pytest.mark.parametrize("bucket_of", [rollout_bucket, split_bucket])
def test_buckets_are_spread_evenly(bucket_of: Any) -> None:
    """Chi-square over 100,000 keys: the coarse hundred and the fine thousand behind it are both even."""
    number = 100_000
    coarse, fine = [0] * 100, [0] * 1000
    for index in range(number):
        bucket = bucket_of("checkout", f"user-{index}")
        assert 0 <= bucket < 100_000
        coarse[bucket // 1000] += 1
        fine[bucket % 1000] += 1

    for cells, critical in ((coarse, 148.2), (fine, 1143.9)):  # p = 0.001 at 99 and 999 degrees of freedom
        expected = number / len(cells)
        assert sum((count - expected) ** 2 / expected for count in cells) < critical


def test_rollout_and_split_are_independent() -> None:
    """Of the people inside half a rollout, half are served each variant of an even split."""
    inside = [index for index in range(20_000) if rollout_bucket("f", str(index)) < 50_000]
    first = sum(split_bucket("f", str(index)) < 50_000 for index in inside)

    assert abs(first / len(inside) - 0.5) < 0.02


def test_two_groups_are_independent() -> None:
    """Being inside one flag's rollout says nothing about another's."""
    inside = [index for index in range(20_000) if rollout_bucket("f", str(index)) < 50_000]
    both = sum(rollout_bucket("g", str(index)) < 50_000 for index in inside)

    assert abs(both / len(inside) - 0.5) < 0.02
