"""Windows of calendars as instants, at and around what clocks do to them."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.clocks import AROUND, EPOCH, MINUTE, ODD_WEEKS, WEEK, clock_around, covered_minutes

from greenroom_server.policy.calendars import ALWAYS, Calendar, compile_calendar
from greenroom_server.policy.document import CalendarSpec
from greenroom_server.policy.weekly import DAYS, read_weekly
from greenroom_server.policy.zones import local_of, zone_of

BERLIN = "Europe/Berlin"
DAY = 24 * 60
PLACES = [(zone, monday) for zone, mondays in ODD_WEEKS.items() for monday in mondays]
# Where clocks change, so that boundaries often fall into gaps and overlaps.
SHARP = st.sampled_from([0, 30, 60, 90, 105, 120, 135, 150, 165, 180, 210, 1410, 1439])
TIME = SHARP | st.integers(0, DAY - 1)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def calendar(kind: str, *weekly: str, zone: str = BERLIN) -> Calendar:
    return compile_calendar(CalendarSpec.model_validate({"type": kind, "weekly": weekly}), zone)


def once(kind: str, start: str, end: str, zone: str = BERLIN) -> Calendar:
    return compile_calendar(CalendarSpec.model_validate({"type": kind, "from": start, "to": end}), zone)


def window(of: Calendar, moment: str) -> tuple[str, str] | None:
    """The window at a moment, as the clock in Berlin shows its boundaries."""
    found = of.window_at(at(moment))
    return found and (written(found.start), written(found.end))


def written(instant: int) -> str:
    return local_of(instant, zone_of(BERLIN)).isoformat(timespec="minutes")


def clock_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def entries(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """An entry of `weekly`, and the stretches (minute of the week, length) that it means."""
    start, end = draw(TIME), draw(TIME | st.just(DAY))
    hours = f"{clock_text(start)}-{clock_text(end)}"
    length = (end - start) % DAY or (DAY if (start, end) == (0, DAY) else 0)
    shape = draw(st.sampled_from(["across", "daily", "days", "range", "every"]))
    first, second = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    if shape == "across" and (stretch := (second * DAY + end - first * DAY - start) % WEEK):
        return f"{DAYS[first]} {clock_text(start)}-{DAYS[second]} {clock_text(end)}", [(first * DAY + start, stretch)]
    if shape == "days" or not length:
        return f"{DAYS[first]},{DAYS[second]}", [(first * DAY, DAY), (second * DAY, DAY)]
    if shape == "range":
        days = [(first + step) % 7 for step in range((second - first) % 7 + 1)]
        return f"{DAYS[first]}-{DAYS[second]} {hours}", [(day * DAY + start, length) for day in days]
    if shape == "every":
        return hours, [(day * DAY + start, length) for day in range(7)]
    return f"{DAYS[first]} {hours}", [(first * DAY + start, length)]


@pytest.mark.parametrize(("zone", "monday"), PLACES)
@given(entries=st.lists(entries(), min_size=1, max_size=3), kind=st.sampled_from(["allow", "freeze"]))
@settings(max_examples=30, deadline=None)
def test_agrees_with_a_walk_over_every_minute(zone: str, monday: str, entries: list[Any], kind: str) -> None:
    """Whatever the calendar, each minute of two weeks is inside or outside as a walk over the clock says."""
    clock = clock_around(zone, monday)
    covered = covered_minutes(clock, [stretch for _, stretches in entries for stretch in stretches], kind)
    made = calendar(kind, *(text for text, _ in entries), zone=zone)

    near = range(AROUND - DAY, AROUND + 8 * DAY)
    turns = {one for one in near if covered[one] != covered[one - 1]} | {near.start, near.stop - 1}
    for index in turns:
        instant = (clock.start + index) * MINUTE
        assert bool(made.window_at(instant)) == covered[index]
        assert bool(made.window_at(instant - 1)) == covered[index - 1]

    for left, right in pairwise(sorted(turns)):
        if covered[left]:
            found = made.window_at((clock.start + left) * MINUTE)
            assert found == made.window_at((clock.start + right) * MINUTE - 1), "the window is contiguous"
            assert found == made.next_window((clock.start + left) * MINUTE)
        else:
            after = made.next_window((clock.start + left) * MINUTE)
            assert after is None or after.start >= (clock.start + right) * MINUTE


@pytest.mark.parametrize(("zone", "monday"), PLACES)
@given(start=st.integers(0, WEEK) | SHARP.map(lambda minute: 6 * DAY + minute), length=st.integers(1, 3 * DAY) | SHARP)
@settings(max_examples=20, deadline=None)
def test_one_stretch_agrees_with_the_clock(zone: str, monday: str, start: int, length: int) -> None:
    """A freeze lasts from the first to the last time that its boundaries are shown, an allow window the other way."""
    clock = clock_around(zone, monday)
    begin = datetime.fromisoformat(monday) + timedelta(minutes=start)
    end = begin + timedelta(minutes=max(length, 1))
    shown = [(boundary - EPOCH) // timedelta(minutes=1) for boundary in (begin, end)]
    texts = begin.isoformat(timespec="minutes"), end.isoformat(timespec="minutes")

    frozen, open_ = once("freeze", *texts, zone=zone), once("allow", *texts, zone=zone)

    assert frozen.once == (clock.first_of(shown[0]) * MINUTE, clock.last_of(shown[1]) * MINUTE)
    assert open_.once == (clock.last_of(shown[0]) * MINUTE, clock.first_of(shown[1]) * MINUTE)


def test_freeze_of_the_weekend_ends_at_its_local_hour_in_spring() -> None:
    """The clock went forward on Sunday: Monday 08:00 is 06:00Z, whatever Friday's offset was."""
    weekend = calendar("freeze", "Fri 18:00-Mon 08:00")

    assert window(weekend, "2026-03-29T12:00:00Z") == ("2026-03-27T18:00+01:00", "2026-03-30T08:00+02:00")
    assert weekend.window_at(at("2026-03-30T06:00:00Z")) is None


