"""The verbs that people move releases by. Each can be looked at first: a dry run does all of it but the commit."""

from dataclasses import replace
from uuid import uuid4

from greenroom_server.errors import Conflict, Forbidden
from greenroom_server.flags.work import Changes, Outcome, Work, plain
from greenroom_server.releases.service_people import standing_of
from greenroom_server.releases.service_scope import Place, place_of
from greenroom_server.rollouts import plan as planning
from greenroom_server.rollouts.agreement import demand_there
from greenroom_server.rollouts.listening import Listener
from greenroom_server.rollouts.plan import Command, Trouble
from greenroom_server.rollouts.schedule import due_of, instant_of
from greenroom_server.rollouts.service_releases import release_out
from greenroom_server.rollouts.service_scope import (
    Release,
    on_store_time,
    open_release,
    require_business,
    require_state,
    write_standing,
)
from greenroom_server.rollouts.service_serving import accept_changes, require_untouched
from greenroom_server.rollouts.service_steps import Why, finish, hold, note, take_step, undo
from greenroom_server.rollouts.tables import ReleaseApprovalRow
from greenroom_server.rollouts.wire import ReleaseApproveIn, ReleaseOut, ReleaseScheduleIn, ReleaseUndoIn

Path = tuple[str, str]
"""The keys of a project and of a release."""


async def go(work: Work, path: Path, why: Why, listener: Listener) -> Outcome[ReleaseOut]:
    """Take the next step now, whatever the time; approvals, guardrails and the policy are asked all the same.

    Raises `Conflict` where an approval is missing, and, unless forced, where a guardrail or a changed flag warns;
    `ReleaseRefused` where the policy does not allow it. Nothing has changed then.
    """
    work, release = await _opened(work, path, "go")
    missing = planning.missing_approval(release.plan, release.at)
    if missing is not None:
        detail = f"{missing.have} of {missing.need} approvals by `{missing.role}` are there for this plan"
        raise Conflict(detail, code="approval_missing")
    if not why.force:
        heard = await listener.hear(work.session, release, work.now)
        if heard.outcome != "ok":
            raise Conflict(f"a guardrail warns: {heard.reason}: say `force` to go on", code="guardrail_warns")
    step = release.at.step if release.at.is_dark else release.at.step + 1
    if step > len(release.plan.steps):
        return await _done(work, release, await finish(work, release, why))
    return await _done(work, release, await take_step(work, release, step, why, starter=_who(work)))


async def hold_release(work: Work, path: Path, why: Why) -> Outcome[ReleaseOut]:
    """Stay where it is. Stopping takes no right to start."""
    work, release = await _opened(work, path, "hold", starts=False)
    return await _done(work, release, await hold(work, release, Trouble("by_hand", why.reason or "somebody held it")))


async def resume(work: Work, path: Path, why: Why) -> Outcome[ReleaseOut]:
    """Go on from the step in effect, whose time counts anew. Flags that a guardrail switched off are lit again."""
    work, release = await _opened(work, path, "resume")
    if release.at.is_dark:
        return await _done(work, release, await take_step(work, release, release.at.step, why, starter=_who(work)))
    due = release.at.due_at
    if release.at.step == 0 and (due is None or due < (instant_of(work.now) or 0)):
        raise Conflict("its time has passed: say go, or schedule it anew", code="overdue")
    if why.force:
        await accept_changes(work, release)
    await require_untouched(work, release)
    at = planning.resumed(release.at, instant_of(work.now) or 0)
    return await _restand(work, release, at, "resumed", why)


async def abort(work: Work, path: Path, why: Why) -> Outcome[ReleaseOut]:
    """End the release; its flags stay as they are, and can still be undone."""
    work, release = await _opened(work, path, "abort")
    return await _restand(work, release, planning.aborted(release.at), "aborted", why)


async def undo_release(work: Work, path: Path, wanted: ReleaseUndoIn) -> Outcome[ReleaseOut]:
    """Back to what was served before the release or before its last step.

    Raises `Conflict` if somebody else changed a flag meanwhile; with `force` what they did stays, and the rest goes.
    """
    work, release = await _opened(work, path, "undo")
    if release.at.step == 0:
        raise Conflict("no step of this release is in effect", code="release_state")
    step = 0 if wanted.to == "start" else release.at.step - 1
    changes = await undo(work, release, step, Why(wanted.reason, wanted.force))
    return await _done(work, release, changes)


