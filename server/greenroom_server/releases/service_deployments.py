"""The verbs on deployments: what was put where, when it ran, and when it had the traffic.

In one environment and slot of a service one deployment runs at a time, and in one environment one has the traffic.
A deployment without slots has it as soon as it runs, and so has one that replaces what had it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from greenroom_server.errors import Conflict, FieldError, Invalid, NotFound
from greenroom_server.flags.work import Changes, Outcome, Work, plain
from greenroom_server.releases.sanctions import NOBODY_ASKS, Move, Sanctions
from greenroom_server.releases.service_places import lock_places
from greenroom_server.releases.service_scope import (
    Ledger,
    Place,
    get_service,
    id_of,
    new_id,
    open_ledger,
    place_of,
    require_named,
    require_plausible,
    visible,
)
from greenroom_server.releases.tables import BuildDigestRow, DeploymentRow, LiveRow, ServiceRow
from greenroom_server.releases.wire_builds import DeploymentIn, DeploymentOut, FailIn, FinishIn, LiveIn, LiveOut

_HIDDEN: Final = {"id", "service_id", "slot", "ended_seq"}


@dataclass(frozen=True, slots=True)
class DeploymentFilter:
    """Which deployments to list; None takes all. `running`: those that run now."""

    environment: str | None = None
    digest: str | None = None
    running: bool = False


async def start_deployment(
    work: Work, project_key: str, service_key: str, wanted: DeploymentIn, sanctions: Sanctions = NOBODY_ASKS
) -> Outcome[DeploymentOut]:
    """Record that a digest is being deployed. It need not be a known one: its build may be registered later.

    A release that is decided there at the same moment is decided before it, or knows of it.
    """
    require_plausible(work, started_at=wanted.started_at)
    place = await place_of(work, project_key)
    await lock_places(work, place.project_id, [(service_key, wanted.environment)])
    ledger = await open_ledger(work, project_key)
    service = await get_service(work, ledger, service_key)
    await require_named(work, ledger, environments=(wanted.environment,))
    row = DeploymentRow(
        id=new_id(work.now),
        service_id=service.id,
        **wanted.model_dump(exclude={"slot", "started_at"}),
        slot=wanted.slot or "",
        state="started",
        started_at=wanted.started_at or work.now,
        seq=ledger.next(),
        received_at=work.now,
        actor=work.principal.actor,
    )
    found = await sanctions.begin(work, ledger, _move_of(row, service_key))
    row.sanction, row.permit = found.sanction, found.permit or row.permit
    work.session.add(row)
    changes: Changes = [{"path": "", "op": "add", "to": plain(wanted)}]
    return await _noted(work, ledger, row, "deployment.start", changes)


async def finish_deployment(
    work: Work,
    project_key: str,
    text: str,
    wanted: FinishIn,
    sanctions: Sanctions = NOBODY_ASKS,
    *,
    is_timed: bool = True,
) -> Outcome[DeploymentOut]:
    """Record that it runs: what ran in its slot before is removed. Finishing a finished one changes nothing.

    Unless `is_timed`, nobody measured how long it took.
    """
    require_plausible(work, finished_at=wanted.finished_at)
    ledger = await open_ledger(work, project_key)
    row = await _get(work, ledger, text)
    if row.state == "finished":
        return Outcome((await _outs(work, [row]))[0], [])
    _require_started(row)
    at = _not_before(wanted.finished_at or work.now, row.started_at, "finished_at")
    row.state, row.deployed_at, row.ended_seq = "finished", at, ledger.next()
    row.duration_ms = wanted.duration_ms
    if row.duration_ms is None and is_timed:
        row.duration_ms = int((at - row.started_at).total_seconds() * 1000)
    if wanted.manual_steps is not None:
        row.manual_steps = wanted.manual_steps
    before = await _running_in_slot(work, row)
    later = [other.deployed_at for other in before if other.deployed_at is not None and other.deployed_at > at]
    if later:
        row.removed_at = min(later)  # told late: something newer runs there already
    else:
        had_traffic = await _replace(work, row, before, at)
        if (not row.slot or wanted.live or had_traffic) and not await _is_live_since(work, row, at):
            await _take_traffic(work, row, at, row.ended_seq)
    await _end_permit(work, ledger, row, sanctions)
    changes: Changes = [{"path": "/state", "op": "replace", "from": "started", "to": "finished"}]
    return await _noted(work, ledger, row, "deployment.finish", changes)


async def fail_deployment(
    work: Work, project_key: str, text: str, wanted: FailIn, sanctions: Sanctions = NOBODY_ASKS
) -> Outcome[DeploymentOut]:
    """Record that it never ran; what ran before goes on. Failing a failed one changes nothing."""
    require_plausible(work, failed_at=wanted.failed_at)
    ledger = await open_ledger(work, project_key)
    row = await _get(work, ledger, text)
    if row.state == "failed":
        return Outcome((await _outs(work, [row]))[0], [])
    _require_started(row)
    row.state, row.ended_seq = "failed", ledger.next()
    row.failed_at = _not_before(wanted.failed_at or work.now, row.started_at, "failed_at")
    await _end_permit(work, ledger, row, sanctions)
    changes: Changes = [{"path": "/state", "op": "replace", "from": "started", "to": "failed"}]
    if wanted.reason:
        changes.append({"path": "/reason", "op": "add", "to": wanted.reason})
    return await _noted(work, ledger, row, "deployment.fail", changes)


async def make_live(
    work: Work, project_key: str, text: str, wanted: LiveIn, sanctions: Sanctions = NOBODY_ASKS
) -> Outcome[DeploymentOut]:
    """Record that its slot has the traffic now; raises `Conflict` unless it runs. Once more changes nothing."""
    require_plausible(work, at=wanted.at)
    ledger = await open_ledger(work, project_key)
    row = await _get(work, ledger, text)
    if row.deployed_at is None or row.removed_at is not None:
        raise Conflict("it does not run (any more), so it cannot have the traffic", code="not_running")
    if any(one.deployment_id == row.id for one in await _live_in(work, row)):
        return Outcome((await _outs(work, [row]))[0], [])
    at = _not_before(wanted.at or work.now, row.deployed_at, "at")
    await _take_traffic(work, row, at, ledger.next())
    await sanctions.switch(work, ledger, _move_of(row, await _service_key(work, row)))
    changes: Changes = [{"path": "/live/-", "op": "add", "to": {"live_from": at.isoformat()}}]
    return await _noted(work, ledger, row, "deployment.live", changes)


async def page_deployments(
    work: Work, project_key: str, service_key: str, wanted: DeploymentFilter, *, before: int | None, limit: int
) -> list[DeploymentOut]:
    """Deployments of a service, newest first."""
    service = await get_service(work, await place_of(work, project_key), service_key)
    query = select(DeploymentRow).where(col(DeploymentRow.service_id) == service.id)
    query = visible(work, query, col(DeploymentRow.environment)).order_by(col(DeploymentRow.seq).desc())
    if wanted.environment is not None:
        query = query.where(col(DeploymentRow.environment) == wanted.environment)
    if wanted.digest is not None:
        query = query.where(col(DeploymentRow.digest) == wanted.digest)
    if wanted.running:
        query = query.where(col(DeploymentRow.deployed_at).is_not(None), col(DeploymentRow.removed_at).is_(None))
    if before is not None:
        query = query.where(col(DeploymentRow.seq) < before)
    return await _outs(work, list(await work.session.scalars(query.limit(limit))))


async def read_deployment(work: Work, project_key: str, text: str) -> DeploymentOut:
    return (await _outs(work, [await _get(work, await place_of(work, project_key), text)]))[0]


def deployment_path(project_key: str, deployment_id: Any) -> str:
    return f"/api/v1/projects/{project_key}/deployments/{deployment_id}"


async def _get(work: Work, place: Place | Ledger, text: str) -> DeploymentRow:
    query = (
        select(DeploymentRow)
        .join(ServiceRow, col(ServiceRow.id) == col(DeploymentRow.service_id))
        .where(col(DeploymentRow.id) == id_of(text, "deployment"), col(ServiceRow.project_id) == place.project_id)
    )
    found = await work.session.scalars(visible(work, query, col(DeploymentRow.environment)))
    row: DeploymentRow | None = found.one_or_none()
    if row is None:
        raise NotFound(f"there is no deployment `{text}` in project `{place.project_key}`")
    return row


def _move_of(row: DeploymentRow, service_key: str) -> Move:
    return Move(str(row.id), service_key, row.environment, row.slot or None, row.digest, row.permit)


async def _service_key(work: Work, row: DeploymentRow) -> str:
    found = await work.session.scalars(select(col(ServiceRow.key)).where(col(ServiceRow.id) == row.service_id))
    return found.one()


async def _end_permit(work: Work, ledger: Ledger, row: DeploymentRow, sanctions: Sanctions) -> None:
    if row.permit is not None and row.sanction in ("permit", "break_glass"):
        await sanctions.end(work, ledger, row.permit, has_failed=row.state == "failed")


def _require_started(row: DeploymentRow) -> None:
    if row.state != "started":
        raise Conflict(f"it is {row.state} already", code="deployment_over")


def _not_before(moment: datetime, start: datetime, name: str) -> datetime:
    if moment < start:
        raise Invalid(errors=[FieldError(f"/{name}", f"`{name}` lies before {start.isoformat()}, when it began")])
    return moment


async def _running_in_slot(work: Work, row: DeploymentRow) -> Sequence[DeploymentRow]:
    query = select(DeploymentRow).where(
        col(DeploymentRow.service_id) == row.service_id,
        col(DeploymentRow.environment) == row.environment,
        col(DeploymentRow.slot) == row.slot,
        col(DeploymentRow.state) == "finished",
        col(DeploymentRow.removed_at).is_(None),
        col(DeploymentRow.id) != row.id,
    )
    return list(await work.session.scalars(query))


async def _live_in(work: Work, row: DeploymentRow) -> Sequence[LiveRow]:
    """What has the traffic of the row's environment."""
    query = (
        select(LiveRow)
        .join(DeploymentRow, col(DeploymentRow.id) == col(LiveRow.deployment_id))
        .where(
            col(DeploymentRow.service_id) == row.service_id,
            col(DeploymentRow.environment) == row.environment,
            col(LiveRow.live_to).is_(None),
        )
    )
    return list(await work.session.scalars(query))


