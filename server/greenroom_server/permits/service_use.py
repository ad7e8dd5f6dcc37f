"""The verbs that end permits: use, release, and what takes one away.

A permit that is used is decided on anew first, under the same locks: what changed since it was issued counts.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from greenroom_server.decisions.service_decisions import Made, decide_again, keep_decision
from greenroom_server.errors import Conflict
from greenroom_server.flags.work import Changes, Outcome, Work
from greenroom_server.permits.desk import Desk
from greenroom_server.permits.permits import BOUND, Held, as_if_not_issued
from greenroom_server.permits.service_permits import get_permit, permit_path, shown
from greenroom_server.permits.wire import PermitOut
from greenroom_server.policy.findings import BLOCKING
from greenroom_server.releases.service_facts import Saying, end, say, use
from greenroom_server.releases.service_places import lock_places
from greenroom_server.releases.service_scope import Ledger, open_ledger, place_of

Ending = Literal["closed", "released", "revoked", "expired"]
_VERBS: Final[dict[Ending, str]] = {
    "closed": "close",
    "released": "release",
    "revoked": "revoke",
    "expired": "expire",
}


@dataclass(frozen=True, slots=True)
class Recheck:
    """A decision on what a permit is for as if it had not been issued; `refusal` says why it would not be (again)."""

    made: Made
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Used:
    """How using a permit went: it is used, or it was revoked for the reason given, by the decision given."""

    outcome: Outcome[PermitOut]
    decision: dict[str, Any]
    refusal: str | None


async def use_permit(work: Work, desk: Desk, project_key: str, permit_id: str) -> Used:
    """Use it, which can be done once; raises `Conflict` if it is over.

    If it would not be issued any more it is revoked instead, and that must be committed.
    """
    ledger, held = await lock_permit(work, project_key, permit_id)
    require_usable(work, held)
    again = await recheck(work, desk, ledger, held)
    kept = await keep_decision(work, again.made, is_of_permit=True)
    if again.refusal is None:
        await mark_used(work, ledger, held)
    else:
        await end_permit(work, ledger, held, "revoked", again.refusal)
    return Used(await _outcome(work, ledger, held), kept.result, again.refusal)


async def release_permit(work: Work, project_key: str, permit_id: str, reason: str) -> Outcome[PermitOut]:
    """Give it back unused, or call off what it was used for; raises `Conflict` if it is over."""
    ledger, held = await lock_permit(work, project_key, permit_id)
    if held.state(work.now) not in ("open", "used"):
        raise _over(work, held)
    await end_permit(work, ledger, held, "released", reason)
    return await _outcome(work, ledger, held)


async def lock_permit(work: Work, project_key: str, permit_id: str) -> tuple[Ledger, Held]:
    """The permit as it is now; nobody else changes it, or decides on its place, until the transaction ends."""
    place = await place_of(work, project_key)
    found = await get_permit(work, place, permit_id)
    await lock_places(work, place.project_id, [found.place])
    ledger = await open_ledger(work, project_key)
    return ledger, await get_permit(work, ledger, permit_id)


async def recheck(work: Work, desk: Desk, ledger: Ledger, held: Held) -> Recheck:
    """Decide anew. A permit is bound to the policy that it was issued by: with another one in force it is none."""
    made = await decide_again(
        work,
        ledger.project_key,
        held.request(),
        desk.shelves,
        without=lambda snapshot: as_if_not_issued(snapshot, held),
    )
    if made.decision.verdict != "allow":
        return Recheck(made, _reasons_of(made))
    if made.decision.policy_digest != held.body["policy"]["digest"]:
        return Recheck(made, "another policy is in force than the one that it was issued by")
    return Recheck(made, None)


def require_usable(work: Work, held: Held) -> None:
    """Raises `Conflict` unless it is open."""
    if held.state(work.now) != "open":
        raise _over(work, held)


async def mark_used(work: Work, ledger: Ledger, held: Held) -> None:
    await use(work, ledger, held.id, {})
    changes: Changes = [{"path": "/state", "op": "replace", "from": "open", "to": "used"}]
    await work.note(ledger.project_key, "permit.use", permit_path(ledger.project_key, held.id), changes)


async def bind(work: Work, ledger: Ledger, held: Held, deployment: str) -> None:
    """The permit was used for this deployment, and is for no other one."""
    await say(work, ledger, Saying(BOUND, about=held.id, body={"deployment": deployment}))


async def end_permit(work: Work, ledger: Ledger, held: Held, state: Ending, reason: str) -> None:
    """It is over; raises `Conflict` if it was before."""
    before = held.state(work.now)
    await end(work, ledger, held.id, reason, state=state)
    changes: Changes = [
        {"path": "/state", "op": "replace", "from": before, "to": state},
        {"path": "/ended_because", "op": "add", "to": reason},
    ]
    await work.note(ledger.project_key, f"permit.{_VERBS[state]}", permit_path(ledger.project_key, held.id), changes)


async def _outcome(work: Work, ledger: Ledger, held: Held) -> Outcome[PermitOut]:
    after = await get_permit(work, ledger, str(held.id))
    changes = [{"path": "/state", "op": "replace", "from": held.state(work.now), "to": after.state(work.now)}]
    return Outcome(await shown(work, after), changes)


def _reasons_of(made: Made) -> str:
    """The codes of what is in the way."""
    codes = sorted({one.finding.code for one in made.decision.rules if one.finding.outcome in BLOCKING})
    return f"it would not be issued any more: {', '.join(f'`{code}`' for code in codes)}"


def _over(work: Work, held: Held) -> Conflict:
    state = held.state(work.now)
    why = "" if held.fact.end is None or not held.fact.end.body["reason"] else f": {held.fact.end.body['reason']}"
    return Conflict(f"the permit is {state}{why}", code="permit_over")
