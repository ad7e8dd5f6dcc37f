"""What was served, how often and to how many, over time; and what applications tracked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import text

from greenroom_server.exposures.wire import FlagExposuresOut, OutcomeSumOut, ServedOut, ServedPointOut
from greenroom_server.flags.service_scope import get_environment, get_flag, get_project
from greenroom_server.flags.work import Work

Step = Literal["minute", "hour", "day"]
MAX_NAMES: Final = 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `since` up to and without `until`, in steps."""

    since: datetime
    until: datetime
    step: Step = "hour"


async def flag_exposures(work: Work, project_key: str, environment_key: str, flag_key: str, stretch: Stretch) -> Any:
    """By variant: evaluations (of all that was counted), and distinct subjects (of what was reported one by one)."""
    environment_id = await environment_id_of(work, project_key, environment_key)
    await get_flag(work.session, await get_project(work.session, project_key), flag_key)
    values = {
        "environment": environment_id,
        "flag": flag_key,
        "since": stretch.since,
        "until": stretch.until,
        "step": stretch.step,
    }
    counted = {_key(row): int(row.number) for row in await work.session.execute(_EVALUATIONS, values)}
    distinct = {_key(row): int(row.number) for row in await work.session.execute(_SUBJECTS, values)}
    keys = sorted(counted.keys() | distinct.keys(), key=lambda key: (key[0] or stretch.until, key[1]))
    numbers = {key: {"evaluations": counted.get(key, 0), "subjects": distinct.get(key, 0)} for key in keys}
    return FlagExposuresOut(
        flag=flag_key,
        environment=environment_key,
        since=stretch.since,
        until=stretch.until,
        step=stretch.step,
        totals=[ServedOut(variant=key[1] or None, **numbers[key]) for key in keys if key[0] is None],
        items=[
            ServedPointOut(at=at, variant=variant or None, **numbers[at, variant])
            for at, variant in keys
            if at is not None
        ],
    )


async def outcomes(work: Work, project_key: str, environment_key: str, stretch: Stretch) -> list[OutcomeSumOut]:
    """What was tracked in the environment, by name; the first names in the order of the alphabet."""
    environment_id = await environment_id_of(work, project_key, environment_key)
    values = {"environment": environment_id, "since": stretch.since, "until": stretch.until, "most": MAX_NAMES}
    rows = await work.session.execute(_OUTCOMES, values)
    return [OutcomeSumOut(name=row.name, count=row.number, subjects=row.subjects, total=row.total) for row in rows]


async def environment_id_of(work: Work, project_key: str, environment_key: str) -> UUID:
    """Raises `NotFound` naming what is not there."""
    project = await get_project(work.session, project_key)
    return (await get_environment(work.session, project, environment_key)).id


def _key(row: Any) -> tuple[datetime | None, str]:
    return row.at, row.variant


# GROUPING SETS: a subject that comes in two stretches is one in all. Without a stretch, `at` is NULL.
_EVALUATIONS: Final = text("""
SELECT date_trunc(:step, minute) AS at, variant, sum(count) AS number FROM exposure_count
WHERE environment_id = :environment AND flag = :flag AND minute >= :since AND minute < :until
GROUP BY GROUPING SETS ((1, 2), (2))
""")
_SUBJECTS: Final = text("""
SELECT date_trunc(:step, at) AS at, variant, count(DISTINCT targeting_key) AS number FROM exposure
WHERE environment_id = :environment AND flag = :flag AND at >= :since AND at < :until
GROUP BY GROUPING SETS ((1, 2), (2))
""")
_OUTCOMES: Final = text("""
SELECT name, count(*) AS number, count(DISTINCT targeting_key) AS subjects, sum(value) AS total FROM outcome
WHERE environment_id = :environment AND at >= :since AND at < :until
GROUP BY name ORDER BY name LIMIT :most
""")