async def _replace(work: Work, row: DeploymentRow, before: Sequence[DeploymentRow], at: datetime) -> bool:
    """Remove what ran in the slot; whether it had the traffic."""
    live = {one.deployment_id for one in await _live_in(work, row)}
    for other in before:
        other.removed_at = at
    return any(other.id in live for other in before)


async def _is_live_since(work: Work, row: DeploymentRow, at: datetime) -> bool:
    """Whether something else got the traffic after this moment: what is told late does not take it away."""
    return any(one.live_from > at for one in await _live_in(work, row))


async def _take_traffic(work: Work, row: DeploymentRow, at: datetime, seq: int) -> None:
    for other in await _live_in(work, row):
        if other.live_from > at:
            raise Invalid(
                errors=[FieldError("/at", f"another slot has the traffic since {other.live_from.isoformat()}")]
            )
        other.live_to, other.ended_seq = at, seq
    work.session.add(LiveRow(deployment_id=row.id, live_from=at, seq=seq))


async def _noted(
    work: Work, ledger: Ledger, row: DeploymentRow, action: str, changes: Changes
) -> Outcome[DeploymentOut]:
    await work.session.flush()
    if work.principal.kind != "pipeline":
        await work.note(ledger.project_key, action, deployment_path(ledger.project_key, row.id), changes)
    return Outcome((await _outs(work, [row]))[0], changes)


