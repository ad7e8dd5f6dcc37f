"""Finding a release with all that its moves are decided on, and writing down where it stands.

INVARIANT: the project's row is locked first, as by every writer of flags, then the release's. What is written names the
version that it was decided on, so that of two servers one is refused, whatever they believe about locks and clocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CursorResult, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.errors import Conflict, NotFound
from greenroom_server.flags.service_scope import get_environment, get_project
from greenroom_server.flags.work import Verdict, Work, require_environments
from greenroom_server.rollouts.plan import ALLOWED, Command, Given, Plan, Standing
from greenroom_server.rollouts.reading import parts_of, plan_of, stored
from greenroom_server.rollouts.schedule import instant_of, moment_at
from greenroom_server.rollouts.serving import Part
from greenroom_server.rollouts.tables import ReleaseApprovalRow, ReleaseFlagRow, ReleaseRow

_CLOCK: Final = text("SELECT clock_timestamp()")
_MOMENTS: Final = ("since", "counts_from", "due_at", "waits_until")


class Fenced(Conflict):
    """somebody else moved this release meanwhile"""


@dataclass(slots=True)
class Release:
    """A release with its plan, where it stands, and what it wrote to its flags.

    `verdicts` are what the release policy said of what was written in this transaction.
    """

    row: ReleaseRow
    plan: Plan
    parts: tuple[Part, ...]
    at: Standing
    written: dict[str, ReleaseFlagRow]
    approvals: list[ReleaseApprovalRow]
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def path(self) -> str:
        return release_path(self.row.project, self.row.key)


async def store_time(session: AsyncSession) -> datetime:
    """What the store's clock shows: releases go by it alone, so servers whose clocks differ agree."""
    found: datetime = (await session.execute(_CLOCK)).scalar_one()
    return found


async def on_store_time(work: Work) -> Work:
    return replace(work, now=await store_time(work.session))


async def open_release(work: Work, project_key: str, key: str, *, lock: bool = False) -> Release:
    """The release; with `lock`, neither its flags nor itself change until the transaction ends.

    Raises `NotFound`, also for a release in an environment that is hidden from the caller.
    """
    project = await get_project(work.session, project_key, lock=lock)
    query = select(ReleaseRow).where(col(ReleaseRow.project_id) == project.id, col(ReleaseRow.key) == key)
    release = await _load(work.session, query, lock=lock)
    if release is None or not work.principal.sees_environment(release.row.environment):
        raise NotFound(f"there is no release `{key}` in project `{project_key}`")
    return release


async def find_release(session: AsyncSession, release_id: UUID, *, version: int | None = None) -> Release | None:
    """The release of this id, unless it is gone; with a `version`, locked, and only if it is still at that one."""
    query = select(ReleaseRow).where(col(ReleaseRow.id) == release_id)
    if version is None:
        return await _load(session, query)
    project = (await session.scalars(select(col(ReleaseRow.project)).where(col(ReleaseRow.id) == release_id))).first()
    if project is None:
        return None
    await get_project(session, project, lock=True)
    release = await _load(session, query, lock=True)
    return release if release is not None and release.row.version == version else None


def require_state(release: Release, command: Command) -> None:
    """Raises `Conflict` unless this can be done to the release as it stands."""
    if release.at.state not in ALLOWED[command]:
        allowed = ", ".join(sorted(ALLOWED[command]))
        detail = f"the release `{release.row.key}` is {release.at.state}: only one that is {allowed} can be told to"
        raise Conflict(f"{detail} {command}", code="release_state")


async def require_business(work: Work, project_key: str, environment_key: str) -> None:
    """Raises `Forbidden` unless the caller may start things there. Nothing is served in an environment that is gone."""
    project = await get_project(work.session, project_key)
    try:
        environment = await get_environment(work.session, project, environment_key)
    except NotFound:
        return
    require_environments(work, [environment], "this release changes what is served in")


async def write_standing(work: Work, release: Release, at: Standing, **others: Any) -> None:
    """Write down where the release stands now, with other columns; raises `Fenced` if it was moved meanwhile."""
    values: dict[str, Any] = {name: _moment(getattr(at, name)) for name in _MOMENTS}
    values |= {"state": at.state, "step": at.step, "is_dark": at.is_dark, **others}
    await write_release(work, release, values)
    release.at = at


async def write_release(work: Work, release: Release, values: Mapping[str, Any]) -> None:
    """Give columns new values, and the release its next version; raises `Fenced` if it was moved meanwhile."""
    row, seen = release.row, release.row.version
    values = {**values, "version": seen + 1, "updated_at": work.now}
    query = update(ReleaseRow).where(col(ReleaseRow.id) == row.id, col(ReleaseRow.version) == seen).values(**values)
    done: CursorResult[Any] = await work.session.execute(  # type: ignore[assignment]
        query.execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:
        raise Fenced
    await work.session.refresh(row)


def release_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/releases/{key}"


async def _load(session: AsyncSession, query: Any, *, lock: bool = False) -> Release | None:
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    row: ReleaseRow | None = (await session.scalars(query)).one_or_none()
    if row is None:
        return None
    flags = await session.scalars(select(ReleaseFlagRow).where(col(ReleaseFlagRow.release_id) == row.id))
    approvals = list(
        await session.scalars(
            select(ReleaseApprovalRow)
            .where(col(ReleaseApprovalRow.release_id) == row.id)
            .order_by(col(ReleaseApprovalRow.at), col(ReleaseApprovalRow.id))
        )
    )
    wanted = stored(row.document, row)
    written = {flag.flag: flag for flag in flags}
    return Release(row, plan_of(wanted), parts_of(wanted), _standing(row, approvals), written, approvals)


def _standing(row: ReleaseRow, approvals: list[ReleaseApprovalRow]) -> Standing:
    given = tuple(Given(one.digest, one.step, one.person, frozenset(one.roles)) for one in approvals)
    return Standing(
        state=row.state,  # type: ignore[arg-type]  # written by `write_standing` alone
        step=row.step,
        is_dark=row.is_dark,
        held_at=None if row.hold is None else instant_of(datetime.fromisoformat(row.hold["at"])),
        held_by=None if row.hold is None else row.hold["code"],
        approvals=given,
        **{name: instant_of(getattr(row, name)) for name in _MOMENTS},
    )


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment_at(at)
