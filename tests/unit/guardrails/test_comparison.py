"""The sequential test: known numbers, no more false alarms than it says however often one looks, and harm found."""

import math
import random
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from greenroom_server.guardrails.comparison import TUNED_FOR, Arm, difference_bound, opposite, opposite_rate

SEED: Final = 20261125
# Looks with every tenth subject, from the smallest sample on: far more of them than a sampler makes in a step.
MIN_SUBJECTS: Final = 100


def rate(subjects: int, did: int) -> Arm:
    return Arm(subjects, did, did)


def test_the_bound_is_that_of_the_closed_form() -> None:
    """1000 against 1080 conversions of 10,000 each, as a fixed-horizon test finds nearly significant."""
    dark, lit = rate(10_000, 1000), rate(10_000, 1080)
    alpha, subjects = 0.025, 20_000
    error = math.sqrt(0.1 * 0.9 / 9_999 + 0.108 * 0.892 / 9_999)
    rho = math.sqrt((-2 * math.log(2 * alpha) + math.log(-2 * math.log(2 * alpha) + 1)) / TUNED_FOR)
    grown = subjects * rho**2 + 1
    width = error * math.sqrt(2 * grown * math.log(1 + math.sqrt(grown) / (2 * alpha)) / (subjects * rho**2))

    bound = difference_bound(lit, dark, alpha=alpha, is_rate=False)

    assert rho == pytest.approx(0.0398401, abs=1e-7)
    assert bound == pytest.approx(0.008 - width, rel=1e-3)
    # The two-sided sequence of twice the alpha is all but the same: 0.0134987.
    assert width == pytest.approx(0.0134987, rel=0.01)
    assert bound < 0 < difference_bound(rate(10_000, 1300), dark, alpha=alpha, is_rate=True)


def test_variances_are_those_of_the_sample() -> None:
    """With the divisor n - 1; one subject has none."""
    values = [1.0, 2.0, 4.0, 9.0]
    arm = Arm(4, sum(values), sum(value**2 for value in values))

    assert arm.variance == pytest.approx(sum((value - 4) ** 2 for value in values) / 3)
    assert (Arm(1, 5.0, 25.0).variance, Arm(0, 0.0, 0.0).mean) == (0.0, 0.0)


def test_few_events_are_not_certain() -> None:
    """Two against none look certain to a variance of nothing, and twenty-nine against none are."""
    none = rate(100, 0)

    assert difference_bound(rate(100, 2), none, alpha=0.01, is_rate=True) < 0
    assert difference_bound(rate(100, 40), none, alpha=0.01, is_rate=True) > 0


def test_a_decrease_is_an_increase_the_other_way_round() -> None:
    """The bound of a decrease of a rate is that of an increase of those who did not; of a mean, of its negative."""
    fewer, more = rate(2_000, 100), rate(2_000, 300)
    turned = difference_bound(opposite_rate(fewer), opposite_rate(more), alpha=0.01, is_rate=True)
    cheap, dear = Arm(500, 1_000.0, 4_000.0), Arm(500, 2_000.0, 9_000.0)

    assert turned == pytest.approx(difference_bound(more, fewer, alpha=0.01, is_rate=True))
    assert difference_bound(opposite(cheap), opposite(dear), alpha=0.01, is_rate=False) == pytest.approx(
        difference_bound(dear, cheap, alpha=0.01, is_rate=False)
    )


@pytest.mark.parametrize("share", [0.002, 0.05, 0.5])
def test_false_alarms_of_rates_are_no_oftener_than_alpha(share: float) -> None:
    """Of runs without any difference, looked at two hundred times each, no more than alpha ever trip."""
    dice = random.Random(SEED)
    runs = 400

    alarms = sum(
        _ever_trips(lambda: float(dice.random() < share), lambda: float(dice.random() < share), True)
        for _ in range(runs)
    )

    # Alpha is 0.05: 20 are expected at most, and more than 32 would be one chance in two hundred.
    assert alarms <= 32


def test_false_alarms_of_means_are_no_oftener_than_alpha() -> None:
    """Of values that are as skewed as what people spend."""
    dice = random.Random(SEED)

    def spent() -> float:
        return dice.lognormvariate(3, 1) if dice.random() < 0.3 else 0.0

    assert sum(_ever_trips(spent, spent, False) for _ in range(400)) <= 32


def test_real_harm_is_found() -> None:
    """A rate of errors that doubles from 5 % is found within 2,000 subjects of each variant, nearly always."""
    dice = random.Random(SEED)
    found = sum(
        _ever_trips(lambda: float(dice.random() < 0.1), lambda: float(dice.random() < 0.05), True) for _ in range(60)
    )

    assert found >= 55


def _ever_trips(lit: Callable[[], float], dark: Callable[[], float], is_rate: bool) -> bool:
    """Whether any of two hundred looks on a growing sample says that the lit variant is worse."""
    return any(
        one.subjects >= MIN_SUBJECTS and difference_bound(one, other, alpha=0.05, is_rate=is_rate) > 0
        for one, other in zip(_growing(lit), _growing(dark), strict=True)
    )


def _growing(draw: Callable[[], float]) -> Iterator[Arm]:
    total = squares = 0.0
    for subjects in range(1, 2_001):
        value = draw()
        total, squares = total + value, squares + value * value
        if subjects % 10 == 0:
            yield Arm(subjects, total, squares)
