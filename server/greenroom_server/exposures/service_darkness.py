"""Watches that what is dark stays dark: another variant that was served all the same raises an alert, once."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.audit.service import Event, record
from greenroom_server.exposures.wire import DarknessAlertOut
from greenroom_server.flags.service_dark import DarkFlag, dark_flags
from greenroom_server.flags.service_projects import environment_path
from greenroom_server.flags.service_scope import environments_of, get_project
from greenroom_server.flags.work import Work
from greenroom_server.webhooks.events import Happening
from greenroom_server.webhooks.service_outbox import enqueue

# How long a change may take to reach the last instance.
GRACE: Final = timedelta(minutes=2)
# Counts may come late: an application that was cut off reports when it is back.
LOOKED_BACK: Final = timedelta(hours=6)
MAX_ALERTS: Final = 200
ACTOR: Final = "greenroom:darkness"
ACTION: Final = "flag.served_while_dark"
_LOCK: Final = 0x6461726B6E657373  # "darkness"


async def watch_darkness(session: AsyncSession, now: datetime) -> int:
    """Raise alerts for what was served lately and should not have been; how many are new. One server at a time."""
    if not (await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK})):
        return 0
    served = list(await session.execute(_SERVED, {"since": now - LOOKED_BACK}))
    dark = await dark_flags(session, {row.environment_id for row in served}, {row.flag for row in served})
    raised = 0
    for flag, variant in _suspicions(served, {(one.environment_id, one.flag): one for one in dark}):
        raised += await _raise_alert(session, flag, variant, now)
    return raised


async def darkness_alerts(work: Work, project_key: str) -> list[DarknessAlertOut]:
    """The project's alerts in the environments that the caller may see, newest first."""
    project = await get_project(work.session, project_key)
    seen = {row.id: row.key for row in await environments_of(work.session, project)}
    visible = [id_ for id_, key in seen.items() if work.principal.sees_environment(key)]
    rows = await work.session.execute(_ALERTS, {"environments": visible, "most": MAX_ALERTS})
    return [
        DarknessAlertOut.model_validate({**row, "environment": seen[id_]})
        for row in map(dict, rows.mappings())
        for id_ in [row.pop("environment_id")]
    ]


def _suspicions(served: Iterable[Any], dark: dict[tuple[UUID, str], DarkFlag]) -> Iterable[tuple[DarkFlag, str]]:
    for row in served:
        flag = dark.get((row.environment_id, row.flag))
        if flag is not None and row.variant != flag.off_variant and row.last_at >= flag.since + GRACE:
            yield flag, row.variant


async def _raise_alert(session: AsyncSession, flag: DarkFlag, variant: str, now: datetime) -> bool:
    place = {"environment": flag.environment_id, "flag": flag.flag, "variant": variant, "dark_since": flag.since}
    found = (await session.execute(_RAISE, {**place, "from_minute": flag.since + GRACE, "now": now})).one_or_none()
    if found is None or not found.is_new:
        return False
    data = {
        "project": flag.project,
        "environment": flag.environment,
        "flag": flag.flag,
        "variant": variant,
        "evaluations": found.evaluations,
        "since": flag.since,
    }
    await enqueue(session, Happening(flag.project, ACTION, now, data, environment=flag.environment))
    target = f"{environment_path(flag.project, flag.environment)}/flags/{flag.flag}"
    change = {"path": "/served_while_dark", "op": "add", "to": variant}
    await record(session, Event(flag.project, ACTOR, ACTION, target, [change]), now)
    return True


_SERVED: Final = text("""
SELECT environment_id, flag, variant, max(minute) AS last_at FROM exposure_count
WHERE minute >= :since AND variant <> '' GROUP BY environment_id, flag, variant
""")
# Of an upserted row, `xmax` is zero if it is new.
_RAISE: Final = text("""
INSERT INTO darkness_alert (environment_id, flag, variant, dark_since, first_at, last_at, evaluations, raised_at)
SELECT :environment, :flag, :variant, :dark_since, min(minute), max(minute), sum(count), :now FROM exposure_count
WHERE environment_id = :environment AND flag = :flag AND variant = :variant AND minute >= :from_minute
HAVING count(*) > 0
ON CONFLICT (environment_id, flag, variant, dark_since)
DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at, evaluations = excluded.evaluations
RETURNING xmax = 0 AS is_new, evaluations
""")
_ALERTS: Final = text("""
SELECT environment_id, flag, variant, dark_since, first_at, last_at, evaluations, raised_at FROM darkness_alert
WHERE environment_id = ANY (:environments) ORDER BY raised_at DESC, environment_id, flag, variant LIMIT :most
""")
