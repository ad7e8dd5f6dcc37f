"""Figures for those who watch what is served: errors of a flag, what its variants' subjects did, darkness broken."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.flags.service_dark import dark_flags

TOLD_AGAIN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of one flag in one environment, from `since` up to and without `until`."""

    environment_id: UUID
    flag: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ErrorShare:
    """How many evaluations there were, how many of them ended with an error, and the last minute that has any."""

    evaluations: int
    errors: int
    last_minute: datetime | None


@dataclass(frozen=True, slots=True)
class Doings:
    """What a variant's subjects did: how many they are, how many did it, the sum of what each did and of its square."""

    subjects: int
    did: int
    total: float
    squares: float


@dataclass(frozen=True, slots=True)
class BrokenDarkness:
    """A flag that is dark and was served as something else all the same."""

    variant: str
    evaluations: int


async def error_share(session: AsyncSession, asked: Stretch) -> ErrorShare:
    """Of whole minutes: those that begin in the stretch."""
    row = (await session.execute(_ERRORS, _values(asked))).one()
    return ErrorShare(int(row.evaluations), int(row.errors), row.last_minute)


async def last_served(session: AsyncSession, asked: Stretch, variant: str) -> datetime | None:
    """The last minute in which the variant was served, of those that the stretch touches."""
    found: datetime | None = await session.scalar(_LAST, {**_values(asked), "variant": variant})
    return found


async def doings(session: AsyncSession, asked: Stretch, event: str, variants: Collection[str]) -> dict[str, Doings]:
    """By variant, what those did who were first served in the stretch, and only this one of the variants.

    An SDK tells of a subject once a day for each variant. So whoever was told of in the day before is left out, in all
    variants alike: among the others nobody is in one variant for having come back.
    """
    # Today's partitions have no statistics yet, and each subject would be looked for among all outcomes.
    await session.execute(text("SET LOCAL enable_nestloop = off"))
    values = {**_values(asked), "event": event, "variants": list(variants), "told_since": asked.since - TOLD_AGAIN}
    rows = await session.execute(_DOINGS, values)
    return {row.variant: Doings(row.subjects, row.did, row.total, row.squares) for row in rows}


async def broken_darkness(session: AsyncSession, environment_id: UUID, flag: str) -> tuple[bool, list[BrokenDarkness]]:
    """Whether the flag is dark now, and the alerts of this darkness."""
    found = await dark_flags(session, {environment_id}, {flag})
    if not found:
        return False, []
    values = {"environment": environment_id, "flag": flag, "since": found[0].since}
    rows = await session.execute(_ALERTS, values)
    return True, [BrokenDarkness(row.variant, int(row.evaluations)) for row in rows]


def _values(asked: Stretch) -> dict[str, object]:
    return {"environment": asked.environment_id, "flag": asked.flag, "since": asked.since, "until": asked.until}


_ERRORS: Final = text("""
SELECT coalesce(sum(count), 0) AS evaluations, coalesce(sum(count) FILTER (WHERE reason = 'ERROR'), 0) AS errors,
    max(minute) AS last_minute
FROM exposure_count
WHERE environment_id = :environment AND flag = :flag AND minute >= :since AND minute < :until
""")
_LAST: Final = text("""
SELECT max(minute) FROM exposure_count
WHERE environment_id = :environment AND flag = :flag AND variant = :variant
    AND minute >= date_trunc('minute', CAST(:since AS timestamptz)) AND minute < :until
""")
_DOINGS: Final = text("""
WITH subject AS (
    SELECT targeting_key, min(variant) AS variant, min(at) AS first_at FROM exposure
    WHERE environment_id = :environment AND flag = :flag AND at >= :told_since AND at < :until
        AND variant = ANY (:variants)
    GROUP BY targeting_key HAVING min(variant) = max(variant) AND min(at) >= :since
), done AS (
    SELECT s.variant, count(o.id) AS times, coalesce(sum(o.value), 0) AS total
    FROM subject s LEFT JOIN outcome o ON o.environment_id = :environment AND o.name = :event
        AND o.targeting_key = s.targeting_key AND o.at >= s.first_at AND o.at < :until
    GROUP BY s.targeting_key, s.variant
)
SELECT variant, count(*) AS subjects, count(*) FILTER (WHERE times > 0) AS did, sum(total) AS total,
    sum(total * total) AS squares
FROM done GROUP BY variant
""")
_ALERTS: Final = text("""
SELECT variant, evaluations FROM darkness_alert
WHERE environment_id = :environment AND flag = :flag AND dark_since = :since ORDER BY variant
""")
