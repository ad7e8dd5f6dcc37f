"""The verbs on a project's guardrails."""

from typing import Any, Final
from uuid import uuid4

from sqlalchemy import delete, select
from sqlmodel import col

from greenroom_server.errors import Conflict, FieldError, Forbidden, Invalid, LimitExceeded, NotFound
from greenroom_server.flags.service_projects import project_path
from greenroom_server.flags.service_scope import environments_of, find_place, get_project
from greenroom_server.flags.work import Changes, Outcome, Work, differences, plain
from greenroom_server.guardrails.definitions import (
    AUTHORED,
    changed,
    check,
    check_secret,
    is_another_measure,
)
from greenroom_server.guardrails.service_views import get_guardrail, guardrail_out, newest_readings
from greenroom_server.guardrails.tables import GuardrailAlertRow, GuardrailReadingRow, GuardrailRow
from greenroom_server.guardrails.wire import AlertSource, GuardrailCreated, GuardrailIn, GuardrailOut, PrometheusSource
from greenroom_server.webhooks import signing
from greenroom_server.webhooks.address import Refused
from greenroom_server.webhooks.desk import Desk

MAX_GUARDRAILS: Final = 50


async def list_guardrails(work: Work, project_key: str) -> list[GuardrailOut]:
    """The project's guardrails, in the order of their keys."""
    project = await get_project(work.session, project_key)
    query = select(GuardrailRow).where(col(GuardrailRow.project_id) == project.id).order_by(col(GuardrailRow.key))
    rows = list(await work.session.scalars(query))
    last = await newest_readings(work.session, [row.id for row in rows])
    return [await guardrail_out(work, row, last.get(row.id)) for row in rows]