async def schedule(work: Work, path: Path, wanted: ReleaseScheduleIn) -> Outcome[ReleaseOut]:
    """Let it start at a moment, if the policy allows it then; or take its time away."""
    work, release = await _opened(work, path, "schedule")
    if release.at.step > 0:
        raise Conflict("it has started: its steps have times of their own", code="release_state")
    due = due_of(wanted, work.now)
    document = None if due is None else plain(wanted)
    before = release.row.schedule
    at = planning.scheduled(release.at, instant_of(due))
    if at == release.at and document == before:
        return await _done(work, release, [])
    changes: Changes = [{"path": "/schedule", "op": "replace", "from": before, "to": document}]
    await write_standing(work, release, at, schedule=document, hold=None, starter=_who(work))
    await note(work, release, "schedule", changes)
    return await _done(work, release, changes)


async def approve(work: Work, path: Path, wanted: ReleaseApproveIn) -> Outcome[ReleaseOut]:
    """Give one's word for going on from the step in effect, as the plan is now.

    Raises `Conflict` with `plan_changed` if another plan was read, and `Forbidden` for who wrote the plan.
    """
    work = await on_store_time(work)
    release = await open_release(work, *path, lock=True)
    work.check_version_if_named(release.row.version)
    require_state(release, "approve")
    place = await place_of(work, path[0])
    who = await standing_of(work, place)
    if wanted.digest != release.plan.digest:
        raise Conflict("the plan is not the one of this `digest` any more: read it again", code="plan_changed")
    if who.person == await _main_name(work, place, release.row.author):
        raise Forbidden("who wrote the plan does not approve it", code="self_approval")
    await _require_wanted(work, release, who.roles)
    key = (release.at.step, release.plan.digest, who.person)
    if any((one.step, one.digest, one.person) == key for one in release.approvals):
        return await _done(work, release, [])
    row = ReleaseApprovalRow(
        id=uuid4(),
        release_id=release.row.id,
        step=release.at.step,
        digest=release.plan.digest,
        person=who.person,
        roles=sorted(who.roles),
        reason=wanted.reason,
        at=work.now,
    )
    work.session.add(row)
    await write_standing(work, release, release.at)
    shown = ("step", "person", "roles", "digest", "reason")
    told = {name: getattr(row, name) for name in shown}
    changes: Changes = [{"path": "/approvals/-", "op": "add", "to": told}]
    await note(work, release, "approve", changes)
    return await _done(work, await open_release(work, *path), changes)


async def _main_name(work: Work, place: Place, person: str) -> str:
    """Under which name the project knows them now: people may have several."""
    try:
        return (await standing_of(replace(work, principal=replace(work.principal, person=person)), place)).person
    except Forbidden:  # not active any more
        return person


async def _require_wanted(work: Work, release: Release, roles: frozenset[str]) -> None:
    """Raises unless the plan wants the word of one of these roles here, or the environment that of anybody."""
    need = release.plan.need_after(release.at.step)
    demand = await demand_there(work, release)
    is_wanted_there = demand.required > 0 and (not demand.roles or not demand.roles.isdisjoint(roles))
    if is_wanted_there or (need is not None and need.role in roles):
        return
    if need is None and demand.required == 0:
        raise Conflict("no approval is wanted before its next step", code="approval_not_wanted")
    wanted = sorted(demand.roles | ({need.role} if need is not None else set()))
    raise Forbidden(f"this step wants the word of {' or '.join(f'`{role}`' for role in wanted)}", code="role_needed")


async def _opened(work: Work, path: Path, command: Command, *, starts: bool = True) -> tuple[Work, Release]:
    """The release, locked, on the store's time, and the caller's right to do this to it."""
    work = await on_store_time(work)
    release = await open_release(work, *path, lock=True)
    work.check_version_if_named(release.row.version)
    require_state(release, command)
    if starts:
        await require_business(work, path[0], release.row.environment)
    return work, release


async def _restand(work: Work, release: Release, at: planning.Standing, what: str, why: Why) -> Outcome[ReleaseOut]:
    changes: Changes = [{"path": "/state", "op": "replace", "from": release.at.state, "to": at.state}]
    await write_standing(work, release, at, hold=None)
    reason: Changes = [{"path": "/reason", "op": "add", "to": why.reason}] if why.reason else []
    await note(work, release, what, [*changes, *reason])
    return await _done(work, release, changes)


async def _done(work: Work, release: Release, changes: Changes) -> Outcome[ReleaseOut]:
    return Outcome(await release_out(work, release), changes, release.verdicts)


def _who(work: Work) -> str:
    return work.principal.person or work.principal.actor
