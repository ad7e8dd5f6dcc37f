"""The verbs on services, and on how their builds get into each environment."""

from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import col

from greenroom_server.errors import Conflict, LimitExceeded, NotFound
from greenroom_server.flags.patching import patched
from greenroom_server.flags.work import Changes, Outcome, Work, differences, plain
from greenroom_server.releases.service_facts import Saying, say
from greenroom_server.releases.service_scope import (
    Ledger,
    Place,
    environment_keys,
    get_service,
    new_id,
    open_ledger,
    place_of,
)
from greenroom_server.releases.tables import ServiceRow
from greenroom_server.releases.tables_facts import FactRow
from greenroom_server.releases.wire import ModeIn, ModeOut, ServiceIn, ServiceModeOut, ServiceOut

MAX_SERVICES: Final = 200
MODE: Final = "mode"


async def page_services(work: Work, project_key: str, *, after: str | None, limit: int) -> list[ServiceOut]:
    """Services in the order of their keys."""
    place = await place_of(work, project_key)
    query = select(ServiceRow).where(col(ServiceRow.project_id) == place.project_id).order_by(col(ServiceRow.key))
    if after is not None:
        query = query.where(col(ServiceRow.key) > after)
    rows = list(await work.session.scalars(query.limit(limit)))
    return await _outs(work, place, rows)


async def read_service(work: Work, project_key: str, key: str) -> ServiceOut:
    place = await place_of(work, project_key)
    return (await _outs(work, place, [await get_service(work, place, key)]))[0]


async def create_service(work: Work, project_key: str, wanted: ServiceIn) -> Outcome[ServiceOut]:
    """A new service, delivered everywhere; raises `Conflict` if the key is taken."""
    ledger = await open_ledger(work, project_key)
    known = select(col(ServiceRow.key)).where(col(ServiceRow.project_id) == ledger.project_id)
    keys = set(await work.session.scalars(known))
    if wanted.key in keys:
        raise Conflict(f"there is a service `{wanted.key}` already", code="key_taken")
    if len(keys) >= MAX_SERVICES:
        raise LimitExceeded("services_per_project", MAX_SERVICES)
    row = ServiceRow(
        id=new_id(work.now),
        project_id=ledger.project_id,
        **wanted.model_dump(),
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    changes = differences(None, plain(wanted))
    await work.note(project_key, "service.create", service_path(project_key, row.key), changes)
    return Outcome((await _outs(work, ledger, [row]))[0], changes)


async def update_service(work: Work, project_key: str, key: str, patch: Any) -> Outcome[ServiceOut]:
    """Change name or description."""
    ledger = await open_ledger(work, project_key)
    row = await get_service(work, ledger, key)
    work.check_version(row.version)
    before = ServiceIn.model_validate(row.model_dump(include=set(ServiceIn.model_fields)))
    wanted = patched(ServiceIn, plain(before), patch)
    changes = differences(plain(before), plain(wanted))
    if changes:
        row.name, row.description = wanted.name, wanted.description
        row.version, row.updated_at = row.version + 1, work.now
        await work.session.flush()
        await work.note(project_key, "service.update", service_path(project_key, key), changes)
    return Outcome((await _outs(work, ledger, [row]))[0], changes)


async def read_mode(work: Work, project_key: str, key: str, environment: str) -> ModeOut:
    """How builds of the service get into the environment."""
    place = await place_of(work, project_key)
    service = await get_service(work, place, key)
    await _require_environment(work, project_key, environment)
    return _mode_out(service.key, environment, await _newest_mode(work, place, service.key, environment))


async def put_mode(work: Work, project_key: str, key: str, environment: str, wanted: ModeIn) -> Outcome[ModeOut]:
    """Decide how builds get into the environment from now on; each decision is kept. The same again changes nothing.

    What it takes to do so is `readiness.service_switch`'s to say.
    """
    ledger = await open_ledger(work, project_key)
    service = await get_service(work, ledger, key)
    await _require_environment(work, project_key, environment)
    before = await _newest_mode(work, ledger, service.key, environment)
    mode_before = "delivery" if before is None else before.body["mode"]
    if mode_before == wanted.mode:
        return Outcome(_mode_out(service.key, environment, before), [])
    row = await say(work, ledger, Saying(MODE, service=service.key, environment=environment, body=plain(wanted)))
    changes: Changes = [{"path": "/mode", "op": "replace", "from": mode_before, "to": wanted.mode}]
    if wanted.reason:
        changes.append({"path": "/reason", "op": "add", "to": wanted.reason})
    await work.note(project_key, "mode.put", mode_path(project_key, service.key, environment), changes)
    return Outcome(_mode_out(service.key, environment, row), changes)


def service_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/services/{key}"


def mode_path(project_key: str, key: str, environment: str) -> str:
    return f"{service_path(project_key, key)}/environments/{environment}/mode"


async def _require_environment(work: Work, project_key: str, key: str) -> None:
    if key not in await environment_keys(work, project_key):
        raise NotFound(f"there is no environment `{key}` in project `{project_key}`")


async def _newest_mode(work: Work, place: Place | Ledger, service: str, environment: str) -> FactRow | None:
    query = (
        _modes(place)
        .where(col(FactRow.service) == service, col(FactRow.environment) == environment)
        .order_by(col(FactRow.seq).desc())
        .limit(1)
    )
    found: FactRow | None = (await work.session.scalars(query)).one_or_none()
    return found


async def _outs(work: Work, place: Place | Ledger, rows: list[ServiceRow]) -> list[ServiceOut]:
    environments = await environment_keys(work, place.project_key)
    newest = (
        select(func.max(col(FactRow.seq)))
        .where(
            col(FactRow.project_id) == place.project_id,
            col(FactRow.kind) == MODE,
            col(FactRow.service).in_([row.key for row in rows]),
        )
        .group_by(col(FactRow.service), col(FactRow.environment))
    )
    found = await work.session.scalars(_modes(place).where(col(FactRow.seq).in_(newest)))
    modes = {(row.service, row.environment): row for row in found}
    return [
        ServiceOut(
            **row.model_dump(exclude={"id", "project_id"}),
            modes=[_standing(environment, modes.get((row.key, environment))) for environment in environments],
        )
        for row in rows
    ]


def _modes(place: Place | Ledger) -> Any:
    return select(FactRow).where(col(FactRow.project_id) == place.project_id, col(FactRow.kind) == MODE)


def _standing(environment: str, row: FactRow | None) -> ServiceModeOut:
    return ServiceModeOut(
        environment=environment,
        mode="delivery" if row is None else row.body["mode"],
        since=None if row is None else row.at,
        person=None if row is None else row.person,
    )


def _mode_out(service: str, environment: str, row: FactRow | None) -> ModeOut:
    standing = _standing(environment, row)
    return ModeOut(
        service=service,
        **standing.model_dump(),
        reason="" if row is None else row.body["reason"],
        seq=0 if row is None else row.seq,
    )