async def create_guardrail(work: Work, desk: Desk, project_key: str, wanted: GuardrailIn) -> Outcome[GuardrailCreated]:
    """A new guardrail. A secret that alerts are to be signed with, and that nobody brought, is in the outcome only."""
    project = await get_project(work.session, project_key, lock=True)
    _require_reach(work, wanted)
    if isinstance(wanted.source, PrometheusSource):
        work.principal.require("webhooks.write")
    await _check(work, desk, project, wanted)
    query = select(col(GuardrailRow.key)).where(col(GuardrailRow.project_id) == project.id)
    keys = set(await work.session.scalars(query))
    if wanted.key in keys:
        raise Conflict(f"there is a guardrail `{wanted.key}` already", code="key_taken")
    if len(keys) >= MAX_GUARDRAILS:
        raise LimitExceeded("guardrails_per_project", MAX_GUARDRAILS)
    made = signing.mint() if isinstance(wanted.source, AlertSource) and wanted.secret is None else None
    secret = made or wanted.secret
    row = GuardrailRow(
        id=uuid4(),
        project_id=project.id,
        project=project_key,
        **authored(wanted),
        secret=None if secret is None else desk.sealer.seal(secret),
        watched_since=work.now,
        next_at=work.now,
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    changes = differences(None, authored(wanted))
    await work.note(project_key, "guardrail.create", guardrail_path(project_key, wanted.key), changes)
    out = await guardrail_out(work, row, None)
    return Outcome(GuardrailCreated(**out.model_dump(), secret=made), changes)


async def update_guardrail(work: Work, desk: Desk, project_key: str, key: str, patch: Any) -> Outcome[GuardrailOut]:
    """Change it. Of another source or condition nothing is known until it was asked."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_guardrail(work.session, project, key, lock=True)
    work.check_version(row.version)
    wanted = changed(row, patch)
    before, after = {name: getattr(row, name) for name in AUTHORED}, authored(wanted)
    is_secret_named = "secret" in patch
    changes = differences(before, after)
    if is_secret_named:
        changes.append(
            {"path": "/has_secret", "op": "replace", "from": row.secret is not None, "to": bool(wanted.secret)}
        )
    if not changes:
        return Outcome(await _shown(work, row), changes)
    _require_reach(work, wanted)
    _require_reach(work, GuardrailIn.model_validate(before))
    is_elsewhere = is_secret_named or before["source"] != after["source"]
    if is_elsewhere and "prometheus" in (wanted.source.kind, before["source"]["kind"]):
        work.principal.require("webhooks.write")
    await _check(work, desk, project, wanted)
    check_secret(row, wanted, patch)
    if is_another_measure(row, wanted):
        await _forget(work, row)
    if is_secret_named or (row.secret is not None and wanted.source.kind not in ("prometheus", "alert")):
        row.secret = None if wanted.secret is None else desk.sealer.seal(wanted.secret)
    for name, value in after.items():
        setattr(row, name, value)
    row.version, row.updated_at, row.next_at = row.version + 1, work.now, work.now
    row.lease = row.leased_until = None
    await work.session.flush()
    await work.note(project_key, "guardrail.update", guardrail_path(project_key, key), changes)
    return Outcome(await _shown(work, row), changes)


async def delete_guardrail(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete it, with all that it read. A release whose plan names it is held from then on."""
    project = await get_project(work.session, project_key, lock=True)
    row = await get_guardrail(work.session, project, key, lock=True)
    work.check_version(row.version)
    before = {name: getattr(row, name) for name in AUTHORED}
    _require_reach(work, GuardrailIn.model_validate(before))
    changes: Changes = differences(before, None)
    await work.session.execute(delete(GuardrailRow).where(col(GuardrailRow.id) == row.id))
    await work.note(project_key, "guardrail.delete", guardrail_path(project_key, key), changes)
    return Outcome(None, changes)


def guardrail_path(project_key: str, key: str) -> str:
    return f"{project_path(project_key)}/guardrails/{key}"


def authored(wanted: GuardrailIn) -> dict[str, Any]:
    """What its author wrote, without the secret."""
    return {name: value for name, value in plain(wanted).items() if name in AUTHORED}


async def _shown(work: Work, row: GuardrailRow) -> GuardrailOut:
    return await guardrail_out(work, row, (await newest_readings(work.session, [row.id])).get(row.id))


async def _forget(work: Work, row: GuardrailRow) -> None:
    """What was read, and which alerts were firing: of another source."""
    for table in (GuardrailReadingRow, GuardrailAlertRow):
        await work.session.execute(delete(table).where(col(table.guardrail_id) == row.id))
    row.watched_since, row.heard_at, row.is_tripped, row.tripped_at = work.now, None, False, None


async def _check(work: Work, desk: Desk, project: Any, wanted: GuardrailIn) -> None:
    check(wanted)
    source = wanted.source
    if isinstance(source, PrometheusSource):
        try:
            desk.egress.target_of(source.url)
        except Refused as error:
            raise Invalid(errors=[FieldError("/source/url", f"`url`: {error}")]) from None
        if "?" in source.url:
            raise Invalid(errors=[FieldError("/source/url", "`url`: it must not have a query")])
    elif not isinstance(source, AlertSource):
        await _check_place(work, project, source.environment, source.flag)
    known = {row.key for row in await environments_of(work.session, project)}
    for index, key in enumerate(wanted.environments or ()):
        if key not in known:
            raise Invalid(errors=[FieldError(f"/environments/{index}", f"there is no environment `{key}`")])


async def _check_place(work: Work, project: Any, environment: str, flag: str) -> None:
    try:
        await find_place(work.session, project, environment, flag)
    except NotFound as error:
        raise Invalid(errors=[FieldError("/source", error.detail)]) from None


def _require_reach(work: Work, wanted: GuardrailIn) -> None:
    """Raises `Forbidden` if it reaches past the environments that the caller is limited to."""
    if work.principal.environments is None:
        return
    reached = [*(wanted.environments or ()), *filter(None, [getattr(wanted.source, "environment", None)])]
    if wanted.environments is None or not all(map(work.principal.sees_environment, reached)):
        raise Forbidden("it watches environments that lie outside this token's limits")
