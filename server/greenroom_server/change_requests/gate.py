"""The gates on what environments serve: the one that everybody stands before, and those of this area's own work.

Each stands before the release policy's gate, and is asked in its place (`flags.gate.ReleaseGate`).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.change_requests.service_settings import asking_environments
from greenroom_server.errors import ApprovalRequired
from greenroom_server.flags.gate import GATE, FlagChange, ReleaseGate, Watch, gate_of
from greenroom_server.flags.place import Project
from greenroom_server.flags.service_projects import environment_path
from greenroom_server.flags.work import Verdict, Work


class FourEyes:
    """Lets nobody serve more alone, or end what is served, where an environment asks for others.

    Taking away is always allowed. `agreed` are the environments in which others have agreed to these very changes.
    """

    def __init__(self, policy: ReleaseGate, agreed: Collection[str] = ()) -> None:
        self.policy = policy
        self._agreed = frozenset(agreed)

    async def watch(self, work: Work, project: Project) -> Watch:
        asking = await asking_environments(work.session, project.id)
        found = await self.policy.watch(work, project)
        return replace(found, environments=found.environments | asking)

    async def judge(self, work: Work, project: Project, changes: Sequence[FlagChange]) -> Sequence[Verdict]:
        asking = await asking_environments(work.session, project.id)
        needing = sorted(touched_by(changes) & asking - self._agreed)
        if needing:
            raise ApprovalRequired(needing, requests_path(project.key, needing[0]))
        watched = (await self.policy.watch(work, project)).environments
        known = [change for change in changes if change.environment in watched]
        return await self.policy.judge(work, project, known) if known else ()


class Listening:
    """Lets everything go through and remembers it: for trying out, and for asking once about many changes."""

    def __init__(self, gate: ReleaseGate, environment: str) -> None:
        self._gate = gate
        self._environment = environment
        self.heard: dict[tuple[str, str], FlagChange] = {}

    async def watch(self, work: Work, project: Project) -> Watch:
        found = await self._gate.watch(work, project)
        return replace(found, environments=found.environments | {self._environment})

    async def judge(self, work: Work, project: Project, changes: Sequence[FlagChange]) -> Sequence[Verdict]:
        for change in changes:
            place = (change.environment, change.flag)
            before = self.heard.get(place, change)
            self.heard[place] = replace(
                change,
                is_release=change.is_release or before.is_release,
                is_end=change.is_end or before.is_end,
            )
        return ()


class Answered:
    """Asks nobody: all was asked before, about all of it at once."""

    async def watch(self, work: Work, project: Project) -> Watch:
        return Watch()

    async def judge(self, work: Work, project: Project, changes: Sequence[FlagChange]) -> Sequence[Verdict]:
        return ()


def touched_by(changes: Collection[FlagChange]) -> frozenset[str]:
    """The environments that serve more, or end what they served."""
    return frozenset(change.environment for change in changes if change.is_release or change.is_end)


def policy_gate_of(session: AsyncSession) -> ReleaseGate:
    """The release policy's own gate, behind that of this area."""
    gate = gate_of(session)
    return gate.policy if isinstance(gate, FourEyes) else gate


@contextmanager
def standing_before(session: AsyncSession, gate: ReleaseGate) -> Iterator[None]:
    """Another gate for this block."""
    before = gate_of(session)
    session.info[GATE] = gate
    try:
        yield
    finally:
        session.info[GATE] = before


def requests_path(project_key: str, environment_key: str) -> str:
    return f"{environment_path(project_key, environment_key)}/change-requests"
