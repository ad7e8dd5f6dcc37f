"""The verbs of who asks for changes: open, edit, schedule, withdraw.

INVARIANT: an edit makes another hash, and a word counts for the hash that it names. Nothing else voids approvals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from greenroom_server.access.permissions import MACHINE_KINDS
from greenroom_server.change_requests import judging
from greenroom_server.change_requests.content import Base, Written, authored, check_members, hash_of
from greenroom_server.change_requests.gate import Listening, standing_before, touched_by
from greenroom_server.change_requests.judging import machine
from greenroom_server.change_requests.service_bases import bases_of
from greenroom_server.change_requests.service_carrying import Target, carry_out, undone
from greenroom_server.change_requests.service_reading import (
    Matter,
    Path,
    get_matter,
    matter_of,
    request_out,
)
from greenroom_server.change_requests.tables import ChangeRequestRow
from greenroom_server.change_requests.wire import (
    ChangeIn,
    ChangeRequestIn,
    ChangeRequestOut,
    ScheduleIn,
)
from greenroom_server.errors import Conflict, FieldError, Invalid
from greenroom_server.flags.gate import gate_of
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_scope import get_environment, get_project
from greenroom_server.flags.work import Changes, Outcome, Work, differences, require_environments
from greenroom_server.releases.service_people import standing_of
from greenroom_server.releases.service_scope import Place, new_id


@dataclass(frozen=True, slots=True)
class Content:
    """Checked changes: as they were written, what they were written for, what they do and where, and their hash."""

    changes: list[dict[str, Any]]
    bases: list[Base]
    diff: Changes
    environments: list[str]
    hash: str


async def open_request(
    work: Work, project_key: str, environment_key: str, wanted: ChangeRequestIn
) -> Outcome[ChangeRequestOut]:
    """Ask for changes, which are tried out first: what cannot be made cannot be asked for."""
    editors = await _editors(work, project_key, wanted.on_behalf_of)
    project = await get_project(work.session, project_key, lock=True)
    content = await content_of(work, project, environment_key, wanted.changes)
    environment = await get_environment(work.session, project, environment_key)
    row = ChangeRequestRow(
        id=new_id(work.now),
        project_id=project.id,
        environment_id=environment.id,
        number=await _next_number(work, project.id),
        title=wanted.title,
        reason=wanted.reason,
        state="draft" if wanted.draft else "open",
        author=editors[0],
        editors=editors,
        **_columns(content),
        created_at=work.now,
        updated_at=work.now,
        version=0,
    )
    work.session.add(row)
    await work.session.flush()
    matter = await matter_of(work, project, environment, row)
    if wanted.apply_at is not None:
        await _schedule(work, matter, wanted.apply_at)
    settle(matter)
    to = {"title": row.title, "state": row.state, "hash": row.hash, "author": row.author}
    return await noted(
        work, matter, "drafted" if wanted.draft else "opened", [{"path": "", "op": "add", "to": to}, *row.diff]
    )


async def edit_request(work: Work, path: Path, patch: Any) -> Outcome[ChangeRequestOut]:
    """Change what is asked for; an empty patch writes the same for what is there now. Who edits cannot approve."""
    editors = await _editors(work, path[0], None, is_edit=True)
    matter = await get_matter(work, path, lock=True, lock_project=True)
    work.check_version(matter.row.version)
    require_going(matter)
    before = _authored(matter.row)
    wanted = patched(Written, before, patch)
    content = await content_of(work, matter.project, path[1], wanted.changes)
    matter = await get_matter(work, path, lock=True)  # trying out has forgotten what was read
    row, changes = matter.row, differences(before, {**before, "title": wanted.title, "reason": wanted.reason})
    if content.hash != row.hash:
        changes += differences({"changes": row.changes}, {"changes": content.changes})
        changes.append({"path": "/hash", "op": "replace", "from": row.hash, "to": content.hash})
        row.editors = list(dict.fromkeys((*row.editors, *editors)))
        for name, value in _columns(content).items():
            setattr(row, name, value)
    is_back = matter.state in ("expired", "conflicted")
    if not changes and not is_back:
        return Outcome(await request_out(work, matter), [])
    row.title, row.reason, row.held = wanted.title, wanted.reason, None
    if row.state != "draft":
        row.state = "open"
    matter = await matter_of(work, matter.project, matter.environment, row)
    settle(matter)
    return await noted(work, matter, "edited", changes)


async def publish_request(work: Work, path: Path) -> Outcome[ChangeRequestOut]:
    """Open a draft. Opening an open one changes nothing."""
    matter = await get_matter(work, path, lock=True)
    work.check_version_if_named(matter.row.version)
    require_going(matter)
    if matter.row.state != "draft":
        return Outcome(await request_out(work, matter), [])
    matter.row.state = "open"
    settle(matter)
    return await noted(work, matter, "opened", [_moved("draft", matter.row.state), *matter.row.diff])


async def withdraw_request(work: Work, path: Path, reason: str) -> Outcome[ChangeRequestOut]:
    """Ask no longer. It starts nothing, so whoever may ask may do it."""
    matter = await get_matter(work, path, lock=True)
    work.check_version_if_named(matter.row.version)
    require_going(matter)
    changes = [_moved(matter.state, "withdrawn"), {"path": "/reason", "op": "add", "to": reason}]
    end(work, matter, "withdrawn")
    return await noted(work, matter, "withdrawn", changes)


async def schedule_request(work: Work, path: Path, wanted: ScheduleIn) -> Outcome[ChangeRequestOut]:
    """Say when it is applied, by the right of who says it; None: by hand. It is no edit, since time is not content."""
    matter = await get_matter(work, path, lock=True)
    work.check_version_if_named(matter.row.version)
    require_going(matter)
    row, before = matter.row, matter.row.apply_at
    if wanted.apply_at is None:
        row.apply_at = row.scheduled_by = None
    else:
        await _schedule(work, matter, wanted.apply_at)
    row.held = None
    settle(matter)
    changes = [{"path": "/apply_at", "op": "replace", "from": before, "to": row.apply_at}]
    return await noted(work, matter, "scheduled", changes)


async def content_of(work: Work, project: Any, environment_key: str, changes: Sequence[ChangeIn]) -> Content:
    """Try the changes out on what is there. Needs the project's lock; what the session has read is forgotten."""
    check_members(changes)
    bases = await bases_of(work, project, environment_key, changes)
    # Whoever asks need not have the right to do it.
    able = replace(work.principal, permissions=work.principal.permissions | {"production.write"})
    gate = Listening(gate_of(work.session), environment_key)
    with standing_before(work.session, gate):
        async with undone(work.session):
            diff = await carry_out(replace(work, principal=able), Target(project.key, environment_key), changes)
    if not diff:
        raise Invalid(errors=[FieldError("/changes", "they change nothing")])
    written = [authored(change) for change in changes]
    environments = sorted(touched_by(gate.heard.values()))
    return Content(written, bases, diff, environments, hash_of(environment_key, written, bases))


