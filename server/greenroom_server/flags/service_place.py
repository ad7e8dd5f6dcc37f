"""A place in the store: found by its path in one statement, and what became of it written in one.

The rows that are locked are read as they are when the lock is got, and not as they were when it was asked for: so it is
for rows that a statement waits for (PostgreSQL's manual, "Read Committed Isolation Level").
"""

from dataclasses import fields
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import Record, fetch_all, fetch_one
from greenroom_server.errors import NotFound
from greenroom_server.flags.place import Place, PlacedConfiguration, PlacedEnvironment, PlacedFlag, PlacedProject
from greenroom_server.flags.service_scope import get_environment, get_flag, get_project
from greenroom_server.web.codec import write_json

Path = tuple[str, str, str]
"""The keys of a project, one of its environments and one of its flags."""

_CONFIGURATION: Final = tuple(field.name for field in fields(PlacedConfiguration))
_PLACE: Final = f"""
SELECT p.id AS project_id, e.id AS environment_id, e.tier, e.revision, f.id AS flag_id, f.type, f.variants,
    f.client_visible, f.track_exposures, f.archived_at, {", ".join(f"c.{name}" for name in _CONFIGURATION)},
    EXISTS (SELECT FROM policy_activation policy WHERE policy.project_id = p.id) OR EXISTS (
        SELECT FROM approval_setting asking WHERE asking.environment_id = e.id AND asking.required > 0
    ) AS is_governed
FROM project p
JOIN environment e ON e.project_id = p.id
JOIN flag f ON f.project_id = p.id
JOIN flag_configuration c ON c.flag_id = f.id AND c.environment_id = e.id
WHERE p.key = $1 AND e.key = $2 AND f.key = $3
"""  # noqa: S608  names of ours
# INVARIANT: the project comes first, as with every other writer, so that no two of them wait for each other.
LOCKED_PLACE: Final = f"{_PLACE} FOR NO KEY UPDATE OF p, e, f, c"
_DOCUMENTS: Final = ("prerequisites", "rules", "fallthrough")
STORE_PLACE: Final = """
WITH configuration AS (
    UPDATE flag_configuration SET enabled = $5, off_variant = $6, prerequisites = $7, rules = $8, fallthrough = $9,
        version = $10, served_revision = $3, reach = $11, document_bytes = $12, updated_at = $13
    WHERE flag_id = $1 AND environment_id = $2
), environment AS (
    UPDATE environment SET revision = $3, published_at = $13 WHERE id = $2
)
INSERT INTO environment_change (environment_id, revision, flags, segments) VALUES ($2, $3, ARRAY[$4::text], '{}')
"""


async def get_place(session: AsyncSession, path: Path, *, lock: bool = False) -> Place:
    """The place; with `lock`, no other writer of its project runs until the transaction ends.

    Raises `NotFound` naming what is not there.
    """
    query = LOCKED_PLACE if lock else _PLACE
    found = await fetch_one(session, query, *path)
    if found is None:
        # It may be new, made by who held the lock.
        project = await get_project(session, path[0], lock=lock)
        found = await fetch_one(session, query, *path)
        if found is None:
            await get_environment(session, project, path[1])
            await get_flag(session, project, path[2])
            raise NotFound(f"flag `{path[2]}` has no configuration in `{path[1]}`")
    return _place(path, found)


async def store_place(session: AsyncSession, place: Place) -> None:
    """Write the configuration and its environment's next revision, which a `Place` that was locked has reached."""
    row, environment = place.configuration, place.environment
    await fetch_all(
        session,
        STORE_PLACE,
        place.flag.id,
        environment.id,
        environment.revision,
        place.flag.key,
        row.enabled,
        row.off_variant,
        *(write_json(getattr(row, name)).decode() for name in _DOCUMENTS),
        row.version,
        row.reach,
        row.document_bytes,
        row.updated_at,
    )


def _place(path: Path, found: Record) -> Place:
    project_key, environment_key, flag_key = path
    return Place(
        PlacedProject(found["project_id"], project_key, found["is_governed"]),
        PlacedEnvironment(
            found["environment_id"], environment_key, found["project_id"], found["tier"], found["revision"]
        ),
        PlacedFlag(
            found["flag_id"],
            flag_key,
            found["type"],
            found["variants"],
            found["client_visible"],
            found["track_exposures"],
            found["archived_at"],
        ),
        PlacedConfiguration(*[found[name] for name in _CONFIGURATION]),
    )
