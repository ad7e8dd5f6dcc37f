"""The verbs on a project's destinations."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.audit.service import ends_of
from greenroom_server.errors import Conflict, FieldError, Invalid, LimitExceeded, NotFound
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_projects import project_path
from greenroom_server.flags.service_scope import environments_of, get_project
from greenroom_server.flags.work import Changes, Outcome, Work, differences, plain
from greenroom_server.webhooks import signing
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.tables import WebhookRow
from greenroom_server.webhooks.wire import SecretRotationIn, WebhookCreated, WebhookIn, WebhookOut

MAX_WEBHOOKS: Final = 20
_AUTHORED: Final = tuple(WebhookIn.model_fields)


async def list_webhooks(work: Work, project_key: str) -> list[WebhookOut]:
    """The project's destinations, in the order of their keys."""
    project = await get_project(work.session, project_key)
    key = col(WebhookRow.key)
    query = select(WebhookRow).where(col(WebhookRow.project_id) == project.id, key.is_not(None)).order_by(key)
    return [webhook_out(row) for row in await work.session.scalars(query)]


async def read_webhook(work: Work, project_key: str, key: str) -> WebhookOut:
    return webhook_out(await get_webhook(work.session, project_key, key))


async def create_webhook(work: Work, desk: Desk, project_key: str, wanted: WebhookIn) -> Outcome[WebhookCreated]:
    """A new destination, which hears of what happens from now on. Its secret is in the outcome and nowhere else."""
    project = await get_project(work.session, project_key, lock=True)
    await _check(work, desk, project_key, wanted)
    keys = list(await work.session.scalars(select(col(WebhookRow.key)).where(col(WebhookRow.project_id) == project.id)))
    if wanted.key in keys:
        raise Conflict(f"there is a webhook `{wanted.key}` already", code="key_taken")
    if len([key for key in keys if key is not None]) >= MAX_WEBHOOKS:
        raise LimitExceeded("webhooks_per_project", MAX_WEBHOOKS)
    secret = signing.mint()
    row = WebhookRow(
        id=uuid4(),
        project_id=project.id,
        project=project_key,
        **wanted.model_dump(),
        secret=desk.sealer.seal(secret),
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    changes = _told(differences(None, plain(wanted)))
    await work.note(project_key, "webhook.create", webhook_path(project_key, wanted.key), changes)
    await start_at_the_end(work.session, row)
    return Outcome(_created(row, secret), changes)


async def update_webhook(work: Work, desk: Desk, project_key: str, key: str, patch: Any) -> Outcome[WebhookOut]:
    """Change it. Switched on again, it hears of what happens from then on, beside what still waits for it."""
    await get_project(work.session, project_key, lock=True)
    row = await get_webhook(work.session, project_key, key, lock=True)
    work.check_version(row.version)
    before = _authored(row)
    wanted = patched(WebhookIn, before, patch)
    changes = differences(before, plain(wanted))
    if not changes:
        return Outcome(webhook_out(row), changes)
    await _check(work, desk, project_key, wanted)
    is_switched_on = wanted.enabled and not row.enabled
    if is_switched_on or wanted.url != row.url:
        row.failing_since = row.paused_until = row.disabled_because = None
    for name, value in wanted.model_dump().items():
        setattr(row, name, value)
    row.version, row.updated_at = row.version + 1, work.now
    await work.session.flush()
    told = _told(changes)
    await work.note(project_key, "webhook.update", webhook_path(project_key, key), told)
    if is_switched_on:
        await start_at_the_end(work.session, row)
    return Outcome(webhook_out(row), told)


async def delete_webhook(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete it, with all that was delivered to it and all that was not."""
    await get_project(work.session, project_key, lock=True)
    row = await get_webhook(work.session, project_key, key, lock=True)
    work.check_version(row.version)
    changes = _told(differences(_authored(row), None))
    await work.session.execute(delete(WebhookRow).where(col(WebhookRow.id) == row.id))
    await work.note(project_key, "webhook.delete", webhook_path(project_key, key), changes)
    return Outcome(None, changes)


async def rotate_secret(
    work: Work, desk: Desk, project_key: str, key: str, wanted: SecretRotationIn
) -> Outcome[WebhookCreated]:
    """A new secret; the one before signs beside it for a while. An older one that still did so ends now."""
    await get_project(work.session, project_key, lock=True)
    row = await get_webhook(work.session, project_key, key, lock=True)
    work.check_version_if_named(row.version)
    secret = signing.mint()
    until = work.now + timedelta(hours=wanted.overlap_hours) if wanted.overlap_hours else None
    row.previous_secret, row.previous_secret_until = (row.secret, until) if until else (None, None)
    row.secret = desk.sealer.seal(secret)
    row.version, row.updated_at = row.version + 1, work.now
    await work.session.flush()
    changes: Changes = [{"path": "/previous_secret_until", "op": "replace", "from": None, "to": until}]
    await work.note(project_key, "webhook.rotate_secret", webhook_path(project_key, key), changes)
    return Outcome(_created(row, secret), changes)


async def get_webhook(session: AsyncSession, project_key: str, key: str, *, lock: bool = False) -> WebhookRow:
    """The destination of this key; raises `NotFound`, also for a project that is not there."""
    project = await get_project(session, project_key)
    query = select(WebhookRow).where(col(WebhookRow.project_id) == project.id, col(WebhookRow.key) == key)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    row: WebhookRow | None = (await session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound(f"there is no webhook `{key}` in project `{project_key}`")
    return row


async def start_at_the_end(session: AsyncSession, row: WebhookRow) -> None:
    """Let it hear of what comes after all that is in the project's log now."""
    row.cursor = (await ends_of(session, [row.project])).get(row.project, 0)
    await session.flush()


def webhook_out(row: WebhookRow) -> WebhookOut:
    return WebhookOut.model_validate({name: getattr(row, name) for name in WebhookOut.model_fields})


def webhook_path(project_key: str, key: str) -> str:
    return f"{project_path(project_key)}/webhooks/{key}"


def _created(row: WebhookRow, secret: str) -> WebhookCreated:
    return WebhookCreated(**webhook_out(row).model_dump(), secret=secret)


def _authored(row: WebhookRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _AUTHORED}


async def _check(work: Work, desk: Desk, project_key: str, wanted: WebhookIn) -> None:
    desk.check_url(wanted.url)
    if wanted.environments is None:
        return
    known = {row.key for row in await environments_of(work.session, await get_project(work.session, project_key))}
    for index, key in enumerate(wanted.environments):
        if key not in known:
            raise Invalid(errors=[FieldError(f"/environments/{index}", f"there is no environment `{key}`")])


def _told(changes: Sequence[Mapping[str, Any]]) -> Changes:
    """The changes as others may read them: of a URL only the origin, because receivers hide secrets in the rest."""
    told = []
    for change in changes:
        sides = {side: _without_path(change["path"], change[side]) for side in ("from", "to") if side in change}
        told.append({**change, **sides})
    return told


def _without_path(path: str, value: Any) -> Any:
    if path == "/url":
        return _origin(value)
    return {**value, "url": _origin(value["url"])} if path == "" and value is not None else value


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"
