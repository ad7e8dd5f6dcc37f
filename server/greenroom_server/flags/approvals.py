"""Whether others must agree before an environment serves something else: asked here, answered by an area above.

The gate stands in the session, put there for every transaction of the server (`Database.info`), so no verb and no
background work can do without it. Without a server, as in `seed`, there is none.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.flags.place import Environment, Project
from greenroom_server.flags.work import Work

APPROVALS: Final = "greenroom.approvals"
"""Where a session keeps its `ApprovalGate`."""


class ApprovalGate(Protocol):
    """Supplied by `change_requests`."""

    async def require(self, work: Work, project: Project, environments: list[Environment]) -> None:
        """Raises `ApprovalRequired` if others must agree before one of these serves something else.

        The project is locked, so what it answers holds until the transaction ends.
        """
        ...


async def require_approval(work: Work, project: Project, environments: Iterable[Environment]) -> None:
    """Raises `ApprovalRequired` unless these environments may serve something else.

    For what may give anybody anything but the dark variant, or ends what they have otherwise than by darkening it.
    """
    gate: ApprovalGate | None = work.session.info.get(APPROVALS)
    wanted = list(environments)
    if gate is not None and wanted:
        await gate.require(work, project, wanted)


@contextmanager
def approved_by(session: AsyncSession, gate: ApprovalGate) -> Iterator[None]:
    """Another gate for this block: of who has already seen to it."""
    before = session.info.get(APPROVALS)
    session.info[APPROVALS] = gate
    try:
        yield
    finally:
        session.info[APPROVALS] = before
