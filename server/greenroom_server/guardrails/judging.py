"""From readings to a verdict. Pure: no I/O, clock or randomness; whoever asks says what time it is.

Only fresh data that is fine lets a step go on. No data, old data and doubt hold it, and what trips counts the more the
worse it is: turning any reading into a worse one never makes the verdict milder.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

Finding = Literal["ok", "hold", "step_back", "darken"]
Action = Literal["hold", "step_back", "darken"]
State = Literal["ok", "no_data", "tripped"]

SEVERITY: Final[dict[Finding, int]] = {"ok": 0, "hold": 1, "step_back": 2, "darken": 3}
_WORSE: Final[dict[State, int]] = {"ok": 0, "no_data": 1, "tripped": 2}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source said when it was asked `at`; `data_at` is the moment that its data are of, None without any."""

    at: datetime
    state: State
    why: str
    data_at: datetime | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How a guardrail judges: what it does, for how long it must trip before that, how old its data may be."""

    action: Action
    trips_for: timedelta
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class Verdict:
    """`is_tripped` tells the action `hold` from a hold for want of data; `data_at` is that of the newest reading."""

    outcome: Finding
    reason: str
    data_at: datetime | None = None
    is_tripped: bool = False


def judge(terms: Terms, readings: Iterable[Reading], since: datetime, now: datetime) -> Verdict:
    """What one guardrail says of a step that began at `since`. The order of the readings is of no matter."""
    known = sorted((_sound(one, since) for one in readings if since <= one.at <= now), key=_place)
    if not known:
        return Verdict("hold", "nothing was read since the step began")
    newest = known[-1]
    trip = next((one for one in reversed(known) if one.state != "no_data"), newest)
    if trip.state == "tripped" and _is_fresh(terms, trip, now):
        lasted = trip.at - _began(terms, known, trip)
        if lasted >= terms.trips_for:
            return Verdict(terms.action, trip.why, trip.data_at, is_tripped=True)
        wanted = int(terms.trips_for.total_seconds())
        reason = f"{trip.why}; for {int(lasted.total_seconds())} s so far, and acts after {wanted} s"
        return Verdict("hold", reason, trip.data_at)
    if newest.state == "no_data":
        return Verdict("hold", f"no data: {newest.why}", newest.data_at)
    if not _is_fresh(terms, newest, now):
        oldest = int(terms.max_age.total_seconds())
        return Verdict("hold", f"no data: the newest are more than {oldest} s old", newest.data_at)
    return Verdict("ok", newest.why, newest.data_at)


def sharpest(verdicts: Sequence[tuple[str, Verdict]]) -> Verdict | None:
    """Of several guardrails, by key, the worst finding, and whose it is; None of none.

    If all is well, the data are those that are the oldest.
    """
    if not verdicts:
        return None
    worst = max(SEVERITY[one.outcome] for _, one in verdicts)
    found = sorted((key, one) for key, one in verdicts if SEVERITY[one.outcome] == worst)
    moments = [one.data_at for _, one in found if one.data_at is not None]
    reason = "; ".join(f"`{key}`: {one.reason}" for key, one in found)
    is_tripped = any(one.is_tripped for _, one in found)
    return Verdict(found[0][1].outcome, reason, min(moments, default=None), is_tripped)


def _sound(reading: Reading, since: datetime) -> Reading:
    """The reading, or none at all if its data are no number, of before the step, or of the future."""
    if reading.state == "no_data":
        return reading
    if reading.value is not None and math.isnan(reading.value):
        why = "the value is not a number"
    elif reading.data_at is None or reading.data_at > reading.at:
        why = "nobody knows what time its data are of"
    elif reading.data_at < since:
        why = "its data are of before the step began"
    else:
        return reading
    return Reading(reading.at, "no_data", why, reading.data_at)


def _place(reading: Reading) -> tuple[datetime, int, float, str]:
    """Of the same moment the worst reading is the last one: what trips with the newest data, else with the oldest."""
    age = 0.0 if reading.data_at is None else (reading.at - reading.data_at).total_seconds()
    return reading.at, _WORSE[reading.state], -age if reading.state == "tripped" else age, reading.why


def _is_fresh(terms: Terms, reading: Reading, now: datetime) -> bool:
    return reading.data_at is not None and now < reading.data_at + terms.max_age


def _began(terms: Terms, known: Sequence[Reading], trip: Reading) -> datetime:
    """Since when it trips without a break: an `ok` is one, and so is a time in which nobody looked."""
    began = later = trip.at
    for one in reversed(known):
        if one.state == "ok" or later - one.at > terms.max_age:
            break
        later = one.at
        if one.state == "tripped":
            began = one.at
    return began
