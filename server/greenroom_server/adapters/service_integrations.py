"""The verbs on a project's integrations."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.adapters.forges import azure, github, gitlab
from greenroom_server.adapters.tables import GateRequestRow, IntegrationRow
from greenroom_server.adapters.wire import GateRequestOut, IntegrationIn, IntegrationOut, PlaceIn
from greenroom_server.errors import Conflict, FieldError, Invalid, LimitExceeded, NotFound
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_projects import project_path
from greenroom_server.flags.service_scope import get_project
from greenroom_server.flags.work import Changes, Outcome, Work, differences, plain
from greenroom_server.releases.service_scope import place_of, require_named
from greenroom_server.webhooks.desk import Desk

MAX_INTEGRATIONS: Final = 50
_SECRETS: Final = ("secret", "credential")
_AUTHORED: Final = tuple(name for name in IntegrationIn.model_fields if name not in _SECRETS)
_URLS: Final = {"github": github.URL, "gitlab": gitlab.URL, "azure": azure.URL, "flagger": None}
# What an integration of a kind cannot do without, and what that is.
_NEEDED: Final[Mapping[str, Mapping[str, str]]] = {
    "github": {
        "account": "the id of the GitHub App",
        "secret": "the App's webhook secret",
        "credential": "the App's private key (PEM)",
    },
    "gitlab": {"account": "the project's id or path", "credential": "the bot user's access token"},
    "azure": {"url": "the organisation's URL, as `https://dev.azure.com/acme`"},
    "flagger": {"secret": "what the canary's webhook carries as `metadata.token`"},
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a deployment wants to go."""

    service: str
    environment: str
    slot: str | None


async def list_integrations(work: Work, project_key: str) -> list[IntegrationOut]:
    """The project's integrations, in the order of their keys."""
    project = await get_project(work.session, project_key)
    key = col(IntegrationRow.key)
    query = select(IntegrationRow).where(col(IntegrationRow.project_id) == project.id).order_by(key)
    return [integration_out(row) for row in await work.session.scalars(query)]


async def read_integration(work: Work, project_key: str, key: str) -> IntegrationOut:
    return integration_out(await get_integration(work.session, project_key, key))


async def create_integration(
    work: Work, desk: Desk, project_key: str, wanted: IntegrationIn
) -> Outcome[IntegrationOut]:
    """A new integration. Its secrets are kept sealed, and are in no answer and no log."""
    project = await get_project(work.session, project_key, lock=True)
    wanted = _with_url(wanted)
    await _check(work, desk, project_key, wanted)
    for name, what in _NEEDED[wanted.kind].items():
        if not getattr(wanted, name) or (name == "url" and wanted.url == _URLS[wanted.kind]):
            raise Invalid(errors=[FieldError(f"/{name}", f"`{name}` is missing: {what}")])
    keys = select(col(IntegrationRow.key)).where(col(IntegrationRow.project_id) == project.id)
    known = list(await work.session.scalars(keys))
    if wanted.key in known:
        raise Conflict(f"there is an integration `{wanted.key}` already", code="key_taken")
    if len(known) >= MAX_INTEGRATIONS:
        raise LimitExceeded("integrations_per_project", MAX_INTEGRATIONS)
    named: dict[str, Any] = {"id": uuid4(), "project_id": project.id, "project": project_key}
    row = IntegrationRow(**named, created_at=work.now, updated_at=work.now, **_columns(wanted))
    _take_secrets(row, desk, wanted)
    work.session.add(row)
    await work.session.flush()
    changes = differences(None, _authored(row))
    await work.note(project_key, "integration.create", integration_path(project_key, wanted.key), changes)
    return Outcome(integration_out(row), changes)


async def update_integration(work: Work, desk: Desk, project_key: str, key: str, patch: Any) -> Outcome[IntegrationOut]:
    """Change it. What waits for an answer goes on waiting, and is answered by what stands here then."""
    await get_project(work.session, project_key, lock=True)
    row = await get_integration(work.session, project_key, key, lock=True)
    work.check_version(row.version)
    before = _authored(row)
    wanted = _with_url(patched(IntegrationIn, before, patch))
    if wanted.kind != row.kind:
        raise Invalid(errors=[FieldError("/kind", "a kind never changes: make another integration")])
    await _check(work, desk, project_key, wanted)
    changes = _with_secrets(differences(before, _columns(wanted)), wanted)
    if not changes:
        return Outcome(integration_out(row), changes)
    for name, value in _columns(wanted).items():
        setattr(row, name, value)
    _take_secrets(row, desk, wanted)
    row.version, row.updated_at, row.trouble = row.version + 1, work.now, None
    await work.session.flush()
    await work.note(project_key, "integration.update", integration_path(project_key, key), changes)
    return Outcome(integration_out(row), changes)


