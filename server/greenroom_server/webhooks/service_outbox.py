"""Filling the queue: what is to be sent, to whom, once each.

The audit log is the outbox of all that it holds: each destination has a cursor into its project's chain, which
`hand_out` moves on together with the rows that it adds. What has data of its own is put in line by `enqueue`, in the
transaction of whatever it tells. See docs/adr/0009.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.audit.service import ends_of, events_after
from greenroom_server.database.direct import fetch_one
from greenroom_server.flags.service_scope import get_project
from greenroom_server.webhooks.cdevents import cloud_event
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.events import MAX_BODY_BYTES, OWN_DATA, Happening, happening_of, is_wanted
from greenroom_server.webhooks.service import get_webhook
from greenroom_server.webhooks.tables import DeliveryRow, WebhookRow

# Of one destination. Past it the audit log itself is the queue, and `enqueue` gives up at once, visibly.
MAX_WAITING: Final = 1_000
_HANDED_OUT: Final = 200
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Callback:
    """One message to one address that nobody configured; `secret` is `whsec_…`, as the receiver knows it."""

    project: str
    url: str
    secret: str
    type: str
    data: Mapping[str, Any]


async def enqueue(session: AsyncSession, happening: Happening) -> int:
    """Put it in line for every destination that wants it; how many do. It is sent if this transaction commits.

    Comes before the audit event of the same thing: destinations are locked before the end of a chain is.
    """
    query = select(WebhookRow).where(
        col(WebhookRow.project) == happening.project, col(WebhookRow.key).is_not(None), col(WebhookRow.enabled)
    )
    wanting = [row for row in await session.scalars(query) if is_wanted(happening, row.events, row.environments)]
    for row in wanting:
        await _add(session, row, happening)
    return len(wanting)


async def call_back(session: AsyncSession, desk: Desk, callback: Callback, now: datetime) -> UUID:
    """Put one message for one address in line; its delivery's id.

    It is sent like all others, if this transaction commits. Raises `Invalid` if nothing may be sent there.
    """
    desk.check_url(callback.url)
    happening = Happening(callback.project, callback.type, now, callback.data)
    return (await _add(session, await _address_of(session, desk, callback, now), happening)).id


async def enqueue_for(session: AsyncSession, key: str, happening: Happening) -> UUID:
    """Put it in line for one destination, whatever it subscribed to; its delivery's id. Raises `NotFound`.

    Comes before the audit event of the same thing, as `enqueue` does.
    """
    row = await get_webhook(session, happening.project, key, lock=True)
    return (await _add(session, row, happening)).id


async def is_used(session: AsyncSession) -> bool:
    """Whether there is any destination. Asked for after each change, so that who has none pays next to nothing."""
    found = await fetch_one(session, "SELECT EXISTS (SELECT FROM webhook) AS is_used")
    return found is not None and bool(found["is_used"])


async def hand_out(session: AsyncSession, now: datetime) -> int:
    """Put in line what the audit logs hold and destinations have not been told; how many messages that made."""
    columns = (col(WebhookRow.id), col(WebhookRow.project), col(WebhookRow.cursor))
    query = select(*columns).where(col(WebhookRow.enabled), col(WebhookRow.key).is_not(None))
    known = list(await session.execute(query))
    ends = await ends_of(session, {row.project for row in known}) if known else {}
    made = 0
    for row in known:
        if row.cursor < ends.get(row.project, 0) and made < _AT_ONCE:
            made += await _catch_up(session, row.id, now)
    return made


def new_delivery(webhook: WebhookRow, happening: Happening, now: datetime) -> DeliveryRow:
    id_ = uuid4()
    return DeliveryRow(
        id=id_,
        webhook_id=webhook.id,
        sequence=happening.sequence,
        type=happening.type,
        format=webhook.format,
        body=_body_of(happening, webhook.format, str(id_)),
        state="waiting",
        next_at=now,
        created_at=now,
    )


def _body_of(happening: Happening, format_: str, message_id: str) -> str:
    def written(one: Happening) -> bytes:
        return cloud_event(one, message_id) if format_ == "cdevents" else one.body()

    text = written(happening)
    if len(text) > MAX_BODY_BYTES and happening.sequence is not None:
        text = written(happening.without_changes())
    return text.decode()


async def _catch_up(session: AsyncSession, webhook_id: UUID, now: datetime) -> int:
    # Another server that is just doing it holds the row.
    query = (
        select(WebhookRow)
        .where(col(WebhookRow.id) == webhook_id, col(WebhookRow.enabled))
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        return 0
    room = min(MAX_WAITING - await _waiting(session, row.id), _HANDED_OUT)
    events = await events_after(session, row.project, row.cursor, limit=room) if room > 0 else []
    happenings = [happening_of(event) for event in events if event.action not in OWN_DATA]
    wanted = [one for one in happenings if is_wanted(one, row.events, row.environments)]
    session.add_all(new_delivery(row, one, now) for one in wanted)
    if events:
        row.cursor = events[-1].sequence
        await session.flush()
    return len(wanted)


async def _add(session: AsyncSession, webhook: WebhookRow, happening: Happening) -> DeliveryRow:
    row = new_delivery(webhook, happening, happening.at)
    if await _waiting(session, webhook.id) >= MAX_WAITING:
        row.state, row.last_error, row.finished_at = "dead", "queue_full", happening.at
    session.add(row)
    await session.flush()
    return row


async def _waiting(session: AsyncSession, webhook_id: UUID) -> int:
    query = select(func.count()).where(col(DeliveryRow.webhook_id) == webhook_id, col(DeliveryRow.state) == "waiting")
    return (await session.execute(query)).scalar_one()


async def _address_of(session: AsyncSession, desk: Desk, callback: Callback, now: datetime) -> WebhookRow:
    """The keyless destination of this URL and secret; made if this is its first message."""
    project = await get_project(session, callback.project)
    query = select(WebhookRow).where(
        col(WebhookRow.project_id) == project.id, col(WebhookRow.key).is_(None), col(WebhookRow.url) == callback.url
    )
    for known in await session.scalars(query):
        if desk.sealer.holds(known.secret, callback.secret):
            return known
    row = WebhookRow(
        id=uuid4(),
        project_id=project.id,
        project=callback.project,
        url=callback.url,
        events=[],
        secret=desk.sealer.seal(callback.secret),
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    await session.flush()
    return row
