"""Taking in what other tools tell as CDEvents: builds, deployments, evidence and incidents.

An event is known by its source and id; what it tells is kept once. What lacks something that we need, such as a
service of ours, is ignored with the reason and not refused: the sender tells many others as well.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from greenroom_server.errors import Conflict, Invalid
from greenroom_server.flags.work import Changes, Outcome, Work, plain
from greenroom_server.releases.formats import drafts
from greenroom_server.releases.formats.values import digest_of_bytes
from greenroom_server.releases.intake import Told, offered_evidence
from greenroom_server.releases.nouns import INCIDENT
from greenroom_server.releases.sanctions import NOBODY_ASKS, Sanctions
from greenroom_server.releases.service_builds import register_build
from greenroom_server.releases.service_deployments import deployment_path, finish_deployment, start_deployment
from greenroom_server.releases.service_evidence import evidence_path, take_evidence
from greenroom_server.releases.service_facts import END
from greenroom_server.releases.service_nouns import add_fact, end_fact
from greenroom_server.releases.service_places import lock_places
from greenroom_server.releases.service_scope import open_ledger, place_of
from greenroom_server.releases.service_services import service_path
from greenroom_server.releases.tables import DeploymentRow, ServiceRow
from greenroom_server.releases.tables_facts import FactRow
from greenroom_server.releases.wire_builds import BuildIn, DeploymentIn, FinishIn
from greenroom_server.releases.wire_events import EventOut, EventsOut
from greenroom_server.releases.wire_facts import IncidentIn
from greenroom_server.web.validation import parse

Taken = tuple[str, bool]
_MAX_NAME: Final = 200


class _Passed(Exception):
    """Nothing is taken from the event, for this reason."""


async def take_events(
    work: Work, project_key: str, reading: drafts.Reading, sanctions: Sanctions = NOBODY_ASKS
) -> Outcome[EventsOut]:
    """Keep what the events tell, in their order; what a verb refuses is ignored, with what it says."""
    place = await place_of(work, project_key)
    await lock_places(work, place.project_id, _places_in(reading))
    await open_ledger(work, project_key)
    items = [await _taken(work, project_key, draft, sanctions) for draft in reading.facts]
    items += [
        EventOut(source=one.source, id=one.id, type=one.type, status="ignored", fact=None, reason=one.reason)
        for one in reading.ignored
    ]
    changes: Changes = [
        {"path": f"/items/{index}", "op": "add", "to": plain(item)}
        for index, item in enumerate(items)
        if item.status == "accepted"
    ]
    return Outcome(EventsOut(items=items), changes)


def _places_in(reading: drafts.Reading) -> list[tuple[str, str]]:
    """Where the events tell of deployments; their locks come before the ledger's."""
    told = (draft for draft in reading.facts if isinstance(draft, drafts.DeploymentDraft))
    return [(one.service, one.environment) for one in told if one.service and one.environment]


async def _taken(work: Work, project_key: str, draft: Any, sanctions: Sanctions) -> EventOut:
    event: drafts.Event = draft.event
    known = {"source": event.source, "id": event.id, "type": event.type}
    take = _TAKERS.get(type(draft))
    if isinstance(draft, drafts.DeploymentDraft):
        take = partial(_take_deployment, sanctions=sanctions)
    try:
        if take is None:
            raise _Passed("nothing is decided by it here")
        async with work.session.begin_nested():  # whatever is refused halfway leaves nothing behind
            path, is_new = await take(work, project_key, draft)
    except (_Passed, Invalid, Conflict) as error:
        return EventOut(**known, status="ignored", fact=None, reason=str(error))
    return EventOut(**known, status="accepted" if is_new else "duplicate", fact=path, reason=None)


async def _take_evidence(work: Work, project_key: str, draft: drafts.EvidenceDraft) -> Taken:
    if draft.subject is None:
        raise _Passed("it does not say what was checked")
    outcome = await take_evidence(work, project_key, Told([offered_evidence(draft)]))
    return evidence_path(project_key, outcome.result.items[0].id), bool(outcome.changes)


