"""Applying a change request: once, whole, and only what others agreed to.

INVARIANT: all is looked at under the project's lock, in the transaction that applies it: what was agreed to, by whom,
whether what it was written for is still so, and what release policies say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from greenroom_server.change_requests.gate import Answered, FourEyes, Listening, policy_gate_of, standing_before
from greenroom_server.change_requests.service_carrying import PERMISSIONS, Target, attempted, carry_out, undone
from greenroom_server.change_requests.service_reading import (
    Matter,
    Path,
    changes_of,
    conflicts_of,
    get_matter,
    request_out,
)
from greenroom_server.change_requests.service_requests import end, noted, require_going
from greenroom_server.change_requests.wire import ChangeIn, ChangeRequestOut
from greenroom_server.database.engine import keep_now
from greenroom_server.errors import Conflict, GreenroomError, Invalid, ReleaseRefused
from greenroom_server.flags.gate import gate_of
from greenroom_server.flags.work import Changes, Outcome, Work


@dataclass(frozen=True, slots=True)
class Application:
    """What came of it: the request as it is now, and why it was not applied, which is kept with it."""

    outcome: Outcome[ChangeRequestOut]
    refusal: GreenroomError | None = None


async def apply_request(work: Work, path: Path) -> Application:
    """Apply it by the right of the caller. Applying what is applied changes nothing.

    Raises `Conflict` for one that is not approved, and `Forbidden` for a caller who could not do it themselves.
    """
    matter = await get_matter(work, path, lock=True, lock_project=True)
    work.check_version_if_named(matter.row.version)
    if matter.row.state == "applied":
        return Application(Outcome(await request_out(work, matter), []))
    require_going(matter)
    require_approved(matter)
    return await apply_matter(work, matter)


async def apply_matter(work: Work, matter: Matter) -> Application:
    """Apply what is approved and locked; what refuses it is kept and answered."""
    row = matter.row
    if conflicts := await conflicts_of(work, matter):
        return await _conflicted(work, matter, conflicts)
    changes = changes_of(row)
    for change in changes:
        work.principal.require(PERMISSIONS[change.op])
    agreed = [key for key, tally in matter.tallies.items() if tally.is_enough]
    path = (matter.project.key, matter.environment.key, str(row.number))
    try:
        async with attempted(work.session):
            made = await _carried_out(work, matter, agreed, changes)
    except (Conflict, Invalid) as error:
        await keep_now(work.session)
        return await hold(work, await get_matter(work, path, lock=True), error)
    before, row.held = matter.state, None
    end(work, matter, "applied")
    told = [{"path": "/state", "op": "replace", "from": before, "to": "applied"}, *made]
    return Application(await noted(work, matter, "applied", told))


async def _carried_out(work: Work, matter: Matter, agreed: Sequence[str], changes: Sequence[ChangeIn]) -> Changes:
    """Ask once about all of it, and then do it.

    Once, because whoever decides locks what decisions stand on, and takes all of those locks together. So what the
    changes come to is found out by trying them.
    """
    target, gate = Target(matter.project.key, matter.environment.key), gate_of(work.session)
    heard = Listening(gate, target.environment)
    with standing_before(work.session, heard):
        async with undone(work.session):
            await carry_out(work, target, changes)
    if heard.heard:
        asked = FourEyes(policy_gate_of(work.session), agreed)
        await asked.judge(work, matter.project, list(heard.heard.values()))
    with standing_before(work.session, Answered()):
        return await carry_out(work, target, changes)


async def hold(work: Work, matter: Matter, error: GreenroomError) -> Application:
    """It stays as it is, and says why it was not applied."""
    decision = error.decision.get("id") if isinstance(error, ReleaseRefused) else None
    matter.row.held = {"at": work.now.isoformat(), "code": error.code, "detail": error.detail, "decision": decision}
    told: list[dict[str, Any]] = [{"path": "/held", "op": "add", "to": matter.row.held}]
    return Application(await noted(work, matter, "held", told), error)


def require_approved(matter: Matter) -> None:
    """Raises `Conflict`, saying what is missing."""
    state = matter.state
    if state == "approved":
        return
    detail = f"the change request is {state}"
    if state == "open":
        wanting = [
            f"`{key}` has {len(one.approvers)} of {one.required} approvals"
            for key, one in matter.tallies.items()
            if not one.is_enough
        ]
        detail = f"others must agree first: {', '.join(wanting)}"
    elif state == "rejected":
        against = sorted({who for one in matter.tallies.values() for who in one.against})
        detail = f"it is rejected by {', '.join(f'`{who}`' for who in against)}, until they take that back"
    raise Conflict(detail, code="change_request_not_approved")


async def _conflicted(work: Work, matter: Matter, conflicts: list[str]) -> Application:
    detail = f"what it was written for has changed since: {', '.join(f'`{one}`' for one in conflicts[:5])}"
    before, matter.row.state = matter.state, "conflicted"
    told: list[dict[str, Any]] = [
        {"path": "/state", "op": "replace", "from": before, "to": "conflicted"},
        {"path": "/conflicts", "op": "add", "to": conflicts},
    ]
    error = Conflict(f"{detail}; edit it, and ask again", code="change_request_conflicted")
    return Application(await noted(work, matter, "conflicted", told), error)