async def delete_integration(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete it, with all that it was asked; what waits there is not answered any more."""
    await get_project(work.session, project_key, lock=True)
    row = await get_integration(work.session, project_key, key, lock=True)
    work.check_version(row.version)
    changes = differences(_authored(row), None)
    await work.session.execute(delete(IntegrationRow).where(col(IntegrationRow.id) == row.id))
    await work.note(project_key, "integration.delete", integration_path(project_key, key), changes)
    return Outcome(None, changes)


async def page_requests(
    work: Work, project_key: str, key: str, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[GateRequestOut]:
    """What it was asked, newest first; nothing of environments that are hidden from the caller."""
    row = await get_integration(work.session, project_key, key)
    at, id_ = col(GateRequestRow.created_at), col(GateRequestRow.id)
    query = select(GateRequestRow).where(col(GateRequestRow.integration_id) == row.id)
    if work.principal.environments is not None:
        query = query.where(col(GateRequestRow.environment).in_(sorted(work.principal.environments)))
    if before is not None:
        query = query.where(tuple_(at, id_) < before)
    rows = await work.session.scalars(query.order_by(at.desc(), id_.desc()).limit(limit))
    return [_request_out(one) for one in rows]


async def get_integration(session: AsyncSession, project_key: str, key: str, *, lock: bool = False) -> IntegrationRow:
    """The integration; raises `NotFound`, also for a project that is not there."""
    project = await get_project(session, project_key)
    query = select(IntegrationRow).where(col(IntegrationRow.project_id) == project.id, col(IntegrationRow.key) == key)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    row: IntegrationRow | None = (await session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound(f"there is no integration `{key}` in project `{project_key}`")
    return row


def target_of(row: IntegrationRow, environment: str) -> Target:
    """What the forge's name of an environment means."""
    found = row.places.get(environment)
    place = PlaceIn(environment=environment) if found is None else PlaceIn.model_validate(found)
    return Target(place.service or row.service, place.environment, place.slot)


def principal_of(row: IntegrationRow) -> Principal:
    """Who asks for decisions on its behalf: a pipeline that may do no more."""
    return Principal(row.id, f"integration {row.key}", "integration", PERMISSIONS["pipeline"])


def integration_path(project_key: str, key: str) -> str:
    return f"{project_path(project_key)}/integrations/{key}"


def integration_out(row: IntegrationRow) -> IntegrationOut:
    shown = {name: getattr(row, name) for name in IntegrationOut.model_fields if not name.startswith("has_")}
    return IntegrationOut.model_validate(
        {**shown, "has_secret": row.secret is not None, "has_credential": row.credential is not None}
    )


def _request_out(row: GateRequestRow) -> GateRequestOut:
    shown = {name: getattr(row, name) for name in GateRequestOut.model_fields}
    return GateRequestOut.model_validate({**shown, "id": str(row.id)})


def _columns(wanted: IntegrationIn) -> dict[str, Any]:
    return {name: value for name, value in plain(wanted).items() if name not in _SECRETS}


def _authored(row: IntegrationRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _AUTHORED}


def _with_url(wanted: IntegrationIn) -> IntegrationIn:
    url = wanted.url or _URLS[wanted.kind]
    return wanted.model_copy(update={"url": url and url.rstrip("/")})


def _take_secrets(row: IntegrationRow, desk: Desk, wanted: IntegrationIn) -> None:
    for name in _SECRETS:
        given = getattr(wanted, name)
        if given is not None:
            setattr(row, name, desk.sealer.seal(given))


def _with_secrets(changes: Changes, wanted: IntegrationIn) -> Changes:
    """A new secret is told, but not which."""
    new = [name for name in _SECRETS if getattr(wanted, name) is not None]
    return [*changes, *({"path": f"/{name}", "op": "replace", "from": None, "to": None} for name in new)]


async def _check(work: Work, desk: Desk, project_key: str, wanted: IntegrationIn) -> None:
    if wanted.url:
        desk.check_url(wanted.url)
    place = await place_of(work, project_key)
    for service in {wanted.service, *(one.service for one in wanted.places.values() if one.service)}:
        await require_named(work, place, service=service)
    await require_named(work, place, environments=tuple(one.environment for one in wanted.places.values()))
