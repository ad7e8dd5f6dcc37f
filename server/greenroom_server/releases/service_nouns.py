"""The verbs on facts: add one, list them, end one; and the acceptance of a demo."""

from collections.abc import Sequence
from typing import Any, Final

from greenroom_server.errors import FieldError, Forbidden, Invalid
from greenroom_server.flags.wire import Closed
from greenroom_server.flags.work import Changes, Outcome, Work, plain
from greenroom_server.releases.nouns import APPROVAL, DEMO, PARITY, WAIVER, Noun
from greenroom_server.releases.service_facts import (
    Fact,
    FactFilter,
    Saying,
    end,
    facts_about,
    get_fact,
    members_of,
    page_facts,
    say,
)
from greenroom_server.releases.service_people import standing_of
from greenroom_server.releases.service_scope import (
    Ledger,
    open_ledger,
    place_of,
    require_all_environments,
    require_named,
    require_plausible,
)
from greenroom_server.releases.tables_facts import FactRow
from greenroom_server.releases.wire_facts import AcceptanceIn, DemoOut

ACCEPTANCE: Final = "acceptance"
_COLUMNS: Final = frozenset({"service", "environment", "digest", "at"})


async def add_fact(work: Work, project_key: str, noun: Noun, wanted: Closed) -> Outcome[Closed]:
    """Say it. Where it is somebody's word, the roles that they have now are kept with it."""
    members = wanted.model_dump()
    _CHECKS.get(noun.kind, _nothing)(work, members)
    if "environment" in members and members["environment"] is None:
        require_all_environments(work, f"a {noun.kind}")
    require_plausible(work, at=members.get("at"))
    ledger = await open_ledger(work, project_key)
    roles: Sequence[str] = sorted((await standing_of(work, ledger)).roles) if noun.takes_person else ()
    named = (members.get("environment"), members.get("of") if noun is PARITY else None)
    await require_named(work, ledger, service=members.get("service"), environments=named)
    body = {name: value for name, value in plain(wanted).items() if name not in _COLUMNS}
    columns = {name: members.get(name) for name in _COLUMNS}
    row = await say(work, ledger, Saying(noun.kind, roles=roles, body=body, **columns))
    changes: Changes = [{"path": "", "op": "add", "to": plain(wanted)}]
    await _note(work, ledger, noun, f"{noun.kind}.create", row, changes)
    return Outcome(_out(noun, Fact(row, None), ()), changes)


async def list_facts(
    work: Work, project_key: str, noun: Noun, wanted: FactFilter, *, before: int | None, limit: int
) -> list[Any]:
    """Facts of a kind, newest first."""
    place = await place_of(work, project_key)
    found = await page_facts(work, place, noun.kind, wanted, before=before, limit=limit)
    acceptances = await _acceptances(work, noun, found)
    return [_out(noun, fact, acceptances) for fact in found]


async def end_fact(work: Work, project_key: str, noun: Noun, fact_id: str, reason: str) -> Outcome[Closed]:
    """Say that it stands no longer. Raises `Conflict` if it was ended before, `Forbidden` if it is another's word."""
    ledger = await open_ledger(work, project_key)
    found = await get_fact(work, ledger, noun.kind, fact_id)
    if found.row.environment is None and noun.wanted.model_fields.get("environment") is not None:
        require_all_environments(work, f"a {noun.kind}")
    if noun.ends_own:
        standing = await standing_of(work, ledger)
        if found.row.person not in (standing.person, work.principal.person):
            raise Forbidden(f"only `{found.row.person}`, whose word it is, can {noun.end} it", code="not_yours")
    ending = await end(work, ledger, found.row.id, reason)
    changes: Changes = [{"path": "/ended_because", "op": "add", "to": reason}]
    await _note(work, ledger, noun, f"{noun.kind}.{noun.end}", found.row, changes)
    fact = Fact(found.row, ending)
    return Outcome(_out(noun, fact, await _acceptances(work, noun, [fact])), changes)


async def accept_demo(work: Work, project_key: str, demo_id: str, wanted: AcceptanceIn) -> Outcome[Closed]:
    """Accept what was demonstrated, in a role that the caller has now; raises `Forbidden` without it."""
    ledger = await open_ledger(work, project_key)
    found = await get_fact(work, ledger, DEMO.kind, demo_id)
    standing = await standing_of(work, ledger)
    if wanted.role not in standing.roles:
        raise Forbidden(f"`{standing.person}` does not have the role `{wanted.role}`", code="role_needed")
    saying = Saying(ACCEPTANCE, about=found.row.id, roles=[wanted.role], body=plain(wanted))
    await say(work, ledger, saying)
    changes: Changes = [{"path": "/accepted_by/-", "op": "add", "to": {"person": standing.person, **plain(wanted)}}]
    await _note(work, ledger, DEMO, "demo.accept", found.row, changes)
    return Outcome(_out(DEMO, found, await _acceptances(work, DEMO, [found])), changes)


async def _note(work: Work, ledger: Ledger, noun: Noun, action: str, row: FactRow, changes: Changes) -> None:
    if work.principal.kind != "pipeline":
        await work.note(ledger.project_key, action, noun.path(ledger.project_key, row.id), changes)


async def _acceptances(work: Work, noun: Noun, found: Sequence[Fact]) -> Sequence[FactRow]:
    if noun is not DEMO or not found:
        return ()
    return await facts_about(work, [fact.row.id for fact in found], ACCEPTANCE)


def _out(noun: Noun, fact: Fact, acceptances: Sequence[FactRow]) -> Closed:
    members = members_of(fact)
    if noun.shown is DemoOut:
        members["accepted_by"] = [
            {"person": row.person, "role": row.body["role"], "at": row.at, "comment": row.body["comment"]}
            for row in acceptances
            if row.about == fact.row.id
        ]
    members.setdefault("is_verified", False)
    return noun.shown.model_validate({name: members.get(name) for name in noun.shown.model_fields})


def _nothing(_work: Work, _members: dict[str, Any]) -> None:
    pass


def _check_approval(_work: Work, members: dict[str, Any]) -> None:
    needed, other = ("flag", "digest") if members["action"] in ("release", "darken") else ("digest", "flag")
    errors = []
    if members[needed] is None:
        errors.append(FieldError(f"/{needed}", f"an approval of `{members['action']}` is bound to a {needed}"))
    if other == "flag" and (members["flag"] is not None or members["audience"] is not None):
        errors.append(FieldError("/flag", f"only a release has a flag and an audience, not `{members['action']}`"))
    if errors:
        raise Invalid(errors=errors)


def _check_waiver(work: Work, members: dict[str, Any]) -> None:
    errors = []
    if (members["service"] is None) == (members["digest"] is None):
        errors.append(FieldError("/digest", "a waiver is for one `digest` or for one `service`, and not for both"))
    if members["until"] <= work.now:
        errors.append(FieldError("/until", "it lies in the past"))
    if errors:
        raise Invalid(errors=errors)


_CHECKS: Final = {APPROVAL.kind: _check_approval, WAIVER.kind: _check_waiver}