def test_freeze_in_an_hour_that_is_shown_twice() -> None:
    """It lasts from the first 02:00 to the last 02:30, and does not flap at the first 02:45."""
    nightly = calendar("freeze", "02:00-02:30")

    assert window(nightly, "2026-10-25T00:45:00Z") == ("2026-10-25T02:00+02:00", "2026-10-25T02:30+01:00")
    assert nightly.window_at(at("2026-10-25T01:30:00Z")) is None


def test_allow_window_in_an_hour_that_is_shown_twice() -> None:
    """It lasts from the last start to the first end, and falls out if nothing is left."""
    early, late, inside = (calendar("allow", text) for text in ("01:00-02:30", "02:30-05:00", "02:00-02:30"))

    assert window(early, "2026-10-25T00:29:59Z") == ("2026-10-25T01:00+02:00", "2026-10-25T02:30+02:00")
    assert early.window_at(at("2026-10-25T00:30:00Z")) is None
    assert window(late, "2026-10-25T01:30:00Z") == ("2026-10-25T02:30+01:00", "2026-10-25T05:00+01:00")
    assert late.window_at(at("2026-10-25T01:29:59.999Z")) is None
    assert inside.next_window(at("2026-10-24T12:00:00Z")).start == at("2026-10-26T01:00:00Z")  # type: ignore[union-attr]


def test_boundaries_in_a_gap_map_to_the_jump() -> None:
    """02:15 and 02:45 are never shown in the spring night: what ends or starts there does so when the clock jumps."""
    before, after, inside = (calendar("allow", text) for text in ("01:00-02:15", "02:45-04:00", "02:15-02:45"))

    assert window(before, "2026-03-29T00:30:00Z") == ("2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00")
    assert window(after, "2026-03-29T01:00:00Z") == ("2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00")
    assert inside.next_window(at("2026-03-28T12:00:00Z")).start == at("2026-03-30T00:15:00Z")  # type: ignore[union-attr]


def test_windows_on_both_sides_of_a_gap_are_one() -> None:
    """Where the hole between two windows is never shown, the window is contiguous."""
    both = calendar("freeze", "22:00-02:00", "03:00-05:00")

    assert window(both, "2026-03-29T00:59:59Z") == ("2026-03-28T22:00+01:00", "2026-03-29T05:00+02:00")
    assert both.window_at(at("2026-03-30T00:30:00Z")) is None


def test_future_freeze_is_not_now() -> None:
    """A freeze of tomorrow holds nothing up today, and its start is known."""
    xmas = once("freeze", "2026-12-18T18:00", "2027-01-04T08:00")

    assert xmas.window_at(at("2026-12-18T16:59:59.999Z")) is None
    assert xmas.next_window(at("2026-12-17T12:00:00Z")) == (at("2026-12-18T17:00:00Z"), at("2027-01-04T07:00:00Z"))
    assert xmas.window_at(at("2026-12-18T17:00:00Z")) == xmas.window_at(at("2027-01-04T06:59:59.999Z"))
    assert xmas.next_window(at("2027-01-04T07:00:00Z")) is None


def test_over_midnight_and_the_end_of_the_week() -> None:
    """There is no hole in the last minute of a day, nor where the week starts anew."""
    long = calendar("freeze", "Fri 22:00-Tue 02:00")

    assert window(long, "2026-11-16T22:59:59.999Z") == ("2026-11-13T22:00+01:00", "2026-11-17T02:00+01:00")
    assert window(long, "2026-11-15T22:59:59.999Z") == window(long, "2026-11-15T23:00:00Z")


