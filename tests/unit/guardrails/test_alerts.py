"""Alerts that others send: what is forged, replayed or old is refused, and what they say counts in the right order."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest
from standardwebhooks import Webhook

from greenroom_server.errors import Invalid, Unauthenticated
from greenroom_server.guardrails.alerts import TOLERANCE, Alert, Seal, alerts_of, check_seal, is_news
from greenroom_server.webhooks.signing import headers_of, mint

NOW: Final = datetime(2026, 11, 25, 9, tzinfo=UTC)
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
OTHER: Final = mint()
BODY: Final = b'{"type":"alert.firing","timestamp":"2026-11-25T09:00:00Z","data":{"status":"firing","name":"p99"}}'
BEARER: Final = {"authorization": f"Bearer {SECRET}"}


def signed(body: bytes = BODY, *, secret: str = SECRET, at: datetime = NOW) -> dict[str, str]:
    return headers_of([secret], "msg_1", at, body)


def alertmanager(**members: Any) -> dict[str, Any]:
    alert = {
        "status": "firing",
        "labels": {"alertname": "CheckoutErrors", "service": "checkout"},
        "annotations": {"summary": "One in ten checkouts fails"},
        "startsAt": "2026-11-25T08:59:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.shop.example/graph",
        "fingerprint": "c1f2a0b3d4e5f607",
    }
    return {"version": "4", "groupKey": "{}", "receiver": "greenroom", "alerts": [{**alert, **members}]}


def test_a_signature_of_the_standard_s_own_library_holds() -> None:
    """So any sender that has it will do; several signatures, of old and new secrets, may stand together."""
    now = datetime.now(UTC)
    stamp = now.replace(microsecond=0)
    signature = Webhook(SECRET).sign("msg_1", stamp, BODY.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(stamp.timestamp()))}

    sealed = check_seal(SECRET, {**headers, "webhook-signature": f"v1a,xx v1,yy {signature}"}, BODY, now)

    assert sealed == Seal("msg_1", stamp)


def test_a_bearer_token_holds() -> None:
    """Alertmanager signs nothing; it sends the secret as a token."""
    assert check_seal(SECRET, BEARER, BODY, NOW) == Seal()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {OTHER}"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {SECRET}"},
        {"authorization": SECRET},
        {"authorization": "Bearer é"},
        signed(secret=OTHER),
        signed(BODY + b" "),
        {**signed(), "webhook-id": "msg_2"},
        {**signed(), "webhook-id": ""},
        {**signed(), "webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {**signed(), "webhook-timestamp": "now"},
        {**signed(), "webhook-timestamp": "9" * 13},
        {**signed(), "webhook-signature": ""},
        {**signed(), "webhook-signature": "v1,é"},
        {**signed(secret=OTHER), **BEARER},
        signed(at=NOW - TOLERANCE - timedelta(seconds=1)),
        signed(at=NOW + TOLERANCE + timedelta(seconds=1)),
    ],
)
def test_what_is_not_theirs_is_refused(headers: dict[str, str]) -> None:
    """Forged, changed on its way, or old; a good token does not heal a bad signature."""
    with pytest.raises(Unauthenticated) as refused:
        check_seal(SECRET, headers, BODY, NOW)
    assert SECRET not in str(refused.value)


def test_a_secret_that_can_sign_nothing_is_said() -> None:
    """Any text will do as a token, but only `whsec_…` is a key."""
    with pytest.raises(Unauthenticated, match="whsec_"):
        check_seal("a secret of another form", signed(), BODY, NOW)


def test_alertmanager_s_message_is_read() -> None:
    """A firing one is of when it began, a resolved one of when it ended; without a fingerprint its labels make one."""
    (firing,) = alerts_of(alertmanager(), Seal())
    (resolved,) = alerts_of(alertmanager(status="resolved", endsAt="2026-11-25T09:30:00+01:00"), Seal())
    (nameless,) = alerts_of(alertmanager(labels={}, fingerprint=None), Seal())

    assert (firing.name, firing.fingerprint, firing.is_firing) == ("CheckoutErrors", "c1f2a0b3d4e5f607", True)
    assert resolved.at == datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
    assert (nameless.name, len(nameless.fingerprint)) == ("alert", 64)


def test_our_own_message_is_read() -> None:
    """It must be signed: without a time of its own an old one could be sent again."""
    (alert,) = alerts_of(orjson.loads(BODY), Seal("msg_1", NOW))

    assert alert == Alert("p99", "p99", True, NOW)
    alive = {"type": "alive", "timestamp": "2026-11-25T09:00:00Z", "data": {"status": "alive"}}
    assert alerts_of(alive, Seal("msg_1", NOW)) == []
    with pytest.raises(Invalid, match="signed"):
        alerts_of(orjson.loads(BODY), Seal())


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"alerts": []},
        {"version": "3", "alerts": alertmanager()["alerts"]},
        {"version": "4", "alerts": alertmanager()["alerts"] * 501},
        alertmanager(status="silenced"),
        alertmanager(startsAt="yesterday"),
        alertmanager(labels={"alertname": 1}),
        alertmanager(fingerprint="x" * 201),
        {"type": "x", "timestamp": "2026-11-25T09:00:00Z", "data": {"status": "burning"}},
        {"type": "x", "data": {"status": "firing"}},
    ],
)
def test_documents_that_make_no_sense_are_refused(document: Any) -> None:
    """With an error that names the member."""
    with pytest.raises(Invalid):
        alerts_of(document, Seal("msg_1", NOW))


@pytest.mark.parametrize(
    ("alert", "known_at", "is_firing", "expected"),
    [
        (Alert("a", "a", True, NOW), NOW - TOLERANCE, False, True),
        (Alert("a", "a", False, NOW), NOW - TOLERANCE, True, True),
        (Alert("a", "a", False, NOW - TOLERANCE), NOW, True, False),
        (Alert("a", "a", True, NOW - TOLERANCE), NOW, False, False),
        (Alert("a", "a", True, NOW), NOW, False, True),
        (Alert("a", "a", False, NOW), NOW, True, False),
        (Alert("a", "a", True, NOW - TOLERANCE, is_sure=True), NOW, False, True),
    ],
)
def test_older_words_do_not_count(alert: Alert, known_at: datetime, is_firing: bool, expected: bool) -> None:
    """Of the same moment firing wins; and Alertmanager may repeat when an alert began that it took for resolved."""
    assert is_news(alert, known_at, is_firing) is expected
