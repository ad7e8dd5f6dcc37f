"""From readings to a verdict: only fresh data that are fine let a step go on, and worse readings never help."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom_server.guardrails.judging import (
    SEVERITY,
    Action,
    Reading,
    State,
    Terms,
    Verdict,
    judge,
    sharpest,
)

SINCE: Final = datetime(2026, 11, 25, 9, tzinfo=UTC)
NOW: Final = SINCE + timedelta(seconds=120)
_SEVERER: Final[dict[State, int]] = {"ok": 0, "no_data": 1, "tripped": 2}


def after(seconds: float) -> datetime:
    return SINCE + timedelta(seconds=seconds)


def read(seconds: float, state: State = "ok", *, data: float | None = None, value: float | None = 0.5) -> Reading:
    """A reading so many seconds after the step began; its data are of the same moment unless `data` says otherwise."""
    moment = after(seconds if data is None else data)
    return Reading(after(seconds), state, f"it is {state}", None if state == "no_data" else moment, value)


def terms(action: Action = "step_back", *, trips_for: float = 0, max_age: float = 60) -> Terms:
    return Terms(action, timedelta(seconds=trips_for), timedelta(seconds=max_age))


def said(readings: list[Reading], by: Terms | None = None) -> str:
    return judge(by or terms(), readings, SINCE, NOW).outcome


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([], "hold"),
        ([read(110)], "ok"),
        ([read(110, "tripped")], "step_back"),
        ([read(110, "no_data")], "hold"),
        ([read(100), read(110, "no_data")], "hold"),
        ([read(100, "tripped"), read(110)], "ok"),
        ([read(100, "tripped"), read(110, "no_data")], "step_back"),
        ([read(60)], "hold"),
        ([read(60.001)], "ok"),
        ([read(115, data=59)], "hold"),
        ([read(20, "tripped"), read(115, "no_data")], "hold"),
        ([read(-1)], "hold"),
        ([read(5, data=-0.001)], "hold"),
        ([read(110, data=111)], "hold"),
        ([read(121)], "hold"),
        ([read(110, value=math.nan)], "hold"),
        ([read(110, "tripped", value=math.inf)], "step_back"),
    ],
)
def test_what_single_readings_say(readings: list[Reading], expected: str) -> None:
    """Nothing, old data, data of before the step or of the future, and what is no number: all of them hold."""
    assert said(readings) == expected


def test_it_must_trip_for_as_long_as_it_says() -> None:
    """Before that it holds, and says so; then it acts, at the very reading."""
    by = terms("darken", trips_for=60)
    streak = [read(seconds, "tripped") for seconds in (50, 70, 90)]
    waiting = judge(by, streak, SINCE, NOW)

    assert (waiting.outcome, waiting.is_tripped) == ("hold", False)
    assert "for 40 s so far, and acts after 60 s" in waiting.reason
    acting = judge(by, [*streak, read(110, "tripped")], SINCE, NOW)
    assert (acting.outcome, acting.is_tripped, acting.data_at) == ("darken", True, after(110))


def test_a_streak_ends_with_a_good_reading_and_not_with_a_missing_one() -> None:
    """A source that breaks down while things are bad is no relief; and a time in which nobody looked proves nothing."""
    by = terms(trips_for=60)
    begun, ended = read(50, "tripped"), read(110, "tripped")

    assert said([begun, read(80, "no_data"), ended], by) == "step_back"
    assert said([begun, read(80), ended], by) == "hold"
    assert said([begun, ended], terms(trips_for=60, max_age=59)) == "hold"


def test_the_worst_of_several_counts() -> None:
    """And says whose it is; if all is well, the oldest data are those that count."""
    fine, older = Verdict("ok", "fine", after(110)), Verdict("ok", "fine too", after(100))
    held = Verdict("hold", "no data")

    assert sharpest([]) is None
    both = sharpest([("b", fine), ("a", older)])
    assert both is not None
    assert (both.outcome, both.data_at, both.reason) == ("ok", after(100), "`a`: fine too; `b`: fine")
    worst = sharpest([("a", fine), ("c", held), ("b", Verdict("darken", "9 is > 1", after(90), is_tripped=True))])
    assert worst == Verdict("darken", "`b`: 9 is > 1", after(90), is_tripped=True)


STATES: Final = st.sampled_from(["ok", "no_data", "tripped"])
READINGS: Final = st.lists(
    st.builds(
        read,
        st.integers(-20, 140),
        STATES,
        data=st.none() | st.integers(-20, 140),
        value=st.none() | st.floats(allow_nan=False),
    ),
    max_size=12,
)
TERMS: Final = st.builds(
    terms,
    st.sampled_from(["hold", "step_back", "darken"]),
    trips_for=st.sampled_from([0, 10, 60]),
    max_age=st.sampled_from([20, 60]),
)


@settings(max_examples=300, deadline=None)
@given(READINGS, TERMS, st.randoms(use_true_random=False))
def test_the_order_of_readings_is_of_no_matter(readings: list[Reading], by: Terms, dice: object) -> None:
    """They come from several servers."""
    shuffled = list(readings)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]

    assert judge(by, shuffled, SINCE, NOW).outcome == judge(by, readings, SINCE, NOW).outcome


@settings(max_examples=500, deadline=None)
@given(READINGS, TERMS, st.data())
def test_a_worse_reading_never_makes_a_milder_verdict(readings: list[Reading], by: Terms, data: st.DataObject) -> None:
    """Whichever of them it is."""
    if not readings:
        return
    index = data.draw(st.integers(0, len(readings) - 1))
    one = readings[index]
    worse: State = data.draw(st.sampled_from([state for state in _SEVERER if _SEVERER[state] >= _SEVERER[one.state]]))
    changed = list(readings)
    changed[index] = Reading(one.at, worse, "worse", one.data_at, one.value)

    before, after_it = judge(by, readings, SINCE, NOW), judge(by, changed, SINCE, NOW)
    assert SEVERITY[after_it.outcome] >= SEVERITY[before.outcome]


@settings(max_examples=300, deadline=None)
@given(READINGS, TERMS)
def test_only_fresh_data_that_are_fine_let_it_go_on(readings: list[Reading], by: Terms) -> None:
    """Whenever it says ok, the newest reading is ok, of the step's time, young enough, and a number."""
    nans = [Reading(one.at, one.state, one.why, one.data_at, math.nan) for one in readings]

    assert judge(by, nans, SINCE, NOW).outcome != "ok"
    verdict = judge(by, readings, SINCE, NOW)
    if verdict.outcome == "ok":
        newest = max((one for one in readings if SINCE <= one.at <= NOW), key=lambda one: one.at)
        assert newest.state == "ok"
        assert newest.data_at is not None
        assert newest.data_at >= SINCE
        assert newest.data_at + by.max_age > NOW


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ok", "hold", "step_back", "darken"])), min_size=1))
def test_no_guardrail_is_outvoted(found: list[tuple[str, str]]) -> None:
    """The outcome is the worst of all, in whatever order they come."""
    verdicts = [(key, Verdict(outcome, outcome)) for key, outcome in found]  # type: ignore[arg-type]
    worst = sharpest(verdicts)

    assert worst is not None
    assert worst == sharpest(verdicts[::-1])
    assert SEVERITY[worst.outcome] == max(SEVERITY[one.outcome] for _, one in verdicts)
