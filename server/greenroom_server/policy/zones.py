"""Time zones out of the pinned `tzdata` package, whatever the machine has, so that a decision replays anywhere.

A local time may be shown twice (the clock goes back) or never (it goes forward). A time that is never shown stands for
the moment at which the clock jumps over it.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import tzdata

from greenroom_server.policy.facts import Instant

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (local times are naive on purpose)
_SECOND: Final = timedelta(seconds=1)
_MS: Final = timedelta(milliseconds=1)
_LOCAL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_MOMENT: Final = re.compile(_LOCAL.pattern + r"(?:[.][0-9]{1,3})?(?:Z|[+-][0-9]{2}:[0-9]{2})")


def tzdata_version() -> str:
    """The release of the zones that all decisions are computed with; a decision names it."""
    return str(tzdata.__version__)


@cache
def zone_names() -> frozenset[str]:
    """All IANA names that there are."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())


@cache
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name, from the package only. Raises ValueError."""
    if name not in zone_names():
        raise ValueError(f"`{name}` is no time zone: write an IANA name such as `Europe/Berlin` or `UTC`")
    with resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def local_of(at: Instant, zone: ZoneInfo) -> datetime:
    """What the clock of the zone shows at an instant, with its offset."""
    return (_EPOCH + at * _MS).replace(tzinfo=UTC).astimezone(zone)


def read_local(text: str) -> datetime:
    """A local time such as `2026-12-18T18:00`. Raises ValueError, also where an offset is given."""
    if not _LOCAL.fullmatch(text):
        raise ValueError(f"`{text}` is no local time: write it like `2026-12-18T18:00`, without an offset")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{text}` is on no calendar or clock") from None


def read_moment(text: str, zone: ZoneInfo) -> Instant:
    """An instant with its offset (`2026-11-20T12:00:00+01:00`), or a local time of the zone. Raises ValueError."""
    if not _MOMENT.fullmatch(text):
        return first_instant(read_local(text), zone)
    try:
        return (datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) - _EPOCH) // _MS
    except (ValueError, OverflowError):
        raise ValueError(f"`{text}` is on no calendar or clock") from None


def first_instant(local: datetime, zone: ZoneInfo) -> Instant:
    """When the clock shows `local` for the first time."""
    return _instant(local, zone, fold=0)


def last_instant(local: datetime, zone: ZoneInfo) -> Instant:
    """When the clock shows `local` for the last time."""
    return _instant(local, zone, fold=1)


def _instant(local: datetime, zone: ZoneInfo, *, fold: int) -> Instant:
    before, after = (_offset(local.replace(tzinfo=zone, fold=side)) for side in (0, 1))
    if before < after:
        return _jump((local - after - _EPOCH) // _SECOND, (local - before - _EPOCH) // _SECOND, zone) * 1000
    return (local - (after if fold else before) - _EPOCH) // _MS


def _jump(early: int, late: int, zone: ZoneInfo) -> int:
    """The first second after `early` at which the clock runs as it does at `late`."""
    offset = _offset(local_of(late * 1000, zone))
    while early + 1 < late:
        middle = (early + late) // 2
        if _offset(local_of(middle * 1000, zone)) == offset:
            late = middle
        else:
            early = middle
    return late


def _offset(local: datetime) -> timedelta:
    offset = local.utcoffset()
    assert offset is not None, "every zone has an offset"  # noqa: S101 (for the type checker)
    return offset
