"""From rows to what SDKs get: the documents of an environment, and the revision that every change moves.

INVARIANT: a revision is taken from the environment's row under its project's lock, in the transaction of the change
that it numbers. A sequence or a clock would let a late commit slip behind a reader for ever.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom.evaluation import limits
from greenroom_server.database.engine import announce
from greenroom_server.errors import LimitExceeded
from greenroom_server.flags.documents import flag_document, moment, segment_document
from greenroom_server.flags.tables import (
    ChangeRow,
    ConfigurationRow,
    EnvironmentRow,
    FlagRow,
    ProjectRow,
    SegmentRow,
)
from greenroom_server.flags.work import Work

SCHEMA = 1
_KEPT_CHANGES = 500
# Room for the members around the flags and segments: keys, times, checksum.
_ENVELOPE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class EnvironmentRef:
    """An environment and how far it is."""

    id: UUID
    project_key: str
    environment_key: str
    revision: int


async def publish(
    work: Work,
    environments: Iterable[EnvironmentRow],
    *,
    flags: Mapping[str, Collection[ConfigurationRow]] | None = None,
    segment_keys: Collection[str] = (),
    may_grow: bool = True,
) -> None:
    """Give each environment its next revision, saying which flags and segments it touches, put or removed.

    `flags` has the touched configurations by flag key; those of other environments are passed over. Raises
    `LimitExceeded` when an environment's snapshot would grow past what SDKs take.
    """
    for environment in environments:
        await publish_one(work, environment, flags=flags or {}, segment_keys=segment_keys, may_grow=may_grow)
    await announce(work.session)


async def publish_one(
    work: Work,
    environment: EnvironmentRow,
    *,
    flags: Mapping[str, Collection[ConfigurationRow]],
    segment_keys: Collection[str] = (),
    may_grow: bool = True,
) -> None:
    """`publish` for one environment, without the announcement, which one transaction needs only once."""
    environment.revision += 1
    environment.published_at = work.now
    work.session.add(
        ChangeRow(
            environment_id=environment.id,
            revision=environment.revision,
            flags=sorted(flags),
            segments=sorted(segment_keys),
        )
    )
    for rows in flags.values():
        for row in rows:
            if row.environment_id == environment.id:
                row.served_revision = environment.revision
    await work.session.flush()
    await _prune(work.session, environment)
    if may_grow:
        await _check_size(work.session, environment)


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


async def revisions(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, int]:
    """How far these environments are; deleted ones are missing from the answer."""
    query = select(col(EnvironmentRow.id), col(EnvironmentRow.revision))
    rows = await session.execute(query.where(col(EnvironmentRow.id).in_(list(ids))))
    return dict(rows.all())


async def epoch(session: AsyncSession) -> str:
    """Names this history of the database; it changes when the database is restored, copied or failed over.

    Made of the cluster's identity and timeline (`pg_control_system`, `pg_control_checkpoint`) and of the object ids of
    the database and of one table, since a dump that is loaded again gets new ones.
    """
    parts = (await session.execute(text(_EPOCH))).one()
    return str(parts[0])


_EPOCH = """
SELECT left(md5(concat_ws('/',
    (SELECT system_identifier FROM pg_control_system()),
    (SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    'environment'::regclass::oid)), 12)
"""


async def load_environment(session: AsyncSession, environment_id: UUID) -> dict[str, Any] | None:
    """The environment's whole snapshot document, without `epoch` and `checksum`; None if it is gone.

    Wants a session that sees one state of the database throughout (`Database.reading`).
    """
    found = await _environment(session, environment_id)
    if found is None:
        return None
    environment, project = found
    return {
        **_envelope(project, environment),
        "revision": environment.revision,
        "flags": await flag_documents(session, environment),
        "segments": await segment_documents(session, project.id),
    }


async def load_part(
    session: AsyncSession, project: ProjectRow, environment: EnvironmentRow, flag_key: str
) -> dict[str, Any]:
    """The part of the environment's snapshot document that evaluating one flag takes."""
    flags: dict[str, dict[str, Any]] = {}
    asked: set[str] = set()
    wanted = {flag_key}
    while wanted:
        asked |= wanted
        found = await flag_documents(session, environment, wanted)
        flags |= found
        wanted = {one["flag"] for document in found.values() for one in document["prerequisites"]} - asked
    return {
        **_envelope(project, environment),
        "revision": environment.revision,
        "flags": flags,
        "segments": await segment_documents(session, project.id),
    }


async def load_change(session: AsyncSession, environment_id: UUID, since: int) -> dict[str, Any] | None:
    """What changed in the environment after revision `since`, without `epoch` and `checksum`.

    None if the environment is gone, is not past `since`, or the way from there is no longer known: load it all.
    """
    found = await _environment(session, environment_id)
    if found is None or found[0].revision <= since:
        return None
    environment, project = found
    changes = list(
        await session.scalars(
            select(ChangeRow).where(col(ChangeRow.environment_id) == environment_id, col(ChangeRow.revision) > since)
        )
    )
    if len(changes) != environment.revision - since:
        return None
    flag_keys = {key for change in changes for key in change.flags}
    segment_keys = {key for change in changes for key in change.segments}
    put_flags = await flag_documents(session, environment, flag_keys)
    put_segments = await segment_documents(session, project.id, segment_keys)
    return {
        **_envelope(project, environment),
        "from": since,
        "to": environment.revision,
        "flags": {"put": put_flags, "removed": sorted(flag_keys - put_flags.keys())},
        "segments": {"put": put_segments, "removed": sorted(segment_keys - put_segments.keys())},
    }


async def flag_documents(
    session: AsyncSession, environment: EnvironmentRow, keys: Collection[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Flags that are not archived as the environment's snapshot has them, by key and in the order of the keys."""
    query = (
        select(FlagRow, ConfigurationRow)
        .join(ConfigurationRow, col(ConfigurationRow.flag_id) == col(FlagRow.id))
        .where(
            col(ConfigurationRow.environment_id) == environment.id,
            col(FlagRow.archived_at).is_(None),
        )
        .order_by(col(FlagRow.key))
    )
    if keys is not None:
        query = query.where(col(FlagRow.key).in_(list(keys)))
    return {flag.key: flag_document(flag, configuration) for flag, configuration in (await session.execute(query))}


async def segment_documents(
    session: AsyncSession, project_id: UUID, keys: Collection[str] | None = None
) -> dict[str, dict[str, Any]]:
    """The project's segments as a snapshot has them."""
    query = select(SegmentRow).where(col(SegmentRow.project_id) == project_id).order_by(col(SegmentRow.key))
    if keys is not None:
        query = query.where(col(SegmentRow.key).in_(list(keys)))
    return {row.key: segment_document(row) for row in await session.scalars(query)}


def _envelope(project: ProjectRow, environment: EnvironmentRow) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "project": project.key,
        "environment": environment.key,
        "published_at": moment(environment.published_at),
    }


async def _environment(session: AsyncSession, environment_id: UUID) -> tuple[EnvironmentRow, ProjectRow] | None:
    query = (
        select(EnvironmentRow, ProjectRow)
        .join(ProjectRow, col(ProjectRow.id) == col(EnvironmentRow.project_id))
        .where(col(EnvironmentRow.id) == environment_id)
    )
    found: Sequence[Any] | None = (await session.execute(query)).one_or_none()
    return None if found is None else (found[0], found[1])


async def _prune(session: AsyncSession, environment: EnvironmentRow) -> None:
    oldest = environment.revision - _KEPT_CHANGES
    if oldest > 0 and oldest % 50 == 0:
        await session.execute(
            delete(ChangeRow).where(col(ChangeRow.environment_id) == environment.id, col(ChangeRow.revision) <= oldest)
        )


async def _check_size(session: AsyncSession, environment: EnvironmentRow) -> None:
    flags = (
        select(func.coalesce(func.sum(col(ConfigurationRow.document_bytes)), 0).label("bytes"), func.count().label("n"))
        .join(FlagRow, col(FlagRow.id) == col(ConfigurationRow.flag_id))
        .where(col(ConfigurationRow.environment_id) == environment.id, col(FlagRow.archived_at).is_(None))
        .subquery()
    )
    segments = select(func.coalesce(func.sum(col(SegmentRow.document_bytes)), 0)).where(
        col(SegmentRow.project_id) == environment.project_id
    )
    count, size = (await session.execute(select(flags.c.n, flags.c.bytes + segments.scalar_subquery()))).one()
    if count > limits.MAX_FLAGS:
        raise LimitExceeded(
            "flags_per_environment",
            limits.MAX_FLAGS,
            detail=f"a project is limited to {limits.MAX_FLAGS} flags that are not archived",
        )
    if size + _ENVELOPE_BYTES > limits.MAX_SNAPSHOT_BYTES:
        raise LimitExceeded(
            "snapshot_bytes",
            limits.MAX_SNAPSHOT_BYTES,
            detail=f"the snapshot of an environment is limited to {limits.MAX_SNAPSHOT_BYTES} bytes: "
            "archive flags, or make segments and rules smaller",
        )