def settle(matter: Matter, *, is_prolonged: bool = True) -> None:
    """After an act on it: its state as it is found now, and how long it waits from now on."""
    row = matter.row
    if is_prolonged:
        longest = max(demand.expires_after for demand in matter.demands.values())
        row.expires_at = max(matter.now, row.apply_at or matter.now) + longest
    row.state, row.setting_version = matter.state, matter.setting_version
    ends = [one.until for one in matter.tallies.values() if one.until is not None]
    row.approved_until = min(ends, default=None)


def end(work: Work, matter: Matter, state: str) -> None:
    """It is over, and stays so."""
    row = matter.row
    row.state, row.ended_at, row.ended_by = state, work.now, work.principal.person or work.principal.actor


def require_going(matter: Matter) -> None:
    """Raises `Conflict` for a request that is over."""
    if matter.row.state in judging.OVER:
        raise Conflict(f"this change request is {matter.row.state}", code="change_request_over")


async def noted(work: Work, matter: Matter, what: str, changes: Sequence[dict[str, Any]]) -> Outcome[ChangeRequestOut]:
    """Store and audit what was done; what is audited goes to webhooks."""
    row = matter.row
    row.version, row.updated_at = row.version + 1, work.now
    work.session.add(row)
    await work.session.flush()
    await work.note(matter.project.key, f"change_request.{what}", matter.path, changes)
    return Outcome(await request_out(work, matter), changes)


async def _editors(work: Work, project_key: str, on_behalf_of: str | None, *, is_edit: bool = False) -> list[str]:
    """Under which names the caller must not approve, the main one first.

    Raises `Forbidden` for a token of people that does not say whose it is: it might be the approver's.
    """
    principal = work.principal
    project = await get_project(work.session, project_key)
    if principal.kind not in MACHINE_KINDS:
        if on_behalf_of is not None:
            raise Invalid(errors=[FieldError("/on_behalf_of", "people ask for themselves")])
        standing = await standing_of(work, Place(project.id, project.key))
        return list(dict.fromkeys((principal.person or standing.person, standing.person)))
    if on_behalf_of is None and not is_edit:
        raise Invalid(errors=[FieldError("/on_behalf_of", "a pipeline says for whom it asks: they cannot approve")])
    named = [] if on_behalf_of is None else [on_behalf_of]
    return [*named, principal.actor, *(machine(role) for role in sorted(principal.roles))]


async def _schedule(work: Work, matter: Matter, at: datetime) -> None:
    if at <= work.now:
        raise Invalid(errors=[FieldError("/apply_at", "it lies in the past")])
    work.principal.require("configurations.write")
    require_environments(work, [matter.environment], "it would be applied by your right, and this changes")
    matter.row.apply_at, matter.row.scheduled_by = at, work.principal.token_id


async def _next_number(work: Work, project_id: UUID) -> int:
    query = select(func.max(ChangeRequestRow.number)).where(col(ChangeRequestRow.project_id) == project_id)
    return ((await work.session.execute(query)).scalar_one() or 0) + 1


def _columns(content: Content) -> dict[str, Any]:
    return {name: getattr(content, name) for name in ("changes", "bases", "diff", "environments", "hash")}


def _authored(row: ChangeRequestRow) -> dict[str, Any]:
    return {"title": row.title, "reason": row.reason, "changes": list(row.changes)}


def _moved(before: str, after: str) -> dict[str, Any]:
    return {"path": "/state", "op": "replace", "from": before, "to": after}