async def _outs(work: Work, rows: Sequence[DeploymentRow]) -> list[DeploymentOut]:
    service_ids = {row.service_id for row in rows}
    keys = await work.session.execute(
        select(col(ServiceRow.id), col(ServiceRow.key)).where(col(ServiceRow.id).in_(service_ids))
    )
    services = {row.id: row.key for row in keys}
    known = await work.session.execute(
        select(col(BuildDigestRow.service_id), col(BuildDigestRow.digest)).where(
            col(BuildDigestRow.service_id).in_(service_ids),
            col(BuildDigestRow.digest).in_({row.digest for row in rows}),
        )
    )
    builds = {(row.service_id, row.digest) for row in known}
    live: dict[UUID, list[LiveOut]] = defaultdict(list)
    found = select(LiveRow).where(col(LiveRow.deployment_id).in_([row.id for row in rows])).order_by(col(LiveRow.seq))
    for one in await work.session.scalars(found):
        live[one.deployment_id].append(LiveOut(live_from=one.live_from, live_to=one.live_to))
    return [
        DeploymentOut.model_validate(
            {
                **row.model_dump(exclude=_HIDDEN),
                "id": str(row.id),
                "service": services[row.service_id],
                "slot": row.slot or None,
                "is_known": (row.service_id, row.digest) in builds,
                "live": live[row.id],
            }
        )
        for row in rows
    ]
