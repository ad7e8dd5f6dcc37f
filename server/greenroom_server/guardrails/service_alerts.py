"""Taking alerts in: whoever sends them holds no token of ours, only the guardrail's secret."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.errors import LimitExceeded, Unauthenticated
from greenroom_server.guardrails.alerts import FORGED, Alert, alerts_of, check_seal, is_news
from greenroom_server.guardrails.definitions import source_of
from greenroom_server.guardrails.judging import Reading
from greenroom_server.guardrails.service_readings import Answered, keep
from greenroom_server.guardrails.tables import GuardrailAlertRow, GuardrailRow
from greenroom_server.guardrails.wire import AlertReceiptOut, AlertSource
from greenroom_server.sealing import Unreadable
from greenroom_server.web.codec import read_json
from greenroom_server.webhooks.desk import Desk

log = structlog.get_logger(__name__)

MAX_FIRING: Final = 1_000


async def take_alerts(
    session: AsyncSession, desk: Desk, place: tuple[str, str], headers: Mapping[str, str], body: bytes, now: datetime
) -> AlertReceiptOut:
    """Take a message in, whose place is (project, guardrail), by their keys; the same message again changes nothing.

    Raises `Unauthenticated` for what is forged, too old, or for nobody who takes alerts.
    """
    row, secret = await _receiver(session, desk, place)
    seal = check_seal(secret, headers, body, now)
    alerts = alerts_of(read_json(body), seal)
    row = (await session.scalars(_LOCKED.where(col(GuardrailRow.id) == row.id))).one()
    values = {"guardrail": row.id, "message": seal.id, "now": now}
    if seal.id is not None and await session.scalar(_ONCE, values) is None:
        return AlertReceiptOut(accepted=0, ignored=len(alerts), firing=await _firing(session, row))
    source = source_of(row)
    if not isinstance(source, AlertSource):
        raise Unauthenticated(FORGED)
    telling = [one for one in alerts if one.name != source.heartbeat]
    accepted = sum([await _take(session, row, one, now) for one in telling])
    row.heard_at = max(row.heard_at or now, now)
    firing = await _firing(session, row)
    if firing > MAX_FIRING:
        raise LimitExceeded("firing_alerts_per_guardrail", MAX_FIRING)
    await keep(session, row, [Answered(await alert_reading(session, row, now))], now)
    return AlertReceiptOut(accepted=accepted, ignored=len(telling) - accepted, firing=firing)


async def alert_reading(session: AsyncSession, row: GuardrailRow, now: datetime) -> Reading:
    """How its alerts stand: what is firing goes on firing until it is resolved; silence is no data, unless it is."""
    source = source_of(row)
    names = list(await session.scalars(_NAMES, {"guardrail": row.id}))
    if names:
        told = ", ".join(f"`{name}`" for name in names[:5]) + (", …" if len(names) > 5 else "")
        return Reading(now, "tripped", f"firing: {told}", now, float(len(names)))
    if isinstance(source, AlertSource) and source.silence == "ok":
        return Reading(now, "ok", "no alert is firing", now, 0.0)
    if row.heard_at is None:
        return Reading(now, "no_data", "its sender was never heard of")
    return Reading(now, "ok", "no alert is firing", min(row.heard_at, now), 0.0)


async def _receiver(session: AsyncSession, desk: Desk, place: tuple[str, str]) -> tuple[GuardrailRow, str]:
    project_key, key = place
    query = select(GuardrailRow).where(col(GuardrailRow.project) == project_key, col(GuardrailRow.key) == key)
    row = (await session.scalars(query)).one_or_none()
    if row is None or row.secret is None or row.source["kind"] != "alert":
        raise Unauthenticated(FORGED)
    try:
        return row, desk.sealer.open(row.secret)
    except Unreadable:
        log.error("no key opens the secret of a guardrail: its alerts are refused", project=project_key, guardrail=key)
        raise Unauthenticated(FORGED) from None


async def _take(session: AsyncSession, row: GuardrailRow, alert: Alert, now: datetime) -> bool:
    """Whether the alert said something new."""
    known = await session.get(GuardrailAlertRow, (row.id, alert.fingerprint))
    if known is None:
        made = GuardrailAlertRow(
            guardrail_id=row.id,
            fingerprint=alert.fingerprint,
            name=alert.name,
            is_firing=alert.is_firing,
            said_at=alert.at,
            heard_at=now,
        )
        session.add(made)
        await session.flush()
        return True
    known.heard_at = now
    has_news = is_news(alert, known.said_at, known.is_firing)
    if has_news:
        known.is_firing, known.name, known.said_at = alert.is_firing, alert.name, max(alert.at, known.said_at)
    await session.flush()
    return has_news


async def _firing(session: AsyncSession, row: GuardrailRow) -> int:
    query = select(func.count()).where(col(GuardrailAlertRow.guardrail_id) == row.id, col(GuardrailAlertRow.is_firing))
    return (await session.execute(query)).scalar_one()


_LOCKED: Final = select(GuardrailRow).with_for_update(key_share=True).execution_options(populate_existing=True)
_NAMES: Final = text("""
SELECT name FROM guardrail_alert WHERE guardrail_id = :guardrail AND is_firing ORDER BY heard_at DESC, name LIMIT 1000
""")
_ONCE: Final = text("""
INSERT INTO guardrail_message (guardrail_id, message_id, received_at) VALUES (:guardrail, :message, :now)
ON CONFLICT DO NOTHING RETURNING true
""")
