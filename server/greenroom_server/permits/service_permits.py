"""The verbs on permits that issue and show them.

INVARIANT: a permit, the decision behind it and its signature commit together, under the locks of its place and of the
project's ledger, so no two are issued on the same facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlmodel import col

from greenroom_server.decisions.service_decisions import Made, decide_again, decision_path, keep_decision
from greenroom_server.decisions.service_decisions import use_break_glass as use_up
from greenroom_server.decisions.service_policies import author_of
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.work import Changes, Outcome, Work
from greenroom_server.permits.desk import Desk
from greenroom_server.permits.permits import BOUND, PERMIT, Held, held_of
from greenroom_server.permits.service_glass import read_break_glass
from greenroom_server.permits.service_keys import Signer, signer_of
from greenroom_server.permits.statements import Granted, break_glass_statement, verdict_statement
from greenroom_server.permits.tables import AttestationRow
from greenroom_server.permits.wire import Permit, PermitAnswer, PermitIn, PermitOut
from greenroom_server.policy.facts import Request
from greenroom_server.releases.service_facts import (
    USE,
    Fact,
    FactFilter,
    Saying,
    facts_about,
    get_fact,
    page_facts,
    say,
)
from greenroom_server.releases.service_places import lock_places
from greenroom_server.releases.service_scope import Ledger, Place, open_ledger, place_of

VERDICT = "verdict"
BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was made and kept, as it is answered."""

    made: Made
    answer: dict[str, Any]

    @property
    def id(self) -> UUID:
        return UUID(self.answer["id"])

    @property
    def is_allowed(self) -> bool:
        return self.made.decision.verdict == "allow"


async def issue_permit(
    work: Work, desk: Desk, project_key: str, wanted: PermitIn, *, is_trial: bool
) -> Outcome[PermitAnswer]:
    """Decide, and on an allow reserve the place. A trial, which is not committed, is never signed.

    Raises `Conflict` if it cannot be signed: then nothing is issued.
    """
    place = await place_of(work, project_key)
    request = _request_of(work, wanted)
    await lock_places(work, place.project_id, [(wanted.service, wanted.environment)])
    ledger = await open_ledger(work, project_key)
    made = await decide_again(work, project_key, request, desk.shelves)
    kept = await keep_decision(work, made, is_of_permit=True)
    decided = Decided(made, kept.result)
    held = await _reserve(work, ledger, decided, wanted.valid_for_s) if decided.is_allowed else None
    is_signed = not is_trial and (held is not None or (wanted.attest_denial and made.decision.verdict == "deny"))
    envelopes = await _sign(work, await signer_of(work, ledger, desk), desk, decided, held) if is_signed else {}
    permit = None if held is None else held.out(work.now)
    answer = PermitAnswer(
        permit=permit,
        decision=decided.answer,
        attestation=envelopes.get(VERDICT),
        break_glass_record=envelopes.get(BREAK_GLASS),
    )
    return Outcome(answer, kept.changes)


async def page_permits(
    work: Work, project_key: str, wanted: FactFilter, *, before: int | None, limit: int
) -> list[Permit]:
    """Permits in the environments that the caller may see, newest first."""
    place = await place_of(work, project_key)
    found = await page_facts(work, place, PERMIT, wanted, before=before, limit=limit)
    return [held.out(work.now) for held in await followed(work, found)]


async def read_permit(work: Work, project_key: str, permit_id: str) -> PermitOut:
    return await shown(work, await get_permit(work, await place_of(work, project_key), permit_id))


async def get_permit(work: Work, place: Place | Ledger, permit_id: str) -> Held:
    """The permit; raises `NotFound`, also for one in an environment that is hidden from the caller."""
    (held,) = await followed(work, [await get_fact(work, place, PERMIT, permit_id)])
    return held


async def followed(work: Work, found: Sequence[Fact]) -> list[Held]:
    """Permits with what was said of them since."""
    ids = [fact.row.id for fact in found]
    about = [row for kind in (USE, BOUND) for row in await facts_about(work, ids, kind)]
    return [held_of(fact, about) for fact in found]


async def shown(work: Work, held: Held) -> PermitOut:
    """The permit with what was signed."""
    query = select(AttestationRow).where(col(AttestationRow.decision_id) == UUID(held.body["decision"]))
    envelopes = {row.kind: orjson.loads(row.envelope) for row in await work.session.scalars(query)}
    return PermitOut(
        **dict(held.out(work.now)),
        attestation=envelopes.get(VERDICT),
        break_glass_record=envelopes.get(BREAK_GLASS),
    )


def permit_path(project_key: str, permit_id: Any) -> str:
    return f"/api/v1/projects/{project_key}/permits/{permit_id}"


def _request_of(work: Work, wanted: PermitIn) -> Request:
    if not work.principal.sees_environment(wanted.environment):
        raise Invalid(errors=[FieldError("/environment", "this token is limited to other environments")])
    members = wanted.model_dump(include={"action", "service", "environment", "digest", "slot"})
    return Request(requester=author_of(work), **members)


async def _reserve(work: Work, ledger: Ledger, decided: Decided, valid_for_s: int) -> Held:
    """The fact that the place is taken, for as long as the decision holds at most."""
    decision, request = decided.made.decision, decided.made.request
    until = work.now + timedelta(seconds=valid_for_s)
    if decision.expires_at is not None:
        until = min(until, datetime.fromtimestamp(decision.expires_at / 1000, UTC))
    policy = {"name": decision.policy_name, "version": decision.policy_version, "digest": decision.policy_digest}
    body = {
        "action": request.action,
        "slot": request.slot,
        "until": until.isoformat(),
        "requester": request.requester,
        "decision": str(decided.id),
        "policy": policy,
        "break_glass": decision.break_glass,
    }
    columns: dict[str, Any] = {
        "service": request.service,
        "environment": request.environment,
        "digest": request.digest,
    }
    row = await say(work, ledger, Saying(PERMIT, body=body, **columns))
    path = permit_path(ledger.project_key, row.id)
    if decision.break_glass is not None:
        await use_up(work, decided.made, path)
    told = {**columns, **{name: body[name] for name in ("action", "slot", "until", "break_glass", "decision")}}
    changes: Changes = [{"path": "", "op": "add", "to": told}]
    await work.note(ledger.project_key, "permit.issue", path, changes)
    return Held(Fact(row, None))


async def _sign(work: Work, signer: Signer, desk: Desk, decided: Decided, held: Held | None) -> dict[str, Any]:
    """The envelopes by their kinds, as JSON."""
    project_key = decided.made.seen.place.project_key
    granted = Granted(
        project_key,
        decided.answer,
        decision_path(project_key, decided.id),
        work.now,
        permit=None if held is None else permit_path(project_key, held.id),
        expires_at=None if held is None else held.expires_at,
    )
    statements = {VERDICT: verdict_statement(desk.verifier, granted)}
    if held is not None and held.body["break_glass"] is not None:
        glass = await read_break_glass(work, project_key, held.body["break_glass"])
        statements[BREAK_GLASS] = break_glass_statement(desk.verifier, granted, glass.model_dump(mode="json"))
    return {
        kind: orjson.loads(await signer.keep(decided.id, kind, statement)) for kind, statement in statements.items()
    }
