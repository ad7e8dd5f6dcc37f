"""What others say of a change request: approve, reject, take back.

Everybody has one word: the last one that they did not take back. A rejection stands, whatever becomes of the changes,
until whoever said it says otherwise.
"""

from dataclasses import dataclass
from typing import Any, Literal

from greenroom_server.access.permissions import MACHINE_KINDS
from greenroom_server.change_requests.judging import Demand, Word, machine, speaks_for
from greenroom_server.change_requests.service_reading import Matter, Path, get_matter, matter_of, request_out
from greenroom_server.change_requests.service_requests import noted, require_going, settle
from greenroom_server.change_requests.tables import WordRow
from greenroom_server.change_requests.wire import ApproveIn, ChangeRequestOut, RejectIn
from greenroom_server.errors import Conflict, Forbidden
from greenroom_server.flags.work import Outcome, Work
from greenroom_server.releases.service_people import standing_of
from greenroom_server.releases.service_scope import Place, new_id


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks: under their own name and their main one, in which roles."""

    who: str
    main: str
    roles: frozenset[str]


async def approve_request(work: Work, path: Path, wanted: ApproveIn) -> Outcome[ChangeRequestOut]:
    """Agree to what the hash names. Nobody agrees to what they wrote themselves.

    Raises `Conflict` if the content is another one now, and `Forbidden` for who cannot count here.
    """
    matter = await get_matter(work, path, lock=True)
    _require_open(matter)
    speaker = await _speaker(work, matter, wanted.role)
    if wanted.hash != matter.row.hash:
        raise Conflict(
            "the change request was edited: look at it again, and approve the hash that it has now",
            code="change_request_changed",
        )
    authors = {matter.main_name(name) for name in matter.row.editors}
    if speaker.main in authors or work.principal.actor in matter.row.editors:
        raise Forbidden("nobody approves what they wrote or edited themselves", code="own_change_request")
    _require_voice(matter, speaker)
    return await _say(work, matter, speaker, "approve", wanted.reason)


async def reject_request(work: Work, path: Path, wanted: RejectIn) -> Outcome[ChangeRequestOut]:
    """Be against it, whatever it becomes."""
    matter = await get_matter(work, path, lock=True)
    _require_open(matter)
    return await _say(work, matter, await _speaker(work, matter, wanted.role), "reject", wanted.reason)


async def retract_word(work: Work, path: Path, reason: str) -> Outcome[ChangeRequestOut]:
    """Take back one's own words. Raises `Conflict` if there are none."""
    matter = await get_matter(work, path, lock=True)
    require_going(matter)
    mains = await _mains(work, matter)
    mine = [one for one in matter.words if one.retracted_at is None and matter.main_name(one.who) in mains]
    if not mine:
        raise Conflict("you said nothing on it that stands", code="nothing_said")
    for one in mine:
        one.retracted_at = work.now
        work.session.add(one)
    settle(matter, is_prolonged=False)
    changes = [{"path": f"/words/{one.who}", "op": "remove", "from": one.verdict} for one in mine]
    return await noted(work, matter, "retracted", [*changes, {"path": "/reason", "op": "add", "to": reason}])


async def _say(
    work: Work, matter: Matter, speaker: Speaker, verdict: Literal["approve", "reject"], reason: str
) -> Outcome[ChangeRequestOut]:
    row, before = matter.row, matter.state
    last = next((one for one in reversed(matter.words) if matter.main_name(one.who) == speaker.main), None)
    is_repeated = last is not None and last.retracted_at is None and (last.verdict, last.hash) == (verdict, row.hash)
    if is_repeated and verdict == "reject":
        return Outcome(await request_out(work, matter), [])
    word = WordRow(
        id=new_id(work.now),
        change_request_id=row.id,
        seq=len(matter.words) + 1,
        verdict=verdict,
        hash=row.hash,
        who=speaker.who,
        actor=work.principal.actor,
        roles=sorted(speaker.roles),
        reason=reason,
        at=work.now,
    )
    work.session.add(word)
    await work.session.flush()
    matter = await matter_of(work, matter.project, matter.environment, row)
    settle(matter, is_prolonged=verdict == "approve")
    changes: list[dict[str, Any]] = [
        {"path": f"/words/{speaker.who}", "op": "add", "to": {"verdict": verdict, "hash": row.hash, "reason": reason}}
    ]
    if row.state != before:
        changes.append({"path": "/state", "op": "replace", "from": before, "to": row.state})
    return await noted(work, matter, "approved" if verdict == "approve" else "rejected", changes)


async def _speaker(work: Work, matter: Matter, role: str | None) -> Speaker:
    """Raises `Forbidden` for a machine that may not speak here, and for a role that the caller does not have."""
    principal = work.principal
    if principal.kind in MACHINE_KINDS:
        allowed = matter.demands[matter.environment.key].headless & principal.roles
        if role is None or role not in allowed:
            raise Forbidden(
                f"`{matter.environment.key}` lets no pipeline with this token's roles speak"
                if not allowed
                else f"a pipeline names the `role` in which it speaks: {_listed(allowed)}",
                code="headless_not_allowed",
            )
        return Speaker(machine(role), machine(role), frozenset({role}))
    standing = await standing_of(work, _place(matter))
    if role is not None and role not in standing.roles:
        raise Forbidden(f"`{standing.person}` does not have the role `{role}`", code="role_needed")
    roles = standing.roles if role is None else frozenset({role})
    return Speaker(principal.person or standing.person, standing.person, roles)


async def _mains(work: Work, matter: Matter) -> set[str]:
    """The main names of the caller: of the person, or of a machine in each of its roles."""
    if work.principal.kind in MACHINE_KINDS:
        return {machine(role) for role in work.principal.roles}
    return {(await standing_of(work, _place(matter))).person}


def _require_voice(matter: Matter, speaker: Speaker) -> None:
    word = Word(speaker.who, "approve", matter.row.hash, speaker.roles, matter.now)
    wanting: list[Demand] = [one for one in matter.demands.values() if one.required]
    if wanting and not any(speaks_for(word, one) for one in wanting):
        roles = frozenset().union(*(one.roles for one in wanting))
        raise Forbidden(f"here those agree who have one of the roles {_listed(roles)}", code="role_needed")


def _require_open(matter: Matter) -> None:
    require_going(matter)
    if matter.row.state == "draft":
        raise Conflict("a draft waits for its author: it is not open yet", code="change_request_draft")
    if matter.state in ("expired", "conflicted"):
        raise Conflict(f"the change request is {matter.state}: an edit brings it back", code="change_request_stale")


def _place(matter: Matter) -> Place:
    return Place(matter.project.id, matter.project.key)


def _listed(roles: frozenset[str]) -> str:
    return ", ".join(f"`{role}`" for role in sorted(roles))
