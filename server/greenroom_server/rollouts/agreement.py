"""Four eyes on releases: where an environment wants others to agree, the approvals of the plan are their word.

A plan that enough people approved, whichever of its steps they approved, may serve all that it says. Ways back need
nobody: they take from people only what the release gave them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from greenroom_server.change_requests.judging import Demand
from greenroom_server.change_requests.service_settings import demands_of
from greenroom_server.errors import Conflict
from greenroom_server.flags.approvals import ApprovalGate, approved_by
from greenroom_server.flags.place import Environment, Project
from greenroom_server.flags.work import Work
from greenroom_server.rollouts.service_scope import Release


class _PlanAgreed:
    """An `ApprovalGate` for the steps of a plan."""

    def __init__(self, release: Release) -> None:
        self._release = release

    async def require(self, work: Work, project: Project, environments: list[Environment]) -> None:
        """Raises `Conflict` unless enough other people approved the plan as it is."""
        demands = await demands_of(work.session, [one.id for one in environments])
        for one in environments:
            demand = demands.get(one.id, Demand())
            have = len(approvers_of(work, self._release, demand))
            if have < demand.required:
                raise Conflict(
                    f"`{one.key}` wants {demand.required} others to agree, and {have} approved this plan: have it"
                    " approved (`POST …/approve`)",
                    code="approval_missing",
                )


class _NobodyNeeded:
    """An `ApprovalGate` for ways back."""

    async def require(self, work: Work, project: Project, environments: list[Environment]) -> None:
        return


@contextmanager
def agreed_by_plan(work: Work, release: Release, *, is_way_back: bool) -> Iterator[None]:
    """What flags are changed in this block is agreed to by the approvals of the plan, or needs no agreement."""
    gate: ApprovalGate = _NobodyNeeded() if is_way_back else _PlanAgreed(release)
    with approved_by(work.session, gate):
        yield


def approvers_of(work: Work, release: Release, demand: Demand) -> set[str]:
    """Who approved the plan as it is, in a role that counts, and not too long ago."""
    return {
        one.person
        for one in release.approvals
        if one.digest == release.plan.digest
        and work.now < one.at + demand.expires_after
        and (not demand.roles or not demand.roles.isdisjoint(one.roles))
    }


async def demand_in(work: Work, environment_id: UUID) -> Demand:
    """What the environment wants before it serves something else."""
    return (await demands_of(work.session, [environment_id])).get(environment_id, Demand())
