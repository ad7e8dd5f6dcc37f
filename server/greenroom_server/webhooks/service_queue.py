"""Working off the queue: who sends what, and what becomes of it.

A server claims a delivery with a lease and sends it with no session open. If it dies in between, the lease runs out
and another one sends the same message again, under the same id: at least once, never silently not at all.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.audit.service import Event, record
from greenroom_server.flags.service_projects import project_path
from greenroom_server.webhooks.schedule import DISABLED_AFTER, Tried, next_try
from greenroom_server.webhooks.tables import DeliveryRow, WebhookRow

ACTOR: Final = "greenroom:webhooks"
_PRUNED: Final = 5_000

Outcome = Literal["delivered", "retried", "dead", "lost"]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a server can take on: how many in all and of one destination, and of which destinations none.

    Destinations that are failing are asked for apart, so that they cannot take all the room.
    """

    free: int
    per_destination: int
    passed_over: Collection[UUID] = ()
    are_failing: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery to be sent by whoever holds the lease. `sealed` are the secrets that sign."""

    id: UUID
    webhook_id: UUID
    lease: UUID
    attempts: int
    url: str
    sealed: tuple[str, ...]
    body: str
    is_failing: bool
    format: str = "standard"


async def claim(session: AsyncSession, capacity: Capacity, now: datetime, lease: timedelta) -> list[Claim]:
    """Take deliveries that are due; a few of each destination, so that none waits behind another one's."""
    values = {
        "now": now,
        "until": now + lease,
        "lease": uuid4(),
        "free": capacity.free,
        "per_destination": capacity.per_destination,
        "passed_over": list(capacity.passed_over),
        "are_failing": capacity.are_failing,
    }
    claimed = await session.execute(_CLAIM, values)
    return [_claim_of(row, capacity.are_failing, now) for row in claimed]


async def settle(session: AsyncSession, claimed: Claim, result: Tried, now: datetime, dice: float) -> Outcome:
    """Write down how a try went; `lost` if the lease ran out and somebody else took it over."""
    # The destination first, in the order in which deleting one locks too.
    query = select(WebhookRow).where(col(WebhookRow.id) == claimed.webhook_id).with_for_update(key_share=True)
    webhook = (await session.scalars(query)).one_or_none()
    row = await session.get(DeliveryRow, claimed.id, with_for_update=True)
    if webhook is None or row is None or row.lease != claimed.lease:
        return "lost"
    row.attempts, row.last_attempt_at = claimed.attempts + 1, now
    row.last_status, row.last_error = result.status, result.problem
    row.lease = row.leased_until = None
    if result.problem is None:
        row.state, row.finished_at = "delivered", now
        webhook.failing_since = webhook.paused_until = None
        await session.flush()
        return "delivered"
    again = next_try(row.attempts, result, now, dice)
    if again is None:
        row.state, row.finished_at = "dead", now
    else:
        row.next_at = again
    await session.flush()
    outcome: Outcome = "dead" if again is None else "retried"
    await _note_failure(session, webhook, result, outcome, now)
    return outcome


async def prune(session: AsyncSession, now: datetime, retention: timedelta) -> int:
    """Forget old deliveries, secrets whose overlap is over, and addresses of callbacks that are not used any more."""
    before = {"before": now - retention, "now": now, "most": _PRUNED}
    pruned: CursorResult[Any] = await session.execute(_PRUNE, before)  # type: ignore[assignment]
    await session.execute(_FORGET_SECRETS, {"now": now})
    await session.execute(_FORGET_ADDRESSES, {"before": now - retention})
    return pruned.rowcount


async def queue(session: AsyncSession) -> tuple[int, datetime | None]:
    """How many deliveries wait, and since when the oldest of them does."""
    found = (await session.execute(_QUEUE)).one()
    return found[0], found[1]


async def _note_failure(
    session: AsyncSession, webhook: WebhookRow, result: Tried, outcome: Outcome, now: datetime
) -> None:
    webhook.failing_since = webhook.failing_since or now
    if result.retry_after is not None:
        webhook.paused_until = now + result.retry_after
    if webhook.key is None or not webhook.enabled:
        return
    if result.is_gone:
        await _disable(session, webhook, "gone", now)
    elif outcome == "dead" and now - webhook.failing_since >= DISABLED_AFTER:
        await _disable(session, webhook, "failing", now)


async def _disable(session: AsyncSession, webhook: WebhookRow, because: str, now: datetime) -> None:
    webhook.enabled, webhook.disabled_because = False, because
    webhook.version, webhook.updated_at = webhook.version + 1, now
    await session.flush()
    changes: list[dict[str, Any]] = [
        {"path": "/enabled", "op": "replace", "from": True, "to": False},
        {"path": "/disabled_because", "op": "replace", "from": None, "to": because},
    ]
    target = f"{project_path(webhook.project)}/webhooks/{webhook.key}"
    await record(session, Event(webhook.project, ACTOR, "webhook.disable", target, changes), now)


def _claim_of(row: Any, is_failing: bool, now: datetime) -> Claim:
    overlaps = row.previous_secret is not None and row.previous_secret_until > now
    sealed = (row.secret, row.previous_secret) if overlaps else (row.secret,)
    return Claim(row.id, row.webhook_id, row.lease, row.attempts, row.url, sealed, row.body, is_failing, row.format)


_CLAIM: Final = text("""
WITH due AS MATERIALIZED (
    SELECT d.id FROM webhook w CROSS JOIN LATERAL (
        SELECT id FROM webhook_delivery
        WHERE webhook_id = w.id AND state = 'waiting' AND next_at <= :now
            AND (leased_until IS NULL OR leased_until <= :now)
        ORDER BY next_at LIMIT :per_destination FOR UPDATE SKIP LOCKED
    ) d
    WHERE w.enabled AND (w.paused_until IS NULL OR w.paused_until <= :now)
        AND (w.failing_since IS NOT NULL) = :are_failing AND w.id <> ALL (:passed_over)
    LIMIT :free
)
UPDATE webhook_delivery d SET lease = :lease, leased_until = :until
FROM due, webhook w WHERE d.id = due.id AND w.id = d.webhook_id
RETURNING d.id, d.webhook_id, d.lease, d.attempts, d.body, d.format, w.url, w.secret, w.previous_secret,
    w.previous_secret_until
""")
_PRUNE: Final = text("""
DELETE FROM webhook_delivery WHERE id IN (
    SELECT id FROM webhook_delivery WHERE created_at < :before AND (leased_until IS NULL OR leased_until <= :now)
    ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED
)
""")
_FORGET_SECRETS: Final = text("""
UPDATE webhook SET previous_secret = NULL, previous_secret_until = NULL WHERE previous_secret_until <= :now
""")
_FORGET_ADDRESSES: Final = text("""
DELETE FROM webhook w WHERE key IS NULL AND created_at < :before
    AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.webhook_id = w.id)
""")
_QUEUE: Final = text("""
SELECT count(*), min(d.created_at) FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id AND w.enabled
WHERE d.state = 'waiting'
""")
