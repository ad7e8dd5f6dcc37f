"""The verbs on break-glass: open, confirm, withdraw, review. All of it is facts, and loud in the audit log.

Who opens one has a role that the policy names; everybody who stands for it is another person, and so is who reviews it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_look import policy_in_force
from greenroom_server.errors import Conflict, FieldError, Forbidden, Invalid
from greenroom_server.flags.work import Changes, Outcome, Work
from greenroom_server.permits.wire import (
    BreakGlassConfirmIn,
    BreakGlassIn,
    BreakGlassOut,
    BreakGlassReviewIn,
)
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.document import BreakGlassSpec
from greenroom_server.releases.service_facts import (
    USE,
    Fact,
    FactFilter,
    Saying,
    end,
    facts_about,
    get_fact,
    page_facts,
    say,
)
from greenroom_server.releases.service_people import people_of, standing_of
from greenroom_server.releases.service_scope import Ledger, Place, open_ledger, place_of, require_named

BREAK_GLASS: Final = "break_glass"
CONFIRMATION: Final = "confirmation"
OVERDUE: Final = "overdue"
_MINUTE_MS: Final = 60_000


async def open_break_glass(
    work: Work, shelf: PolicyShelf, project_key: str, wanted: BreakGlassIn
) -> Outcome[BreakGlassOut]:
    """Ask for one. Raises `Forbidden` without a role that the policy in force names, `Conflict` if it knows none."""
    ledger = await open_ledger(work, project_key)
    standing = await standing_of(work, ledger)
    await require_named(work, ledger, service=wanted.service, environments=(wanted.environment,))
    spec = _spec_of(await policy_in_force(work.session, shelf, ledger.project_id, wanted.service), wanted)
    if standing.roles.isdisjoint(spec.roles):
        names = ", ".join(f"`{role}`" for role in spec.roles)
        raise Forbidden(f"by the policy it takes one of the roles {names} to break the glass", code="role_needed")
    _check_length(spec, wanted)
    until = work.now + timedelta(minutes=wanted.ttl_minutes)
    body = {
        **wanted.model_dump(include={"action", "reason", "ticket"}),
        "until": until.isoformat(),
        "needs": spec.confirm_by,
    }
    columns = wanted.model_dump(include={"service", "environment", "digest"})
    made = await say(work, ledger, Saying(BREAK_GLASS, roles=sorted(standing.roles), body=body, **columns))
    changes: Changes = [{"path": "", "op": "add", "to": {**columns, **body, "opened_by": standing.person}}]
    return await _noted(work, ledger, str(made.id), "open", changes)


async def confirm_break_glass(
    work: Work, project_key: str, glass_id: str, wanted: BreakGlassConfirmIn
) -> Outcome[BreakGlassOut]:
    """Stand for it as another person. Raises `Forbidden` for who does so already, `Conflict` if it is not open."""
    ledger = await open_ledger(work, project_key)
    found = await get_fact(work, ledger, BREAK_GLASS, glass_id)
    shown = await _shown(work, found)
    person = await _another_person(work, ledger, shown, "confirm it")
    if shown.state != "open":
        raise Conflict(f"the break-glass is {shown.state}, so nobody confirms it", code="break_glass_not_open")
    await say(work, ledger, Saying(CONFIRMATION, about=found.row.id, body={"comment": wanted.comment}))
    changes: Changes = [{"path": "/confirmed_by/-", "op": "add", "to": {"person": person, "comment": wanted.comment}}]
    return await _noted(work, ledger, glass_id, "confirm", changes)


async def withdraw_break_glass(work: Work, project_key: str, glass_id: str, reason: str) -> Outcome[BreakGlassOut]:
    """It is not needed any more; raises `Conflict` once it was used."""
    ledger = await open_ledger(work, project_key)
    found = await get_fact(work, ledger, BREAK_GLASS, glass_id)
    await standing_of(work, ledger)
    shown = await _shown(work, found)
    if shown.used_at is not None:
        raise Conflict("it was used, and is over once somebody reviewed it", code="break_glass_used")
    await end(work, ledger, found.row.id, reason, state="withdrawn")
    changes: Changes = [
        {"path": "/state", "op": "replace", "from": shown.state, "to": "withdrawn"},
        {"path": "/ended_because", "op": "add", "to": reason},
    ]
    return await _noted(work, ledger, glass_id, "withdraw", changes)


async def review_break_glass(
    work: Work, project_key: str, glass_id: str, wanted: BreakGlassReviewIn
) -> Outcome[BreakGlassOut]:
    """Write down what came of looking at it. Raises `Forbidden` for those who stood for it."""
    ledger = await open_ledger(work, project_key)
    found = await get_fact(work, ledger, BREAK_GLASS, glass_id)
    shown = await _shown(work, found)
    person = await _another_person(work, ledger, shown, "review it")
    if shown.state != "used":
        raise Conflict(f"the break-glass is {shown.state}: there is nothing to review", code="break_glass_not_used")
    await end(work, ledger, found.row.id, wanted.findings, state="reviewed")
    changes: Changes = [
        {"path": "/state", "op": "replace", "from": "used", "to": "reviewed"},
        {"path": "/review", "op": "add", "to": {"person": person, "findings": wanted.findings}},
    ]
    return await _noted(work, ledger, glass_id, "review", changes)


async def note_overdue(work: Work, project_key: str, glass_id: str) -> bool:
    """Say aloud, once, that a review is overdue; whether it had to be said."""
    ledger = await open_ledger(work, project_key)
    found = await get_fact(work, ledger, BREAK_GLASS, glass_id)
    shown = await _shown(work, found)
    if not shown.is_overdue or await facts_about(work, [found.row.id], OVERDUE):
        return False
    await say(work, ledger, Saying(OVERDUE, about=found.row.id))
    changes: Changes = [{"path": "/is_overdue", "op": "replace", "from": False, "to": True}]
    await _noted(work, ledger, glass_id, "review_overdue", changes)
    return True


async def page_break_glasses(
    work: Work, project_key: str, wanted: FactFilter, *, before: int | None, limit: int
) -> list[BreakGlassOut]:
    """Break-glasses in the environments that the caller may see, newest first."""
    place = await place_of(work, project_key)
    found = await page_facts(work, place, BREAK_GLASS, wanted, before=before, limit=limit)
    about = await _about(work, found)
    return [_out(fact, about, work.now) for fact in found]


async def read_break_glass(work: Work, project_key: str, glass_id: str) -> BreakGlassOut:
    return await _read(work, await place_of(work, project_key), glass_id)


def break_glass_path(project_key: str, glass_id: Any) -> str:
    return f"/api/v1/projects/{project_key}/break-glass/{glass_id}"


def _spec_of(policy: Policy | None, wanted: BreakGlassIn) -> BreakGlassSpec:
    if policy is None or policy.document.break_glass is None:
        raise Conflict("the policy in force knows no break-glass", code="no_break_glass")
    if wanted.environment not in policy.document.environments:
        detail = f"the policy in force has no environment `{wanted.environment}`"
        raise Invalid(errors=[FieldError("/environment", detail)])
    return policy.document.break_glass


def _check_length(spec: BreakGlassSpec, wanted: BreakGlassIn) -> None:
    most = spec.max_ttl // _MINUTE_MS
    if wanted.ttl_minutes * _MINUTE_MS > spec.max_ttl:
        raise Invalid(errors=[FieldError("/ttl_minutes", f"by the policy in force `ttl_minutes` is at most {most}")])


async def _another_person(work: Work, ledger: Ledger, shown: BreakGlassOut, what: str) -> str:
    """Who the caller is; raises `Forbidden` for somebody who stands for it already, under whatever name."""
    standing = await standing_of(work, ledger)
    people = await people_of(work, ledger)
    stands = people.persons([shown.opened_by, *(one.person for one in shown.confirmed_by)])
    if people.person_of(standing.person) in stands:
        raise Forbidden(f"`{standing.person}` stands for it already: another person must {what}", code="four_eyes")
    return standing.person


async def _noted(work: Work, ledger: Ledger, glass_id: str, verb: str, changes: Changes) -> Outcome[BreakGlassOut]:
    await work.note(ledger.project_key, f"break_glass.{verb}", break_glass_path(ledger.project_key, glass_id), changes)
    return Outcome(await _read(work, ledger, glass_id), changes)


async def _read(work: Work, place: Place | Ledger, glass_id: str) -> BreakGlassOut:
    return await _shown(work, await get_fact(work, place, BREAK_GLASS, glass_id))


async def _shown(work: Work, fact: Fact) -> BreakGlassOut:
    return _out(fact, await _about(work, [fact]), work.now)


async def _about(work: Work, found: Sequence[Fact]) -> Sequence[Any]:
    ids = [fact.row.id for fact in found]
    return [row for kind in (USE, CONFIRMATION) for row in await facts_about(work, ids, kind)]


def _out(fact: Fact, about: Sequence[Any], now: datetime) -> BreakGlassOut:
    row, ended = fact.row, fact.end
    used = next((one for one in about if one.about == row.id and one.kind == USE), None)
    confirmed = [one for one in about if one.about == row.id and one.kind == CONFIRMATION]
    due = None if used is None else datetime.fromisoformat(used.body["review_due"])
    state = _state(fact, used is not None, 1 + len(confirmed), now)
    return BreakGlassOut.model_validate(
        {
            **{name: row.body[name] for name in ("action", "reason", "ticket", "needs")},
            "id": str(row.id),
            "state": state,
            "service": row.service,
            "environment": row.environment,
            "digest": row.digest,
            "opened_by": row.person,
            "roles": row.roles,
            "confirmed_by": [{"person": one.person, "at": one.at, "comment": one.body["comment"]} for one in confirmed],
            "seq": row.seq,
            "opened_at": row.at,
            "until": datetime.fromisoformat(row.body["until"]),
            "used_at": None if used is None else used.at,
            "used_by": None if used is None else used.body["by"],
            "review_due": due,
            "is_overdue": state == "used" and due is not None and now >= due,
            "ended_at": None if ended is None else ended.at,
            "ended_by": None if ended is None else ended.person,
            "findings": ended.body["reason"] if ended is not None and state == "reviewed" else None,
        }
    )


def _state(fact: Fact, is_used: bool, stand_for_it: int, now: datetime) -> str:
    if fact.end is not None:
        return str(fact.end.body["state"])
    if is_used:
        return "used"
    if now >= datetime.fromisoformat(fact.row.body["until"]):
        return "expired"
    return "ready" if stand_for_it >= fact.row.body["needs"] else "open"
