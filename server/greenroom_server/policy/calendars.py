"""When a policy's calendars are open or frozen: local windows turned into instants.

In a gap of the clock both boundaries map to the jump. In an overlap a freeze rounds outward (first start, last end) and
an allow window inward, so that neither flaps while the same hour is shown twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from greenroom_server.policy.document import CalendarSpec
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.instants import DAY_MS
from greenroom_server.policy.weekly import WEEK, Stretch, merge_week, read_weekly
from greenroom_server.policy.zones import first_instant, last_instant, read_local, zone_of

CalendarType: TypeAlias = Literal["allow", "freeze"]

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date.max.toordinal() - 28
# A hole between two windows may vanish in a jump of the clock, so that windows of some weeks become one.
_WEEKS_BEFORE: Final = 3
_WEEKS_NEAR: Final = 2
_WEEKS_AHEAD: Final = 54


class Window(NamedTuple):
    """Half-open in instants."""

    start: Instant
    end: Instant


# A calendar that covers all of the week has this one window; `end == ALWAYS.end` means that it never closes.
ALWAYS: Final = Window(
    (date.min.toordinal() - _EPOCH_DAY) * DAY_MS,
    (date.max.toordinal() - _EPOCH_DAY) * DAY_MS,
)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Either merged weekly stretches, or `once`: one window that does not recur."""

    type: CalendarType
    zone: ZoneInfo
    weekly: tuple[Stretch, ...] = ()
    once: Window | None = None

    def window_at(self, at: Instant) -> Window | None:
        """The window that holds `at`: contiguous, so the time before its start and at its end is outside."""
        window = self.next_window(at)
        return window if window and window.start <= at else None

    def next_window(self, at: Instant) -> Window | None:
        """The first window that ends after `at`, which may have started already; weekly ones up to 366 days ahead."""
        near = _near(self.type, self.zone, self.weekly, _monday(at)) if self.weekly else ()
        return next((window for window in chain(near, self.windows(at)) if window.end > at), None)

    def windows(self, at: Instant) -> Iterator[Window]:
        """The windows in order, from some time before `at` on; there is a hole after each of them."""
        if self.once:
            yield from (self.once,) if self.once.start < self.once.end else ()
        elif self.weekly == ((0, WEEK),):
            yield ALWAYS
        else:
            yield from _joined(self._recurring(at))

    def _recurring(self, at: Instant) -> Iterator[Window]:
        first = _monday(at) - 7 * _WEEKS_BEFORE
        for start in range(first, min(first + 7 * (_WEEKS_BEFORE + _WEEKS_AHEAD), _LAST_DAY), 7):
            yield from _in_week(self.type, self.zone, self.weekly, start)


def compile_calendar(spec: CalendarSpec, zone: str) -> Calendar:
    """The calendar in its zone. Raises ValueError, also for an empty or backward stretch."""
    where = zone_of(zone)
    if (spec.weekly is None) == (spec.from_ is None and spec.to is None):
        raise ValueError("a calendar has either `weekly`, or `from` and `to`")
    if spec.weekly is not None:
        stretches = tuple(stretch for text in spec.weekly for stretch in read_weekly(text))
        return Calendar(spec.type, where, weekly=merge_week(stretches))
    if spec.from_ is None or spec.to is None:
        raise ValueError("a calendar that has `from` or `to` needs both")
    start, end = read_local(spec.from_), read_local(spec.to)
    if end <= start:
        raise ValueError(f"`to` must be after `from`: `{spec.to}` is not after `{spec.from_}`")
    return Calendar(spec.type, where, once=_window(spec.type, where, start, end))


def _window(kind: CalendarType, zone: ZoneInfo, start: datetime, end: datetime) -> Window:
    """May be empty or backward, where an allow window is inside an overlap or any inside a gap."""
    if kind == "freeze":
        return Window(first_instant(start, zone), last_instant(end, zone))
    return Window(last_instant(start, zone), first_instant(end, zone))


def _monday(at: Instant) -> int:
    day = _EPOCH_DAY + at // DAY_MS
    return day - (day - 1) % 7


@lru_cache(maxsize=256)
def _near(kind: CalendarType, zone: ZoneInfo, weekly: tuple[Stretch, ...], monday: int) -> tuple[Window, ...]:
    """The windows that a walk from a moment of this week meets first, as it would: most answers are among them."""
    walk = Calendar(kind, zone, weekly).windows((monday - _EPOCH_DAY) * DAY_MS)
    return tuple(islice(walk, len(weekly) * (_WEEKS_BEFORE + _WEEKS_NEAR)))


@lru_cache(maxsize=512)
def _in_week(kind: CalendarType, zone: ZoneInfo, weekly: tuple[Stretch, ...], monday: int) -> tuple[Window, ...]:
    midnight = datetime.fromordinal(monday)
    windows = (
        _window(kind, zone, midnight + timedelta(minutes=start), midnight + timedelta(minutes=end))
        for start, end in weekly
    )
    return tuple(window for window in windows if window.start < window.end)


def _joined(windows: Iterator[Window]) -> Iterator[Window]:
    """Windows that touch or overlap as one; they come in order of their starts, and so of their ends."""
    held: Window | None = None
    for window in windows:
        if held and window.start <= held.end:
            held = Window(held.start, window.end)
            continue
        if held:
            yield held
        held = window
    if held:
        yield held
