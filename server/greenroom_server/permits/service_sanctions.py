"""By which permit a deployment is let through, and what is told of one that has none."""

from collections.abc import AsyncIterator
from typing import Final

from greenroom_server.decisions.service_decisions import asks_for_permit, keep_decision
from greenroom_server.decisions.service_look import policy_in_force
from greenroom_server.flags.work import Changes, Work
from greenroom_server.permits.desk import Desk
from greenroom_server.permits.permits import PERMIT, Held
from greenroom_server.permits.service_permits import followed, get_permit
from greenroom_server.permits.service_use import bind, end_permit, mark_used, recheck
from greenroom_server.releases.nouns import OBSTACLE
from greenroom_server.releases.sanctions import Move, Sanctioned
from greenroom_server.releases.service_builds import digests_beside
from greenroom_server.releases.service_deployments import deployment_path
from greenroom_server.releases.service_facts import FactFilter, Saying, page_facts, say
from greenroom_server.releases.service_scope import Ledger, Place

UNSANCTIONED: Final = "unsanctioned"
_MOST: Final = 200


class PermitSanctions:
    """`releases.sanctions.Sanctions` by permits. One that is not used yet is decided on anew, and used by that."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def begin(self, work: Work, ledger: Ledger, move: Move) -> Sanctioned:
        """Use the permit for it. Without one, where the policy in force asks for permits, an obstacle is opened."""
        async for held in _open_for(work, ledger, move, ("deploy", "rollback")):
            if await self._takes(work, ledger, held):
                await bind(work, ledger, held, move.deployment)
                return Sanctioned("permit" if held.body["break_glass"] is None else "break_glass", str(held.id))
        policy = await policy_in_force(work.session, self._desk.shelves.policies, ledger.project_id, move.service)
        if not asks_for_permit(policy, move.environment):
            return Sanctioned()
        await _tell(work, ledger, move)
        return Sanctioned(UNSANCTIONED)

    async def end(self, work: Work, ledger: Ledger, permit: str, *, has_failed: bool) -> None:
        """Close the permit, unless it is over."""
        held = await get_permit(work, ledger, permit)
        if held.fact.end is None:
            reason = "the deployment failed" if has_failed else "it is deployed"
            await end_permit(work, ledger, held, "closed", reason)

    async def switch(self, work: Work, ledger: Ledger, move: Move) -> None:
        """Use and close the permit for the switch, if there is one."""
        async for held in _open_for(work, ledger, move, ("switch",)):
            if await self._takes(work, ledger, held):
                await bind(work, ledger, held, move.deployment)
                await end_permit(work, ledger, held, "closed", "the slot has the traffic")
                return

    async def _takes(self, work: Work, ledger: Ledger, held: Held) -> bool:
        """Whether it may be used for this now; one that would not be issued any more is revoked."""
        state = held.state(work.now)
        if state != "open":
            return state == "used"
        again = await recheck(work, self._desk, ledger, held)
        if again.refusal is not None:
            await keep_decision(work, again.made, is_of_permit=True)
            await end_permit(work, ledger, held, "revoked", again.refusal)
            return False
        await mark_used(work, ledger, held)
        return True


async def _open_for(work: Work, ledger: Ledger, move: Move, actions: tuple[str, ...]) -> AsyncIterator[Held]:
    """Permits that are not over and fit what is moved, of no deployment yet: the one that was named, then the used."""
    wanted = FactFilter(service=move.service, environment=move.environment, is_open=True)
    place = Place(ledger.project_id, ledger.project_key)
    found = await followed(work, await page_facts(work, place, PERMIT, wanted, before=None, limit=_MOST))
    if not found:
        return
    digests = await digests_beside(work, place, move.service, move.digest)
    fitting = [
        held
        for held in found
        if held.bound is None
        and held.body["action"] in actions
        and held.fits((move.service, move.environment), move.slot, digests)
    ]
    for held in sorted(fitting, key=lambda held: (str(held.id) != move.permit, held.used_at is None, held.id)):
        yield held


async def _tell(work: Work, ledger: Ledger, move: Move) -> None:
    """An obstacle for whatever goes there next, until somebody looked at it and closes it."""
    where = f"{move.environment}/{move.slot}" if move.slot else move.environment
    text = f"`{move.service}` {move.digest} is deployed to `{where}` without a permit: deployment {move.deployment}"
    body = {"kind": UNSANCTIONED, "text": text, "url": None}
    obstacle = await say(
        work, ledger, Saying(OBSTACLE.kind, service=move.service, environment=move.environment, body=body)
    )
    changes: Changes = [
        {"path": "/sanction", "op": "add", "to": UNSANCTIONED},
        {"path": "/obstacle", "op": "add", "to": OBSTACLE.path(ledger.project_key, obstacle.id)},
    ]
    target = deployment_path(ledger.project_key, move.deployment)
    await work.note(ledger.project_key, "deployment.unsanctioned", target, changes)
    told: Changes = [
        {"path": "", "op": "add", "to": {**body, "service": move.service, "environment": move.environment}}
    ]
    await work.note(ledger.project_key, f"{OBSTACLE.kind}.create", OBSTACLE.path(ledger.project_key, obstacle.id), told)
