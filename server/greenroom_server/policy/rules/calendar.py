"""When it may happen: inside an allow window of one of the calendars, and outside every freeze.

With a runway the time must stay open, without a break, until now plus the runway.
"""

from dataclasses import dataclass
from typing import Any, Final

from greenroom_server.policy.calendars import Calendar
from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import CalendarRule
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.findings import passed, pending
from greenroom_server.policy.instants import DAY_MS, earliest, instant_text
from greenroom_server.policy.question import Question
from greenroom_server.policy.zones import local_of

HORIZON_MS: Final = 366 * DAY_MS

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(slots=True)
class _Hours:
    allows: dict[str, Calendar]
    freezes: dict[str, Calendar]
    runway: int


@dataclass(slots=True)
class _State:
    """`until` this moment the state cannot change. `calendar` froze it, or is None where no window is open."""

    is_open: bool
    until: Instant | None
    calendar: str | None = None


def calendar(question: Question, rule: CalendarRule) -> Finding:
    calendars = {name: question.policy.calendars[name] for name in rule.use}
    hours = _Hours(
        {name: one for name, one in calendars.items() if one.type == "allow"},
        {name: one for name, one in calendars.items() if one.type == "freeze"},
        rule.runway or 0,
    )
    state = _state(hours, question.now)
    if state.is_open:
        return passed(holds_until=state.until)
    opens_at = _opens_at(hours, question.now, state)
    params: dict[str, Any] = {"opens_at": None if opens_at is None else instant_text(opens_at)}
    when = "never within a year" if opens_at is None else _local(question, opens_at)
    if state.calendar is not None:
        params["calendar"] = state.calendar
        return pending("calendar.frozen", f"frozen by `{state.calendar}`; opens: {when}", opens_at, params=params)
    names = " or ".join(f"`{name}`" for name in hours.allows)
    return pending("calendar.closed", f"outside of {names}; opens: {when}", opens_at, params=params)


def _state(hours: _Hours, at: Instant) -> _State:
    last = at + hours.runway
    until: Instant | None = None
    for name, freeze in hours.freezes.items():
        window = freeze.next_window(at)
        if window is not None and window.start <= last:
            return _State(False, window.end, name)
        if window is not None:
            until = earliest(until, window.start - hours.runway)
    if not hours.allows:
        return _State(True, until)
    end = at
    while end <= last:
        windows = [one.window_at(end) for one in hours.allows.values()]
        further = max((window.end for window in windows if window is not None), default=end)
        if further == end:
            return _State(False, end if end > at else _next_start(hours, at))
        end = further
    return _State(True, earliest(until, end - hours.runway))


def _next_start(hours: _Hours, at: Instant) -> Instant | None:
    windows = (one.next_window(at) for one in hours.allows.values())
    return min((window.start for window in windows if window is not None), default=None)


def _opens_at(hours: _Hours, now: Instant, state: _State) -> Instant | None:
    """From one change to the next, until it is open; None if it is not within 366 days."""
    while not state.is_open:
        if state.until is None or state.until > now + HORIZON_MS:
            return None
        at = state.until
        state = _state(hours, at)
    return at


def _local(question: Question, at: Instant) -> str:
    local = local_of(at, question.policy.zone)
    day = f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}"
    return f"{day} {local:%H:%M} {question.policy.document.time_zone}"
