"""Counting what was served, within the evaluations themselves: no locks, no I/O, and nothing that two threads can lose.

Each count is an `itertools.count`, moved on by one C call; whether a subject is new is settled by `dict.setdefault`,
and what waits stands in a `deque`: each is one step that no other thread can come into. Whoever collects reads a
counter by moving it on as well, and takes off its own readings. Clock and chance are arguments.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple

from greenroom.evaluation import Evaluation, Snapshot, text_form
from greenroom.rows import (
    MAX_FLAG,
    MAX_KEY,
    MAX_NAME,
    MAX_VARIANT,
    Row,
    Served,
    count_row,
    exposure_row,
    id_of,
    is_tellable,
    outcome_row,
)
from greenroom.sinks import Context, Teller

MAX_ODD: Final = 1_000
"""How many errors and unknown flags are told apart at once; keys that users make up must not fill the memory."""
MAX_COLLECTED: Final = 5_000
"""How many exposures and outcomes are collected at once, so that the first are on disk before the last are written."""
ODD_FORGOTTEN_MS: Final = 120_000
_LARGEST: Final = 1.7976931348623157e308
_DAY_MS: Final = 86_400_000
_REASONS: Final = frozenset(
    ("STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "CACHED", "STALE", "UNKNOWN", "ERROR")
)


class Limits(NamedTuple):
    """How many rows may wait to be collected, and of how many subjects it is remembered that they were told of."""

    waiting: int
    subjects: int


class _Counter:
    """`ticks` moves on with each evaluation and each reading."""

    __slots__ = ("counted_at", "read", "ticks")

    def __init__(self, now_ms: int) -> None:
        self.ticks = count()
        self.read = 0
        self.counted_at = now_ms

    def take(self) -> int:
        """How often it was moved on since the last reading."""
        reached = next(self.ticks)
        taken, self.read = reached - self.read, reached + 1
        return taken


class _Place:
    """The subjects of one variant of a flag that were told of: a younger and an older half."""

    __slots__ = ("flag", "old", "variant", "young")

    def __init__(self, flag: str, variant: str) -> None:
        self.flag, self.variant = flag, variant
        self.young: dict[str, object] = {}
        self.old: dict[str, object] = {}


class _Seen(NamedTuple):
    place: _Place
    key: str
    at_ms: int


class _Done(NamedTuple):
    name: str
    value: float | None
    key: str
    at_ms: int


class Tally:
    """Any thread tells, one at a time collects. `clock` gives milliseconds, `chance` the bits of an id."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], int],
        chance: Callable[[], int],
        hide: Callable[[str], str] | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._chance = chance
        self._hide = hide
        self._modes: Mapping[str, str] = {}
        self._counters: dict[Served, _Counter] = {}
        self._odd: dict[Served, _Counter] = {}
        self._places: dict[tuple[str, str], _Place] = {}
        self._waiting: deque[_Seen | _Done] = deque()
        self._losses = _Counter(0)
        self._since_ms = clock()
        self.lost = 0

    def swapped(self, snapshot: Snapshot) -> None:
        """Evaluations are of this snapshot from now on."""
        self._modes = {
            key: flag.track_exposures for key, flag in snapshot.flags.items() if flag.track_exposures != "counts"
        }

    def began(self) -> None:
        """What is counted from now on belongs to the minutes from now on."""
        self._since_ms = self._clock()

    def teller(self, evaluation: Evaluation) -> Teller:
        """What to call, with the context, whenever this evaluation is the answer; it never raises."""
        mode = self._modes.get(evaluation.flag_key)
        if mode == "none":
            return _nothing
        ticks = self._counter(self._counters, _served(evaluation)).ticks
        if mode == "subjects" and evaluation.variant is not None:
            return partial(self._met, self._place(evaluation.flag_key, evaluation.variant), ticks)
        # The context is what `next` would give at the end of a counter that has none.
        return partial(next, ticks)

    def exposed(self, evaluation: Evaluation, context: Context) -> None:
        """This was an answer: an error, or of a kind that is not asked for often."""
        if evaluation.error_code is None:
            self.teller(evaluation)(context)
        elif self._modes.get(evaluation.flag_key) != "none":
            served = _served(evaluation)
            if served in self._odd or (len(self._odd) < MAX_ODD and is_tellable(served.flag, MAX_FLAG)):
                next(self._counter(self._odd, served).ticks)
            else:
                next(self._losses.ticks)

    def tracked(self, event: str, context: Context, value: float | None) -> bool:
        """Whether this outcome can be told; one without name, targeting key or finite value cannot."""
        key = _key_of(context)
        if key is None or not _is_number(value) or not is_tellable(event, MAX_NAME):
            next(self._losses.ticks)
            return False
        if len(self._waiting) < self._limits.waiting:
            self._waiting.append(_Done(event, None if value is None else float(value), key, self._clock()))
        else:
            next(self._losses.ticks)
        return True

    def collect(self) -> list[Row]:
        """What was told since the last time; more of it waits if it has `MAX_COLLECTED` rows.

        Counts belong to the minute of the last time.
        """
        now, since = self._clock(), self._since_ms
        rows = [self._row(self._waiting.popleft()) for _ in range(min(len(self._waiting), MAX_COLLECTED))]
        # Later would be worse than earlier: a flag that went dark in between must not seem to have been served then.
        minute = min(since, now)
        for served, taken in self._taken(now):
            rows.append(count_row(id_of(now, self._chance()), served, minute, taken))
        self.lost += self._losses.take()
        self._forget(now, is_new_day=now // _DAY_MS != since // _DAY_MS)
        self._since_ms = now
        return rows

    def _met(self, place: _Place, ticks: "count[int]", context: Any) -> None:
        next(ticks)
        try:
            key = context["targetingKey"]
            if type(key) is str and key in place.young:
                return
            self._meet(place, context)
        except Exception:  # noqa: S110  no key, no subject; a context may be anything
            pass

    def _meet(self, place: _Place, context: Any) -> None:
        key = _key_of(context)
        if key is None:
            return
        young = place.young
        if key in place.old:
            young[key] = None
        elif len(self._waiting) >= self._limits.waiting:
            next(self._losses.ticks)
        else:
            mine = object()
            if young.setdefault(key, mine) is mine:  # of threads that meet the same subject, one is the first
                self._waiting.append(_Seen(place, key, self._clock()))

    def _row(self, told: _Seen | _Done) -> Row:
        row_id = id_of(told.at_ms, self._chance())
        key = told.key if self._hide is None else self._hide(told.key)
        if isinstance(told, _Seen):
            return exposure_row(row_id, told.place.flag, told.place.variant, key, told.at_ms)
        return outcome_row(row_id, told.name, told.value, key, told.at_ms)

    def _taken(self, now: int) -> Iterator[tuple[Served, int]]:
        for counters in (self._counters, self._odd):
            for served, counter in counters.copy().items():
                taken = counter.take()
                if taken:
                    counter.counted_at = now
                    yield served, taken

    def _forget(self, now: int, *, is_new_day: bool) -> None:
        if len(self._odd) >= MAX_ODD // 2:
            for served, counter in self._odd.copy().items():
                if now - counter.counted_at > ODD_FORGOTTEN_MS:
                    del self._odd[served]
        places = self._places.copy().values()
        if is_new_day or sum(len(place.young) for place in places) >= max(1, self._limits.subjects // 2):
            for place in places:
                # In this order a thread that comes in between finds each subject in one of the halves.
                place.old = {} if is_new_day else place.young
                place.young = {}

    def _counter(self, counters: dict[Served, _Counter], served: Served) -> _Counter:
        return counters.get(served) or counters.setdefault(served, _Counter(self._clock()))

    def _place(self, flag: str, variant: str) -> _Place:
        return self._places.setdefault((flag, variant), _Place(flag, variant))


def _served(evaluation: Evaluation) -> Served:
    variant = evaluation.variant
    reason = evaluation.reason if evaluation.reason in _REASONS else "UNKNOWN"
    return Served(evaluation.flag_key, variant if is_tellable(variant, MAX_VARIANT) else None, reason)


def _key_of(context: Any) -> str | None:
    """The targeting key as text, if the context has one that can be told."""
    try:
        key = text_form(context["targetingKey"])
    except Exception:
        return None
    return key if is_tellable(key, MAX_KEY) else None


def _is_number(value: object) -> bool:
    """Whether it is none, or one that JSON has."""
    return value is None or (isinstance(value, int | float) and abs(value) <= _LARGEST)


def _nothing(context: Context) -> None:
    """For flags whose exposures are not tracked."""
