"""Flags that nobody asks for, and keys that are asked for and are no flags."""

from datetime import datetime
from typing import Final

from sqlalchemy import text

from greenroom_server.exposures.wire import CoverageOut, UnknownFlagOut, UnusedFlagOut
from greenroom_server.flags.service_dark import live_keys
from greenroom_server.flags.service_scope import get_environment, get_project
from greenroom_server.flags.work import Work

MAX_UNKNOWN: Final = 200


async def coverage(work: Work, project_key: str, environment_key: str, since: datetime) -> CoverageOut:
    """Judged by the counts since then; a flag with `track_exposures: none` always looks unused."""
    project = await get_project(work.session, project_key)
    environment = await get_environment(work.session, project, environment_key)
    keys = await live_keys(work.session, project.id)
    place = {"environment": environment.id}
    last = await work.session.execute(_LAST, {**place, "flags": keys})
    unknown = await work.session.execute(_UNKNOWN, {**place, "flags": keys, "since": since, "most": MAX_UNKNOWN})
    return CoverageOut(
        environment=environment_key,
        since=since,
        unused=[
            UnusedFlagOut(flag=row.flag, last_evaluated_at=row.at) for row in last if row.at is None or row.at < since
        ],
        unknown=[UnknownFlagOut.model_validate(dict(row)) for row in unknown.mappings()],
    )


_LAST: Final = text("""
SELECT known.flag, (SELECT max(minute) FROM exposure_count
    WHERE environment_id = :environment AND flag = known.flag) AS at
FROM unnest(CAST(:flags AS text[])) AS known(flag) ORDER BY 1
""")
# From one key in the index to the next, over all the minutes between them.
_UNKNOWN: Final = text("""
WITH RECURSIVE reported(flag) AS (
    SELECT min(flag) FROM exposure_count WHERE environment_id = :environment
    UNION ALL
    SELECT (SELECT min(flag) FROM exposure_count WHERE environment_id = :environment AND flag > reported.flag)
    FROM reported WHERE reported.flag IS NOT NULL
)
SELECT reported.flag, sum(one.count)::bigint AS evaluations, max(one.minute) AS last_evaluated_at
FROM reported JOIN exposure_count one
    ON one.environment_id = :environment AND one.flag = reported.flag AND one.minute >= :since
WHERE reported.flag <> ALL (CAST(:flags AS text[]))
GROUP BY 1 ORDER BY 1 LIMIT :most
""")
