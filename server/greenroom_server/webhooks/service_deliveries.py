"""The verbs on deliveries: looking at them, sending one again, sending a test."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlmodel import col

from greenroom_server.errors import Conflict, NotFound
from greenroom_server.flags.work import Outcome, Work, plain
from greenroom_server.webhooks.events import TEST, Happening
from greenroom_server.webhooks.service import get_webhook
from greenroom_server.webhooks.service_outbox import new_delivery
from greenroom_server.webhooks.tables import DeliveryRow, WebhookRow
from greenroom_server.webhooks.wire import DeliveryOut, DeliveryState


async def page_deliveries(
    work: Work,
    webhook: tuple[str, str],
    *,
    state: DeliveryState | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[DeliveryOut]:
    """Deliveries to the destination (project and key), newest first."""
    row = await get_webhook(work.session, *webhook)
    keys = (col(DeliveryRow.created_at), col(DeliveryRow.id))
    query = select(DeliveryRow).where(col(DeliveryRow.webhook_id) == row.id).order_by(*(key.desc() for key in keys))
    if state is not None:
        query = query.where(col(DeliveryRow.state) == state)
    if before is not None:
        query = query.where(tuple_(*keys) < before)
    return [delivery_out(one) for one in await work.session.scalars(query.limit(limit))]


async def send_test(work: Work, project_key: str, key: str) -> Outcome[DeliveryOut]:
    """Put a test message in line; it goes the way of all others."""
    webhook = await get_webhook(work.session, project_key, key)
    _require_enabled(webhook)
    happening = Happening(project_key, TEST, work.now, {"project": project_key, "webhook": key})
    row = new_delivery(webhook, happening, work.now)
    work.session.add(row)
    await work.session.flush()
    out = delivery_out(row)
    return Outcome(out, [{"path": "", "op": "add", "to": plain(out)}])


async def replay_delivery(work: Work, project_key: str, key: str, delivery_id: UUID) -> Outcome[DeliveryOut]:
    """Send a message again, under its old id, with all tries before it. Raises `Conflict` while it still waits."""
    webhook = await get_webhook(work.session, project_key, key)
    _require_enabled(webhook)
    query = select(DeliveryRow).where(col(DeliveryRow.webhook_id) == webhook.id, col(DeliveryRow.id) == delivery_id)
    row = (await work.session.scalars(query.with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"there is no delivery `{delivery_id}` to `{key}`")
    if row.state == "waiting":
        raise Conflict("this delivery still waits to be sent", code="still_waiting")
    change = {"path": "/state", "op": "replace", "from": row.state, "to": "waiting"}
    row.state, row.attempts, row.next_at = "waiting", 0, work.now
    row.lease = row.leased_until = row.finished_at = None
    await work.session.flush()
    return Outcome(delivery_out(row), [change])


def delivery_out(row: DeliveryRow) -> DeliveryOut:
    shown = {name: getattr(row, name, None) for name in DeliveryOut.model_fields}
    return DeliveryOut.model_validate({**shown, "next_attempt_at": row.next_at if row.state == "waiting" else None})


def _require_enabled(webhook: WebhookRow) -> None:
    if not webhook.enabled:
        raise Conflict("the webhook is switched off: enable it first", code="webhook_disabled")
