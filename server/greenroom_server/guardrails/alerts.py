"""Alerts that others send: whether a message is theirs, and what it says. Pure.

Two ways to show that a message is genuine: signed as Standard Webhooks has it, or with the secret as a bearer token,
as Alertmanager can. Two shapes: Alertmanager's, and ours, which must be signed, because only a signature has a time.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenroom_server.errors import Invalid, Unauthenticated
from greenroom_server.web.codec import write_json
from greenroom_server.web.times import Moment
from greenroom_server.web.validation import parse
from greenroom_server.webhooks import signing

# How old a signed message may be, and how far ahead the sender's clock.
TOLERANCE: Final = timedelta(minutes=5)
MAX_ALERTS: Final = 500
# Whoever is not genuine is told the same of every guardrail, also of one that is not there.
FORGED: Final = "the message is not signed with this guardrail's secret (a signature takes one like `whsec_…`)"


@dataclass(frozen=True, slots=True)
class Seal:
    """What shows that a message is genuine; `id` and `sent_at` are there if it is signed."""

    id: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `at` is the moment that its state is of, by the sender's clock.

    `is_sure` says that it counts however old that is: Alertmanager repeats the moment at which an alert began, and may
    have taken it for resolved in between.
    """

    fingerprint: str
    name: str
    is_firing: bool
    at: datetime
    is_sure: bool = False


class _Lenient(BaseModel):
    """Others' documents grow: members that nobody needs are passed over."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _OwnData(_Lenient):
    status: Literal["firing", "resolved", "alive"]
    name: str = Field(default="alert", min_length=1, max_length=200)
    fingerprint: str | None = Field(default=None, min_length=1, max_length=200)


class OwnMessage(_Lenient):
    """Our own shape, as Standard Webhooks has it."""

    type: str = Field(max_length=100)
    timestamp: Moment
    data: _OwnData


class _AlertmanagerAlert(_Lenient):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    startsAt: Moment  # noqa: N815  Alertmanager's spelling
    endsAt: Moment  # noqa: N815
    fingerprint: str | None = Field(default=None, min_length=1, max_length=200)


class AlertmanagerMessage(_Lenient):
    """What Alertmanager's `webhook_config` sends."""

    version: Literal["4"]
    alerts: list[_AlertmanagerAlert] = Field(min_length=1, max_length=MAX_ALERTS)


def check_seal(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> Seal:
    """Raises `Unauthenticated` for a message that is not signed with the secret, or too old. Header names are small."""
    bearer = headers.get("authorization", "")
    if "webhook-signature" not in headers:
        scheme, _, token = bearer.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), secret.encode()):
            raise Unauthenticated(FORGED)
        return Seal()
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and 0 < len(message_id) <= 200):
        raise Unauthenticated(FORGED)
    try:
        expected = signing.sign(secret, message_id, int(stamp), body)
    except ValueError:
        raise Unauthenticated(FORGED) from None
    signatures = headers["webhook-signature"].split(" ")[:10]
    if not any(hmac.compare_digest(one.encode(), expected.encode()) for one in signatures):
        raise Unauthenticated(FORGED)
    sent_at = datetime.fromtimestamp(int(stamp), UTC)
    if abs(now - sent_at) > TOLERANCE:
        raise Unauthenticated("the message is too old, or of the future: look at the clocks")
    return Seal(message_id, sent_at)


def alerts_of(document: Any, seal: Seal) -> list[Alert]:
    """What a message says; raises `Invalid`. One that only says that its sender is alive has none."""
    if isinstance(document, dict) and "alerts" in document:
        found = parse(AlertmanagerMessage, document).alerts
        return [_of_alertmanager(one) for one in found]
    if seal.sent_at is None:
        raise Invalid("a message that is not Alertmanager's must be signed as Standard Webhooks has it")
    message = parse(OwnMessage, document)
    if message.data.status == "alive":
        return []
    data = message.data
    return [Alert(data.fingerprint or data.name, data.name, data.status == "firing", message.timestamp)]


def is_news(alert: Alert, known_at: datetime, known_is_firing: bool) -> bool:
    """Whether it says more than what is known. Older words do not count; of the same moment, firing does."""
    if alert.is_firing and not known_is_firing and (alert.is_sure or alert.at == known_at):
        return True
    return alert.at > known_at


def _of_alertmanager(alert: _AlertmanagerAlert) -> Alert:
    is_firing = alert.status == "firing"
    name = alert.labels.get("alertname", "alert")[:200] or "alert"
    fingerprint = alert.fingerprint or hashlib.sha256(write_json(sorted(alert.labels.items()))).hexdigest()
    return Alert(fingerprint, name, is_firing, alert.startsAt if is_firing else alert.endsAt, is_sure=is_firing)