def test_every_night_over_midnight() -> None:
    """23:30-04:00 holds on both sides of midnight."""
    night = calendar("allow", "23:30-04:00")

    assert window(night, "2026-11-17T22:45:00Z") == window(night, "2026-11-18T02:59:59.999Z")
    assert night.window_at(at("2026-11-18T03:00:00Z")) is None
    assert night.window_at(at("2026-11-17T22:29:59.999Z")) is None


def test_days_without_hours_are_whole() -> None:
    """Saturday and Sunday are one window from midnight to midnight."""
    days = calendar("freeze", "Sat,Sun")

    assert window(days, "2026-11-15T22:59:59.999Z") == ("2026-11-14T00:00+01:00", "2026-11-16T00:00+01:00")
    assert days == calendar("freeze", "Sat-Sun") == calendar("freeze", "Sat 00:00-24:00", "Sun")


@pytest.mark.parametrize("text", ["Mon-Sun", "00:00-24:00", "Mon 00:00-Sun 24:00", "Wed 00:00-Tue 24:00"])
def test_all_of_the_week(text: str) -> None:
    """A calendar without a hole is one window that does not end, also in a night that repeats midnight."""
    assert calendar("allow", text, zone="America/Havana").window_at(at("2025-11-02T04:30:00Z")) == ALWAYS


def test_day_that_a_zone_skipped() -> None:
    """Samoa had no 30 December 2011: Thursday's and Saturday's windows touch, and Friday's does not come."""
    apia = calendar("freeze", "Thu", "Sat", zone="Pacific/Apia")
    friday = calendar("freeze", "Fri", zone="Pacific/Apia")

    assert apia.window_at(at("2011-12-30T09:59:59Z")) == (at("2011-12-29T10:00:00Z"), at("2011-12-31T10:00:00Z"))
    assert friday.next_window(at("2011-12-29T12:00:00Z")).start == at("2012-01-05T10:00:00Z")  # type: ignore[union-attr]


def test_once_inside_what_the_clock_skips_or_repeats() -> None:
    """One stretch that is never shown, or that rounding inward leaves nothing of, is no window."""
    for one in (
        once("freeze", "2026-03-29T02:10", "2026-03-29T02:50"),
        once("allow", "2026-10-25T02:10", "2026-10-25T02:50"),
    ):
        assert one.next_window(at("2026-01-01T00:00:00Z")) is None
    assert once("freeze", "2026-10-25T02:10", "2026-10-25T02:50").window_at(at("2026-10-25T01:49:59Z"))


def test_the_last_year_of_the_calendar() -> None:
    """Near the end of what dates can express there are no more windows, and no error."""
    saturdays = calendar("freeze", "Sat")

    for late in ("9999-12-10T00:00:00Z", "9999-12-30T00:00:00Z"):
        assert saturdays.next_window(at(late)) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10:00-10:00", "ends where it starts"),
        ("Mon 10:00-Mon 10:00", "ends where it starts"),
        ("Mon-Thu-Sat", "no range of days"),
        ("Mon 24:00-25:00", "no time of day"),
        ("24:00-02:00", "no time of day"),
        ("Mon 10:60-11:00", "no time of day"),
        ("Monday 10:00-11:00", "no weekly window"),
        ("mon 10:00-11:00", "no weekly window"),
        ("Mon10:00-11:00", "no weekly window"),
        ("Mon ", "no weekly window"),
        (" 10:00-11:00", "no weekly window"),
        ("Fri 18:00-Mon", "no weekly window"),
        ("9:00-16:00", "no weekly window"),
        ("Mon,10:00-11:00", "no weekly window"),
        ("", "no weekly window"),
    ],
)
def test_weekly_that_cannot_be_read(text: str, why: str) -> None:
    """What is not understood is refused, and never taken for all day."""
    with pytest.raises(ValueError, match=why):
        read_weekly(text)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, "has either `weekly`, or `from` and `to`"),
        ({"weekly": ("Mon",), "from": "2026-01-01T00:00"}, "has either"),
        ({"from": "2026-01-01T00:00"}, "needs both"),
        ({"to": "2026-01-01T00:00"}, "needs both"),
        ({"from": "2026-01-01T00:00", "to": "2026-01-01T00:00"}, "`to` must be after `from`"),
        ({"from": "2026-01-01T00:00Z", "to": "2026-01-02T00:00"}, "without an offset"),
        ({"from": "2026-02-30T00:00", "to": "2026-03-02T00:00"}, "on no calendar or clock"),
    ],
)
def test_stretch_that_cannot_be_read(spec: dict[str, Any], why: str) -> None:
    """A calendar is one of its two forms, with local times that exist and go forward."""
    with pytest.raises(ValueError, match=why):
        compile_calendar(CalendarSpec.model_validate({"type": "freeze", **spec}), BERLIN)


def test_zone_that_is_not_known() -> None:
    """Only names that the pinned zones have are taken, and no paths."""
    for name in ("Mars/Olympus", "../zones", "Europe", ""):
        with pytest.raises(ValueError, match="no time zone"):
            calendar("allow", "Mon", zone=name)
