"""What an environment serves, as delivery and the explanation of an evaluation read it.

All of it wants a session that sees one state of the database throughout (`Database.reading`), and nothing unflushed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.database.direct import fetch_all, fetch_one
from greenroom_server.flags.documents import CONFIGURED, SERVED_OF_FLAG, moment
from greenroom_server.flags.tables import EnvironmentRow, ProjectRow

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class EnvironmentRef:
    """An environment and how far it is."""

    id: UUID
    project_key: str
    environment_key: str
    revision: int


async def environments(session: AsyncSession) -> list[EnvironmentRef]:
    """All environments of the installation."""
    query = (
        select(EnvironmentRow, col(ProjectRow.key))
        .join(ProjectRow, col(ProjectRow.id) == col(EnvironmentRow.project_id))
        .order_by(col(ProjectRow.key), col(EnvironmentRow.position))
    )
    return [
        EnvironmentRef(row.id, project_key, row.key, row.revision)
        for row, project_key in (await session.execute(query))
    ]


async def standing(session: AsyncSession, ids: Collection[UUID]) -> tuple[str, dict[UUID, int]]:
    """The epoch, and how far these environments are; deleted ones are missing from the answer."""
    rows = await fetch_all(session, _STANDING, list(ids))
    return rows[0]["epoch"], {row["id"]: row["revision"] for row in rows if row["id"] is not None}


async def epoch(session: AsyncSession) -> str:
    """Names this history of the database; it changes when the database is restored, copied or failed over.

    Made of the cluster's identity and timeline (`pg_control_system`, `pg_control_checkpoint`) and of the object ids of
    the database and of one table, since a dump that is loaded again gets new ones.
    """
    found, _ = await standing(session, ())
    return found


_STANDING: Final = """
SELECT left(md5(concat_ws('/',
    (SELECT system_identifier FROM pg_control_system()),
    (SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    'environment'::regclass::oid)), 12) AS epoch, environment.id, environment.revision
FROM (SELECT) AS always LEFT JOIN environment ON environment.id = ANY($1::uuid[])
"""


async def load_environment(session: AsyncSession, environment_id: UUID) -> dict[str, Any] | None:
    """The environment's whole snapshot document, without `epoch` and `checksum`; None if it is gone."""
    found = await fetch_one(session, _ENVIRONMENT, environment_id)
    if found is None:
        return None
    return {
        **_envelope(found["project"], found["key"], found["published_at"]),
        "revision": found["revision"],
        "flags": await _flags(session, environment_id, None),
        "segments": await _segments(session, found["project_id"], None),
    }


_ENVIRONMENT: Final = """
SELECT p.key AS project, p.id AS project_id, e.key, e.published_at, e.revision
FROM environment e JOIN project p ON p.id = e.project_id WHERE e.id = $1
"""


async def load_part(
    session: AsyncSession, project: ProjectRow, environment: EnvironmentRow, flag_key: str
) -> dict[str, Any]:
    """The part of the environment's snapshot document that evaluating one flag takes."""
    flags: dict[str, dict[str, Any]] = {}
    asked: set[str] = set()
    wanted = {flag_key}
    while wanted:
        asked |= wanted
        found = await _flags(session, environment.id, wanted)
        flags |= found
        wanted = {one["flag"] for document in found.values() for one in document["prerequisites"]} - asked
    return {
        **_envelope(project.key, environment.key, environment.published_at),
        "revision": environment.revision,
        "flags": flags,
        "segments": await _segments(session, project.id, None),
    }


async def load_change(session: AsyncSession, environment_id: UUID, since: int) -> dict[str, Any] | None:
    """What changed in the environment after revision `since`, without `epoch` and `checksum`.

    None if the environment is gone, is not past `since`, or the way from there is no longer known: load it all.
    """
    changes = await fetch_all(session, _CHANGES, environment_id, since)
    if not changes or len(changes) != changes[0]["revision"] - since:
        return None
    environment = changes[0]
    flag_keys = {key for change in changes for key in change["flags"]}
    segment_keys = {key for change in changes for key in change["segments"]}
    flags = await _flags(session, environment_id, flag_keys)
    segments = await _segments(session, environment["project_id"], segment_keys)
    return {
        **_envelope(environment["project"], environment["key"], environment["published_at"]),
        "from": since,
        "to": environment["revision"],
        "flags": {"put": flags, "removed": sorted(flag_keys - flags.keys())},
        "segments": {"put": segments, "removed": sorted(segment_keys - segments.keys())},
    }


_CHANGES: Final = """
SELECT p.key AS project, p.id AS project_id, e.key, e.published_at, e.revision, c.flags, c.segments
FROM environment e
JOIN project p ON p.id = e.project_id
JOIN environment_change c ON c.environment_id = e.id AND c.revision > $2
WHERE e.id = $1
"""


async def _flags(
    session: AsyncSession, environment_id: UUID, keys: Collection[str] | None
) -> dict[str, dict[str, Any]]:
    """Flags that are not archived as the environment's snapshot has them, by key and in the order of the keys."""
    wanted = None if keys is None else list(keys)
    rows = await fetch_all(session, _FLAGS, environment_id, wanted) if wanted != [] else []
    return {row["key"]: dict(row) for row in rows}


# The columns are the members of `documents.flag_document`, in its order.
_FLAGS: Final = f"""
SELECT {", ".join(f"f.{name}" for name in SERVED_OF_FLAG)}, c.served_revision AS version,
    {", ".join(f"c.{name}" for name in CONFIGURED)}
FROM flag_configuration c JOIN flag f ON f.id = c.flag_id
WHERE c.environment_id = $1 AND f.archived_at IS NULL AND ($2::text[] IS NULL OR f.key = ANY($2))
ORDER BY f.key
"""  # noqa: S608  names of ours


async def _segments(session: AsyncSession, project_id: UUID, keys: Collection[str] | None) -> dict[str, dict[str, Any]]:
    """The project's segments as a snapshot has them."""
    wanted = None if keys is None else list(keys)
    rows = await fetch_all(session, _SEGMENTS, project_id, wanted) if wanted != [] else []
    return {row["key"]: dict(row) for row in rows}


# The columns are the members of `documents.segment_document`, in its order.
_SEGMENTS: Final = """
SELECT key, condition AS "when", version FROM segment
WHERE project_id = $1 AND ($2::text[] IS NULL OR key = ANY($2))
ORDER BY key
"""


def _envelope(project_key: str, environment_key: str, published_at: datetime) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "project": project_key,
        "environment": environment_key,
        "published_at": moment(published_at),
    }
