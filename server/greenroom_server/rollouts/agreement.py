"""Four eyes on releases: where an environment wants others to agree, the approvals of the plan are their word.

A plan that enough people approved, whichever of its steps they approved, may serve all that it says.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from greenroom_server.change_requests.gate import FourEyes, policy_gate_of, standing_before
from greenroom_server.change_requests.judging import Demand
from greenroom_server.change_requests.service_settings import demand_of, setting_of
from greenroom_server.errors import ApprovalRequired, Conflict
from greenroom_server.flags.service_scope import get_environment, get_project
from greenroom_server.flags.work import Work
from greenroom_server.rollouts.service_scope import Release


@asynccontextmanager
async def agreed_by_plan(work: Work, release: Release) -> AsyncIterator[None]:
    """What the flags serve in this block is agreed to if enough other people approved the plan as it is.

    Raises `Conflict` with `approval_missing` where somebody has to agree, and too few have.
    """
    demand, key = await demand_there(work, release), release.row.environment
    have = len(_approvers(work, release, demand))
    agreed = [key] if have >= demand.required else []
    try:
        with standing_before(work.session, FourEyes(policy_gate_of(work.session), agreed)):
            yield
    except ApprovalRequired:
        wanted = f"`{key}` wants {demand.required} others to agree, and {have} approved this plan"
        raise Conflict(f"{wanted}: have it approved (`POST …/approve`)", code="approval_missing") from None


async def demand_there(work: Work, release: Release) -> Demand:
    """What the release's environment wants before it serves something else."""
    project = await get_project(work.session, release.row.project)
    environment = await get_environment(work.session, project, release.row.environment)
    return demand_of(await setting_of(work.session, environment.id))


def _approvers(work: Work, release: Release, demand: Demand) -> set[str]:
    """Who approved the plan as it is, in a role that counts, and not too long ago."""
    return {
        one.person
        for one in release.approvals
        if one.digest == release.plan.digest
        and work.now < one.at + demand.expires_after
        and (not demand.roles or not demand.roles.isdisjoint(one.roles))
    }
