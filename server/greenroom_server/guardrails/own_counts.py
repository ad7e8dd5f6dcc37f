"""What Greenroom's own figures say about a guardrail's condition. Pure: the figures are handed in."""

from datetime import datetime, timedelta
from typing import Final

from greenroom_server.exposures.service_figures import BrokenDarkness, Doings, ErrorShare
from greenroom_server.guardrails.comparison import Arm, difference_bound, opposite, opposite_rate
from greenroom_server.guardrails.judging import Reading
from greenroom_server.guardrails.prometheus import SIGNS, trips
from greenroom_server.guardrails.wire import (
    ComparisonCondition,
    DarknessSource,
    ErrorsSource,
    OutcomesSource,
    ThresholdCondition,
)

# Counts are of whole minutes: those of a minute may come until it is over.
MINUTE: Final = timedelta(minutes=1)


def said(value: float, condition: ThresholdCondition) -> tuple[str, bool]:
    """In words how a value stands to a threshold, and whether it trips."""
    is_tripped = trips(value, condition.op, condition.value)
    sign = SIGNS[condition.op]
    verb = "is" if is_tripped else "is not"
    return f"{number(value)} {verb} {sign} {number(condition.value)}", is_tripped


def number(value: float) -> str:
    """As people read it: six digits at most."""
    return f"{value:.6g}"


def errors_reading(source: ErrorsSource, condition: ThresholdCondition, figures: ErrorShare, now: datetime) -> Reading:
    """The share of evaluations that went wrong."""
    if figures.last_minute is None or figures.evaluations < source.min_evaluations:
        few = f"{figures.evaluations} evaluations in {source.window_s} s, and {source.min_evaluations} are needed"
        return Reading(now, "no_data", few)
    share = figures.errors / figures.evaluations
    words, is_tripped = said(share, condition)
    why = f"errors in {figures.errors} of {figures.evaluations} evaluations: {words}"
    return Reading(now, "tripped" if is_tripped else "ok", why, _end_of(figures.last_minute, now), share)


def darkness_reading(source: DarknessSource, is_dark: bool, broken: list[BrokenDarkness], now: datetime) -> Reading:
    """Whether a dark flag is served all the same; one that is not dark cannot be."""
    if not is_dark:
        return Reading(now, "ok", f"flag `{source.flag}` is not dark", now, 0.0)
    if not broken:
        return Reading(now, "ok", f"flag `{source.flag}` is dark, and served so", now, 0.0)
    served = sum(one.evaluations for one in broken)
    names = ", ".join(f"`{one.variant}`" for one in broken)
    return Reading(now, "tripped", f"flag `{source.flag}` is dark, and was served as {names}", now, float(served))


def outcomes_reading(
    source: OutcomesSource,
    condition: ThresholdCondition | ComparisonCondition,
    figures: dict[str, Doings],
    last_minute: datetime | None,
    now: datetime,
) -> Reading:
    """What the subjects of a variant did, held against a threshold or against what those of another variant did."""
    wanted = [source.variant, *([source.against] if source.against is not None else [])]
    for variant in wanted:
        subjects = figures[variant].subjects if variant in figures else 0
        if subjects < source.min_subjects:
            few = f"{subjects} new subjects were served `{variant}`, and {source.min_subjects} are needed"
            return Reading(now, "no_data", few)
    data_at = None if last_minute is None else _end_of(last_minute, now)
    arms = [_arm(source, figures[variant]) for variant in wanted]
    if isinstance(condition, ThresholdCondition):
        words, is_tripped = said(arms[0].mean, condition)
        why = f"{source.measure} of `{source.event}` among {arms[0].subjects} subjects: {words}"
        return Reading(now, "tripped" if is_tripped else "ok", why, data_at, arms[0].mean)
    return _compared(source, condition, (arms[0], arms[1]), data_at, now)


def _compared(
    source: OutcomesSource,
    condition: ComparisonCondition,
    arms: tuple[Arm, Arm],
    data_at: datetime | None,
    now: datetime,
) -> Reading:
    is_rate = source.measure == "rate"
    turn = opposite_rate if is_rate else opposite
    lit, dark = arms if condition.worse == "higher" else (turn(arms[0]), turn(arms[1]))
    bound = difference_bound(lit, dark, alpha=condition.alpha, is_rate=is_rate)
    is_tripped = bound > condition.tolerance
    found = (
        f"{source.measure} of `{source.event}`: {number(arms[0].mean)} of {arms[0].subjects} subjects with "
        f"`{source.variant}`, {number(arms[1].mean)} of {arms[1].subjects} with `{source.against}`"
    )
    more = f"{condition.worse} by {number(bound)} at least" if is_tripped else f"not shown to be {condition.worse}"
    return Reading(now, "tripped" if is_tripped else "ok", f"{found}: {more}", data_at, arms[0].mean - arms[1].mean)


def _arm(source: OutcomesSource, figures: Doings) -> Arm:
    if source.measure == "rate":
        return Arm(figures.subjects, figures.did, figures.did)
    return Arm(figures.subjects, figures.total, figures.squares)


def _end_of(minute: datetime, now: datetime) -> datetime:
    return min(minute + MINUTE, now)
