"""The verbs on decisions: ask and keep, simulate, read, replay.

INVARIANT: a decision, what it was made from and its audit event commit together, and only then is it answered.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import zstandard
from sqlalchemy import select, tuple_
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from greenroom_server.audit.service import Inserted
from greenroom_server.decisions.policies import PolicyShelf, compiled
from greenroom_server.decisions.service_look import Seen, Shelves, find_policy
from greenroom_server.decisions.service_policies import author_of, get_version
from greenroom_server.decisions.tables import DecisionRow
from greenroom_server.decisions.wire import DecisionIn, DecisionSummary, ReplayOut, SimulationIn
from greenroom_server.errors import FieldError, Invalid, NotFound
from greenroom_server.flags.work import Outcome, Work
from greenroom_server.policy.canonical import decision_bytes, write_decision
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decide import decide, decide_on
from greenroom_server.policy.decision import Decision
from greenroom_server.policy.explain import steps_in_words
from greenroom_server.policy.facts import Instant, Request, Snapshot
from greenroom_server.policy.fixtures import Situation
from greenroom_server.policy.question import Index
from greenroom_server.policy.stored import read_request, read_snapshot
from greenroom_server.releases.service_builds import page_builds
from greenroom_server.releases.service_facts import use
from greenroom_server.releases.service_scope import id_of, new_id, open_ledger, place_of

_PACK: Final = zstandard.ZstdCompressor(level=1)
_UNPACK: Final = zstandard.ZstdDecompressor()
_POSTGRESQL: Final[Any] = postgresql
_TYPES: Final = {
    column.name: column.type.compile(_POSTGRESQL.dialect())
    for column in DecisionRow.__table__.columns  # type: ignore[attr-defined]
}
# What a question about an action has to name.
_ABOUT: Final = {
    "deploy": ("digest",),
    "switch": ("digest",),
    "rollback": ("digest",),
    "release": ("flag", "audience"),
    "darken": ("flag",),
}
MAX_INPUTS_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """A decision that was made and is not kept yet; `id` is the name that it will have."""

    id: UUID
    seen: Seen
    policy: Policy | None
    request: Request
    decision: Decision


async def make_decision(work: Work, project_key: str, wanted: DecisionIn, shelves: Shelves) -> Made:
    """Decide on one state of the store, which a reading transaction sees.

    Raises `NotFound` for a project that is not there; an unknown service, environment, action or digest is decided:
    denied.
    """
    return await decide_again(work, project_key, await _request_of(work, project_key, wanted), shelves)


async def decide_again(
    work: Work,
    project_key: str,
    request: Request,
    shelves: Shelves,
    *,
    without: Callable[[Snapshot], Snapshot] | None = None,
) -> Made:
    """Decide a request that was checked when it was first made; `without` leaves facts out.

    In a writing transaction, hold the place and the ledger: then nothing changes between its statements.
    """
    seen, facts = await shelves.facts.look(work, project_key, request)
    policy = await find_policy(work.session, shelves.policies, seen.version_id)
    if without is not None:
        facts = Index(without(facts.snapshot))
    return _made(work, seen, facts, request, policy)


async def make_from_known(work: Work, project_key: str, wanted: DecisionIn, shelves: Shelves) -> Made | None:
    """`make_decision` by one statement, if all that it takes is known; None if something has to be loaded.

    It needs no session.
    """
    if wanted.digest is None and wanted.commit is not None:
        return None
    request = await _request_of(work, project_key, wanted)
    known = await shelves.facts.glance(shelves.store, project_key, request)
    if known is None:
        return None
    seen, facts = known
    policy = None if seen.version_id is None else shelves.policies.kept(seen.version_id)
    if policy is None and seen.version_id is not None:
        return None
    return _made(work, seen, facts, request, policy)


def _made(work: Work, seen: Seen, facts: Index, request: Request, policy: Policy | None) -> Made:
    return Made(new_id(work.now), seen, policy, request, decide_on(facts, request, policy, instant_of(work.now)))


async def keep_decision(
    work: Work, made: Made, *, is_of_permit: bool = False, **told_besides: str
) -> Outcome[dict[str, Any]]:
    """Store the decision with its audit event, which `told_besides` adds to; what is answered is what is stored.

    A break-glass that lets something through is used up by that: raises `Conflict` if another was quicker. Where the
    policy asks for permits it is the permit that lets through and not the decision.
    """
    decision, request, seen = made.decision, made.request, made.seen
    subject, body = request.digest or request.commit or request.flag or "", decision_bytes(decision)
    values = {
        "id": made.id,
        "project_id": seen.place.project_id,
        "service": request.service,
        "environment": request.environment,
        "action": request.action,
        "verdict": decision.verdict,
        "subject": subject,
        "requester": request.requester,
        **seen.marks._asdict(),
        # INVARIANT: the policy that it was made by, which need not be the one in force: replays decide by it.
        "policy_version_id": None if made.policy is None else seen.version_id,
        "inputs_digest": decision.inputs_digest,
        "inputs": _PACK.compress(decision.inputs),
        "body": body,
        "decided_at": work.now,
    }
    path = decision_path(seen.place.project_key, made.id)
    if uses_break_glass(made) and not is_of_permit:
        await use_break_glass(work, made, path)
    told = {"decision": decision.verdict, "service": request.service, "environment": request.environment}
    event = request.action if request.action in _ABOUT else "unknown"
    if event == "unknown":
        told["action"] = request.action
    told |= {"subject": subject, "inputs_digest": decision.inputs_digest, **told_besides}
    changes = [{"path": "", "op": "add", "to": told}]
    row = Inserted("decision", _TYPES, values)
    await work.note(seen.place.project_key, f"decision.{event}", path, changes, row=row)
    return Outcome(answered(orjson.loads(body), str(made.id), simulated=False), changes)


def uses_break_glass(made: Made) -> bool:
    """Whether keeping the decision uses a break-glass up; there is no permit for the release of a flag."""
    if made.decision.break_glass is None:
        return False
    return made.request.action == "release" or not asks_for_permit(made.policy, made.request.environment)


def asks_for_permit(policy: Policy | None, environment: str) -> bool:
    """Whether whatever is deployed there needs a permit."""
    spec = None if policy is None else policy.document.environments.get(environment)
    return spec is not None and spec.permits == "required"


async def use_break_glass(work: Work, made: Made, by: str) -> None:
    """The break-glass of a decision was used, by what lies at this path, and somebody owes the review."""
    policy, name, project_key = made.policy, made.decision.break_glass, made.seen.place.project_key
    if policy is None or policy.document.break_glass is None or name is None:
        return
    ledger = await open_ledger(work, project_key)
    due = work.now + timedelta(milliseconds=policy.document.break_glass.review_within)
    used = {"by": by, "review_due": due.isoformat()}
    await use(work, ledger, UUID(name), used)
    target = f"/api/v1/projects/{project_key}/break-glass/{name}"
    await work.note(project_key, "break_glass.use", target, [{"path": "/used", "op": "add", "to": used}])


async def simulate_decision(work: Work, project_key: str, wanted: SimulationIn, shelves: Shelves) -> dict[str, Any]:
    """What would be decided at another moment, by another policy or in another mode. Nothing is kept."""
    request = await _request_of(work, project_key, wanted)
    seen, facts = await shelves.facts.look(work, project_key, request)
    if wanted.mode is not None:
        facts = Index(replace(facts.snapshot, mode=wanted.mode))
    policy = await _simulated_policy(work, seen, wanted, shelves.policies)
    made = decide_on(facts, request, policy, instant_of(wanted.at or work.now))
    return answered(write_decision(made), None, simulated=True)


async def read_decision(work: Work, project_key: str, decision_id: str) -> dict[str, Any]:
    """The decision as it was given."""
    return _shown(await get_decision(work, project_key, decision_id))


async def page_decisions(
    work: Work,
    project_key: str,
    wanted: dict[str, str],
    *,
    after: tuple[str, str] | None,
    limit: int,
) -> list[DecisionSummary]:
    """Decisions in the environments that the caller may see, newest first; `wanted` are columns and their values."""
    place = await place_of(work, project_key)
    at, id_ = col(DecisionRow.decided_at), col(DecisionRow.id)
    query = select(DecisionRow).where(col(DecisionRow.project_id) == place.project_id)
    for name, value in wanted.items():
        query = query.where(getattr(DecisionRow, name) == value)
    if work.principal.environments is not None:
        query = query.where(col(DecisionRow.environment).in_(work.principal.environments))
    if after is not None:
        query = query.where(tuple_(at, id_) < (datetime.fromisoformat(after[0]), UUID(after[1])))
    rows = await work.session.scalars(query.order_by(at.desc(), id_.desc()).limit(limit))
    return [_summary(row) for row in rows]


async def replay_decision(work: Work, project_key: str, decision_id: str, shelf: PolicyShelf) -> ReplayOut:
    """Decide once more from what was kept: the same facts, policy and moment give the same bytes."""
    row = await get_decision(work, project_key, decision_id)
    policy = await find_policy(work.session, shelf, row.policy_version_id)
    asked = situation_of(row)
    again = decision_bytes(decide(asked.snapshot, asked.request, policy, asked.now))
    decision = answered(orjson.loads(again), str(row.id), simulated=True)
    return ReplayOut(same=again == row.body, why=_difference(row, again), decision=decision)


async def get_decision(work: Work, project_key: str, decision_id: str) -> DecisionRow:
    """Raises `NotFound` for what is not there, and for what lies in an environment outside the caller's limits."""
    place = await place_of(work, project_key)
    query = select(DecisionRow).where(
        col(DecisionRow.project_id) == place.project_id, col(DecisionRow.id) == id_of(decision_id, "decision")
    )
    row = (await work.session.scalars(query)).one_or_none()
    if row is None or not work.principal.sees_environment(row.environment):
        raise NotFound(f"there is no decision `{decision_id}` in project `{project_key}`")
    return row


