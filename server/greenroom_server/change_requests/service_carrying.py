"""Carries changes out by the verbs that everybody else uses, and tries them out.

Trying out is carrying out in a savepoint that is never kept: what is shown before is what is done later, by one code.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from greenroom_server.change_requests.wire import ChangeIn
from greenroom_server.errors import FieldError, Invalid, NotFound
from greenroom_server.flags.checks import under as refused_under
from greenroom_server.flags.service_configurations import roll_out, switch_flag, update_configuration
from greenroom_server.flags.service_flags import archive_flag, restore_flag, update_flag
from greenroom_server.flags.service_segments import update_segment
from greenroom_server.flags.work import Changes, Outcome, Work, under
from greenroom_server.web.conditional import IfMatch

_ANY_VERSION: Final = IfMatch(())
PERMISSIONS: Final = {
    **dict.fromkeys(("configure", "enable", "disable", "rollout"), "configurations.write"),
    **dict.fromkeys(("flag", "archive", "restore"), "flags.write"),
    "segment": "segments.write",
}
"""What the route of each operation asks of its caller."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where changes go: keys of a project and of one of its environments."""

    project: str
    environment: str


async def carry_out(work: Work, target: Target, changes: Sequence[ChangeIn]) -> Changes:
    """Make the changes, in their order; what changed, as an import of the project would tell it.

    Nothing that the session read before is tied to it afterwards.
    """
    free = replace(work, if_match=_ANY_VERSION)
    made: Changes = []
    for index, change in enumerate(changes):
        # One verb writes past the session what the next one reads through it.
        await work.session.flush()
        work.session.expunge_all()
        with refused_under(f"/changes/{index}"):
            try:
                at, outcome = await _carry_out(free, target, change)
            except NotFound as error:
                name = "segment" if change.op == "segment" else "flag"
                raise Invalid(errors=[FieldError(f"/{name}", error.detail)]) from None
        made += under(at, outcome.changes)
    return made


async def _carry_out(work: Work, target: Target, change: ChangeIn) -> tuple[str, Outcome[Any]]:
    project, flag, segment = target.project, change.flag or "", change.segment or ""
    path = (project, target.environment, flag)
    configuration = f"/flags/{flag}/configurations/{target.environment}"
    with refused_under("/patch" if change.patch is not None else "/rollout" if change.rollout is not None else ""):
        match change.op:
            case "configure":
                return configuration, await update_configuration(work, path, change.patch)
            case "enable" | "disable":
                return configuration, await switch_flag(work, path, enabled=change.op == "enable")
            case "rollout":
                assert change.rollout is not None  # noqa: S101 (`content.check_members` has seen to it)
                return configuration, await roll_out(work, path, change.rollout)
            case "flag":
                return f"/flags/{flag}", await update_flag(work, project, flag, change.patch)
            case "archive":
                return f"/flags/{flag}", await archive_flag(work, project, flag)
            case "restore":
                return f"/flags/{flag}", await restore_flag(work, project, flag)
            case "segment":
                return f"/segments/{segment}", await update_segment(work, project, segment, change.patch)


@asynccontextmanager
async def undone(session: AsyncSession) -> AsyncIterator[None]:
    """Whatever the block does to the store is taken back, and nobody is told of it."""
    info = dict(session.info)
    async with attempted(session) as attempt:
        yield
        await session.flush()
        await attempt.rollback()
    session.expunge_all()
    session.info.clear()
    session.info.update(info)


@asynccontextmanager
async def attempted(session: AsyncSession) -> AsyncIterator[AsyncSessionTransaction]:
    """All of the block or, if it raises, nothing of it; the transaction goes on either way."""
    await session.flush()
    async with session.begin_nested() as attempt:
        # The savepoint is made now, and not with the first statement that goes through the session: some go past it.
        await session.connection()
        yield attempt
        if attempt.is_active:
            await session.flush()
