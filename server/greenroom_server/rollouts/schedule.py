"""When a release is to start: a moment, or what the clock of a time zone shows."""

from datetime import UTC, datetime, timedelta
from typing import Final

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.zones import first_instant, read_local, zone_of
from greenroom_server.rollouts.wire import ReleaseScheduleIn

MAX_AHEAD_DAYS: Final = 366

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def due_of(wanted: ReleaseScheduleIn, now: datetime) -> datetime | None:
    """The moment; None to take the time away. A local time that is shown twice means the first, one that is never
    shown means the moment at which the clock jumps over it. Raises `Invalid` also for a moment that has passed.
    """
    if wanted.at is not None and (wanted.local is not None or wanted.zone is not None):
        raise Invalid(errors=[FieldError("/at", "give `at`, or `local` and `zone`, not both")])
    if (wanted.local is None) != (wanted.zone is None):
        missing = "zone" if wanted.zone is None else "local"
        raise Invalid(errors=[FieldError(f"/{missing}", "`local` and `zone` belong together")])
    due = wanted.at
    if wanted.local is not None and wanted.zone is not None:
        due = moment_at(first_instant(read_local(wanted.local), zone_of(wanted.zone)))
    where = "/at" if wanted.local is None else "/local"
    if due is not None and due <= now:
        raise Invalid(errors=[FieldError(where, "this moment has passed: to start now, say go")])
    if due is not None and due > now + timedelta(days=MAX_AHEAD_DAYS):
        raise Invalid(errors=[FieldError(where, f"this is more than {MAX_AHEAD_DAYS} days ahead")])
    return due


def moment_at(at: Instant) -> datetime:
    return _EPOCH + timedelta(milliseconds=at)


def instant_of(moment: datetime | None) -> Instant | None:
    """Cut to the millisecond, as the core counts."""
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)