def instant_of(moment: datetime) -> Instant:
    """Cut to the millisecond, as the core counts."""
    return int(moment.timestamp() * 1000)


def situation_of(row: DecisionRow) -> Situation:
    """The facts, the request and the moment that a decision was made from."""
    inputs = _inputs_of(row)
    return Situation(read_snapshot(inputs["snapshot"]), read_request(inputs["request"]), inputs["now"])


def request_of(row: DecisionRow) -> Request:
    """What was asked."""
    return read_request(_inputs_of(row)["request"])


def decision_path(project_key: str, decision_id: UUID) -> str:
    return f"/api/v1/projects/{project_key}/decisions/{decision_id}"


def _inputs_of(row: DecisionRow) -> Any:
    return orjson.loads(unpacked(row.inputs))


def unpacked(inputs: bytes) -> bytes:
    """The canonical bytes of what a decision was made from, out of what is stored."""
    return _UNPACK.decompress(inputs, max_output_size=MAX_INPUTS_BYTES)


async def _request_of(work: Work, project_key: str, wanted: DecisionIn | SimulationIn) -> Request:
    if not work.principal.sees_environment(wanted.environment):
        detail = "this token is limited to other environments"
        raise Invalid(errors=[FieldError("/environment", detail)])
    _check_named(wanted)
    digest, commit = wanted.digest, None
    if digest is None and wanted.commit is not None:
        digest = await _digest_of_commit(work, project_key, wanted.service, wanted.commit)
        commit = wanted.commit if digest is None else None
    return Request(
        action=wanted.action,
        service=wanted.service,
        environment=wanted.environment,
        requester=author_of(work),
        digest=digest,
        slot=wanted.slot,
        flag=wanted.flag,
        audience=wanted.audience,
        scheduled_for=None if wanted.scheduled_for is None else instant_of(wanted.scheduled_for),
        commit=commit,
    )


