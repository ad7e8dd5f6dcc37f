"""The revision that every change of what an environment serves moves.

INVARIANT: a revision is taken from the environment's row under its project's lock, in the transaction of the change
that it numbers. A sequence or a clock would let a late commit slip behind a reader for ever.
"""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom.evaluation import limits
from greenroom_server.database.engine import announce
from greenroom_server.errors import LimitExceeded
from greenroom_server.flags.place import Environment, Place
from greenroom_server.flags.service_place import store_place
from greenroom_server.flags.tables import (
    ChangeRow,
    ConfigurationRow,
    EnvironmentRow,
    FlagRow,
    SegmentRow,
)
from greenroom_server.flags.work import Work

_KEPT_CHANGES = 500
# Room for the members around the flags and segments: keys, times, checksum.
_ENVELOPE_BYTES = 4096


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


async def publish_place(work: Work, place: Place, *, may_grow: bool) -> None:
    """`publish` for one configuration as it stands in a locked place, which it also stores."""
    place.environment.revision += 1
    place.configuration.served_revision = place.environment.revision
    await store_place(work.session, place)
    await _prune(work.session, place.environment)
    if may_grow:
        await _check_size(work.session, place.environment)
    await announce(work.session)


async def _prune(session: AsyncSession, environment: Environment) -> None:
    oldest = environment.revision - _KEPT_CHANGES
    if oldest > 0 and oldest % 50 == 0:
        await session.execute(
            delete(ChangeRow).where(col(ChangeRow.environment_id) == environment.id, col(ChangeRow.revision) <= oldest)
        )


async def _check_size(session: AsyncSession, environment: Environment) -> None:
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