async def _take_build(work: Work, project_key: str, draft: drafts.BuildDraft) -> Taken:
    if draft.service is None or draft.digest is None or draft.commit is None:
        raise _Passed("it does not say service, digest and commit of the build")
    await _require_service(work, project_key, draft.service)
    wanted = parse(BuildIn, {"digests": [draft.digest], "commit": draft.commit})
    outcome = await register_build(work, project_key, draft.service, wanted)
    return f"{service_path(project_key, draft.service)}/builds/{draft.digest}", bool(outcome.changes)


async def _take_deployment(
    work: Work, project_key: str, draft: drafts.DeploymentDraft, *, sanctions: Sanctions
) -> Taken:
    if draft.change == "removed":
        raise _Passed("what is removed is known from what comes in its place")
    if draft.digest is None:
        raise _Passed("it does not say the digest that was deployed")
    service = await _require_service(work, project_key, draft.service)
    run = _name_of(draft.event)
    earlier = select(col(DeploymentRow.id)).where(
        col(DeploymentRow.service_id) == service.id, col(DeploymentRow.run) == run
    )
    deployment_id: Any = (await work.session.scalars(earlier)).first()
    if deployment_id is not None:
        return deployment_path(project_key, deployment_id), False
    members = {"digest": draft.digest, "environment": draft.environment, "slot": draft.slot, "run": run}
    at = draft.event.at.isoformat()
    wanted = parse(DeploymentIn, {**members, "started_at": at})
    started = await start_deployment(work, project_key, draft.service, wanted, sanctions)
    finished = parse(FinishIn, {"finished_at": at})
    await finish_deployment(work, project_key, started.result.id, finished, sanctions, is_timed=False)
    return deployment_path(project_key, started.result.id), True


async def _take_incident(work: Work, project_key: str, draft: drafts.IncidentDraft) -> Taken:
    earlier = await _incident_of(work, project_key, draft)
    if draft.state == "resolved":
        if earlier is None:
            raise _Passed("nobody told of this incident before")
        if await _is_over(work, earlier):
            return INCIDENT.path(project_key, earlier.id), False
        await end_fact(work, project_key, INCIDENT, str(earlier.id), draft.description or "")
        return INCIDENT.path(project_key, earlier.id), True
    if earlier is not None:
        return INCIDENT.path(project_key, earlier.id), False
    members = {
        "service": draft.service,
        "environment": draft.environment,
        "digest": draft.digest,
        "text": draft.description or draft.incident,
        "url": draft.ticket_url,
        "reference": _reference_of(draft),
        "at": draft.event.at.isoformat(),
    }
    made: Any = await add_fact(work, project_key, INCIDENT, parse(IncidentIn, members))
    return INCIDENT.path(project_key, made.result.id), True


async def _incident_of(work: Work, project_key: str, draft: drafts.IncidentDraft) -> FactRow | None:
    ledger = await open_ledger(work, project_key)
    query = select(FactRow).where(
        col(FactRow.project_id) == ledger.project_id,
        col(FactRow.kind) == INCIDENT.kind,
        col(FactRow.body)["reference"].astext == _reference_of(draft),
    )
    return (await work.session.scalars(query)).first()


async def _is_over(work: Work, row: FactRow) -> bool:
    query = select(col(FactRow.id)).where(col(FactRow.about) == row.id, col(FactRow.kind) == END)
    return (await work.session.scalars(query)).first() is not None


async def _require_service(work: Work, project_key: str, key: str) -> ServiceRow:
    ledger = await open_ledger(work, project_key)
    query = select(ServiceRow).where(col(ServiceRow.project_id) == ledger.project_id, col(ServiceRow.key) == key)
    row = (await work.session.scalars(query)).one_or_none()
    if row is None:
        raise _Passed(f"there is no service `{key}` in this project")
    return row


def _reference_of(draft: drafts.IncidentDraft) -> str:
    return _short(f"{draft.event.source} {draft.incident}")


def _name_of(event: drafts.Event) -> str:
    return _short(f"{event.source} {event.id}")


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else digest_of_bytes(name.encode())


_TAKERS: Final[dict[type[Any], Callable[[Work, str, Any], Awaitable[Taken]]]] = {
    drafts.EvidenceDraft: _take_evidence,
    drafts.BuildDraft: _take_build,
    drafts.IncidentDraft: _take_incident,
}