def _check_named(wanted: DecisionIn | SimulationIn) -> None:
    """Raises `Invalid` unless the request names what its action is about; what others are about nobody knows."""
    for member in _ABOUT.get(wanted.action, ()):
        has_other = member == "digest" and (wanted.commit or (wanted.action == "switch" and wanted.slot))
        if getattr(wanted, member) is None and not has_other:
            detail = f"`{member}` is missing: the action `{wanted.action}` is about it"
            raise Invalid(errors=[FieldError(f"/{member}", detail)])


async def _digest_of_commit(work: Work, project_key: str, service: str, commit: str) -> str | None:
    """The digest of the one build of a commit; None if nobody knows one, or there are several."""
    try:
        found = await page_builds(work, project_key, service, commit, before=None, limit=2)
    except NotFound:
        return None
    return found[0].digests[0].digest if len(found) == 1 else None


async def _simulated_policy(work: Work, seen: Seen, wanted: SimulationIn, shelf: PolicyShelf) -> Policy | None:
    if wanted.document is not None and wanted.policy is not None:
        raise Invalid(errors=[FieldError("/document", "give `policy` or `document`, not both")])
    if wanted.document is not None:
        return compiled(wanted.document, 0, at="/document")
    if wanted.policy is not None:
        return shelf.policy_of(await get_version(work.session, seen.place, wanted.policy.name, wanted.policy.version))
    return await find_policy(work.session, shelf, seen.version_id)


def _shown(row: DecisionRow) -> dict[str, Any]:
    return answered(orjson.loads(row.body), str(row.id), simulated=False)


def answered(body: dict[str, Any], decision_id: str | None, *, simulated: bool) -> dict[str, Any]:
    """What is written, and beside it what is not part of a decision: its name, and what to do in words."""
    steps = steps_in_words(body["next"], body["obligations"])
    return {"id": decision_id, "simulated": simulated, **body, "steps": list(steps)}


def _summary(row: DecisionRow) -> DecisionSummary:
    shown = ("action", "service", "environment", "subject", "requester", "seq", "decided_at")
    return DecisionSummary.model_validate(
        {"id": str(row.id), "decision": row.verdict, **{name: getattr(row, name) for name in shown}}
    )


def _difference(row: DecisionRow, again: bytes) -> str | None:
    if again == row.body:
        return None
    before, after = orjson.loads(row.body), orjson.loads(again)
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return f"differs in {', '.join(f'`{name}`' for name in names)}"
