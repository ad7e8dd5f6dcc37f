"""Is the lit variant worse than the dark one? A test that holds however often it is looked at. Pure.

An asymptotic confidence sequence for the difference of two means (Waudby-Smith et al., "Time-uniform central limit
theory and asymptotic confidence sequences"; the closed form is that of GrowthBook's sequential test): with probability
1 - alpha the true difference never, at no look, lies under the bound. It is one-sided, because only harm counts.
"""

import math
from dataclasses import dataclass
from typing import Final

# The number of subjects at which the bound is at its narrowest; chosen once, before any data.
TUNED_FOR: Final = 5_000


@dataclass(frozen=True, slots=True)
class Arm:
    """What one variant's subjects did: how many they are, the sum of what each did, and the sum of the squares."""

    subjects: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        return self.total / self.subjects if self.subjects else 0.0

    @property
    def variance(self) -> float:
        """Of a subject, as the sample estimates it."""
        if self.subjects < 2:
            return 0.0
        spread = self.squares - self.subjects * self.mean**2
        return max(0.0, spread / (self.subjects - 1))


def difference_bound(lit: Arm, dark: Arm, *, alpha: float, is_rate: bool) -> float:
    """What the lit mean is at least above the dark one, at every look; both arms must have subjects.

    Of a rate the variance is the larger one of what was seen and of what both arms together, with a success and a
    failure more, would have: few events, or none in one arm, would otherwise look more certain than they are.
    """
    squared_error = lit.variance / lit.subjects + dark.variance / dark.subjects
    if is_rate:
        subjects = lit.subjects + dark.subjects
        rate = (lit.total + dark.total + 1) / (subjects + 2)
        squared_error = max(squared_error, rate * (1 - rate) * (1 / lit.subjects + 1 / dark.subjects))
    return lit.mean - dark.mean - _half_width(squared_error, lit.subjects + dark.subjects, alpha)


def opposite(arm: Arm) -> Arm:
    """The same subjects, less being more: for harm that is a decrease."""
    return Arm(arm.subjects, -arm.total, arm.squares)


def opposite_rate(arm: Arm) -> Arm:
    """The subjects who did not, counted."""
    missing = arm.subjects - arm.total
    return Arm(arm.subjects, missing, missing)


def _half_width(squared_error: float, subjects: int, alpha: float) -> float:
    """Of the one-sided sequence, for the squared standard error of a difference of two means."""
    doubled = -2 * math.log(2 * alpha)
    tuning = (doubled + math.log(doubled + 1)) / TUNED_FOR
    grown = subjects * tuning + 1
    widening = 2 * grown * math.log(1 + math.sqrt(grown) / (2 * alpha)) / (subjects**2 * tuning)
    return math.sqrt(squared_error * subjects * widening)
