"""Alerts that come in: known senders only, each message once, in the order of what they say; and silence is no data."""

from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import pytest
from tests.storage.guardrails.conftest import Scene

from greenroom_server.errors import Invalid, LimitExceeded, Unauthenticated
from greenroom_server.guardrails.service_alerts import MAX_FIRING
from greenroom_server.guardrails.wire import AlertReceiptOut
from greenroom_server.webhooks.signing import headers_of

pytestmark = pytest.mark.asyncio

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
BEARER: Final = {"authorization": f"Bearer {SECRET}"}


async def pages(scene: Scene, **source: Any) -> None:
    """The guardrail `pages`, which takes alerts."""
    await scene.make("pages", source={"kind": "alert", **source}, condition=None, secret=SECRET, action="darken")


def own(status: str, at: datetime, **data: Any) -> bytes:
    document = {"type": f"alert.{status}", "timestamp": at.isoformat(), "data": {"status": status, **data}}
    return orjson.dumps(document)


async def send(scene: Scene, message_id: str, body: bytes, *, secret: str = SECRET) -> AlertReceiptOut:
    """A signed message, sent at this moment."""
    return await scene.alerts("pages", headers_of([secret], message_id, scene.clock.now(), body), body)


def alertmanager(status: str, began: datetime, ended: datetime | None = None, *, name: str = "p99") -> bytes:
    alert = {
        "status": status,
        "labels": {"alertname": name},
        "annotations": {},
        "startsAt": began.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z" if ended is None else ended.isoformat(),
        "fingerprint": f"finger-{name}",
    }
    return orjson.dumps({"version": "4", "status": status, "receiver": "greenroom", "alerts": [alert]})


async def test_an_alert_trips_at_once_and_until_it_is_resolved(scene: Scene) -> None:
    """Without waiting for the sampler's next turn; both are told, once."""
    await pages(scene)
    async with scene.sampler() as sampler:
        step = scene.step()
        assert (await scene.asks(sampler, step)).reason == "`pages`: no data: its sender was never heard of"
        await send(scene, "1", own("firing", scene.clock.now(), name="p99"))
        firing = await scene.told(sampler, step)
        scene.clock.move(minutes=10)
        still = await scene.asks(sampler, step)
        scene.clock.move(seconds=1)
        await send(scene, "2", own("resolved", scene.clock.now(), name="p99"))
        resolved = await scene.told(sampler, step)

    assert (firing.outcome, firing.reason) == ("darken", "`pages`: firing: `p99`")
    assert still.outcome == "darken"
    assert resolved.outcome == "ok"
    assert await scene.audited() == ["guardrail.tripped", "guardrail.recovered"]


async def test_silence_is_no_data(scene: Scene) -> None:
    """After `max_age_s` without a message; a heartbeat is one, and with `silence: ok` none is needed."""
    await pages(scene, heartbeat="Alive")
    await scene.make("trusting", source={"kind": "alert", "silence": "ok"}, condition=None, secret=SECRET)
    async with scene.sampler() as sampler:
        step = scene.step()
        await scene.alerts("pages", BEARER, alertmanager("firing", scene.clock.now(), name="Alive"))
        told = [(await scene.asks(sampler, step)).outcome]
        for seconds in (59, 1):
            scene.clock.move(seconds=seconds)
            told.append((await scene.asks(sampler, step)).outcome)
        body = own("alive", scene.clock.now())
        await send(scene, "alive", body)
        told.append((await scene.asks(sampler, step)).outcome)

    assert told == ["ok", "ok", "hold", "ok"]


async def test_the_same_message_again_changes_nothing(scene: Scene) -> None:
    """A `resolved` that somebody kept does not end what fires since; a newer one does."""
    await pages(scene)
    started = scene.clock.now()
    first, resolved = own("firing", started), own("resolved", started + timedelta(seconds=1))
    kept = headers_of([SECRET], "2", started, resolved)

    assert (await send(scene, "1", first)).model_dump() == {"accepted": 1, "ignored": 0, "firing": 1}
    assert (await scene.alerts("pages", kept, resolved)).firing == 0
    scene.clock.move(seconds=2)
    assert (await send(scene, "3", own("firing", scene.clock.now()))).firing == 1
    assert (await scene.alerts("pages", kept, resolved)).model_dump() == {"accepted": 0, "ignored": 1, "firing": 1}


async def test_messages_may_come_in_any_order(scene: Scene) -> None:
    """What is said of an earlier moment does not count any more."""
    await pages(scene)
    began = scene.clock.now()
    scene.clock.move(seconds=20)
    await send(scene, "late", own("resolved", began + timedelta(seconds=10)))

    assert (await send(scene, "early", own("firing", began))).model_dump() == {
        "accepted": 0,
        "ignored": 1,
        "firing": 0,
    }


async def test_alertmanager_may_repeat_when_an_alert_began(scene: Scene) -> None:
    """It had taken it for resolved, and it was not; an old `resolved` of an earlier episode ends nothing."""
    await pages(scene)
    began = scene.clock.now()
    receipts = [
        await scene.alerts("pages", BEARER, alertmanager("firing", began)),
        await scene.alerts("pages", BEARER, alertmanager("resolved", began, began + timedelta(minutes=5))),
        await scene.alerts("pages", BEARER, alertmanager("firing", began)),
        await scene.alerts("pages", BEARER, alertmanager("resolved", began, began + timedelta(minutes=5))),
        await scene.alerts("pages", BEARER, alertmanager("resolved", began, began + timedelta(minutes=9))),
    ]

    assert [one.firing for one in receipts] == [1, 0, 1, 1, 0]


async def test_what_is_not_theirs_changes_nothing(scene: Scene) -> None:
    """Forged, old, for a guardrail of another kind, or for none: all the same answer, and nothing is kept."""
    await pages(scene)
    await scene.make()
    body = own("firing", scene.clock.now())
    old = headers_of([SECRET], "1", scene.clock.now() - timedelta(minutes=6), body)
    forged = headers_of(["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="], "1", scene.clock.now(), body)
    for key, headers in (("pages", {}), ("pages", forged), ("pages", old), ("errors", BEARER), ("nobody", BEARER)):
        with pytest.raises(Unauthenticated):
            await scene.alerts(key, headers, body)
    for nonsense in (b"", b"[]", b"{}", b"null", b'{"alerts": []}', own("burning", scene.clock.now())):
        with pytest.raises(Invalid):
            await scene.alerts("pages", headers_of([SECRET], "2", scene.clock.now(), nonsense), nonsense)

    assert await scene.rows("SELECT * FROM guardrail_alert") == []
    assert await scene.rows("SELECT * FROM guardrail_message") == []
    assert await scene.rows() == []


async def test_the_alerts_of_one_guardrail_are_bounded(scene: Scene) -> None:
    """Past a thousand firing ones a message is refused, and what was there stays."""
    await pages(scene)
    (row,) = await scene.rows("SELECT id FROM guardrail")
    insert = """INSERT INTO guardrail_alert (guardrail_id, fingerprint, name, is_firing, said_at, heard_at)
        SELECT :guardrail, CAST(number AS text), 'many', true, :now, :now
        FROM generate_series(1, CAST(:most AS integer)) number"""
    await scene.do(insert, [{"guardrail": row.id, "now": scene.clock.now(), "most": MAX_FIRING}])

    with pytest.raises(LimitExceeded):
        await send(scene, "1", own("firing", scene.clock.now()))
    assert len(await scene.rows("SELECT * FROM guardrail_alert")) == MAX_FIRING


async def test_messages_and_old_alerts_are_forgotten(scene: Scene) -> None:
    """After a day, when no signature of theirs holds any more; what fires stays."""
    await pages(scene)
    await send(scene, "1", own("firing", scene.clock.now(), name="stays"))
    await send(scene, "2", own("resolved", scene.clock.now(), name="goes"))
    scene.clock.move(days=1, seconds=1)
    async with scene.sampler() as sampler:
        await sampler.keep_house()

    assert await scene.rows("SELECT * FROM guardrail_message") == []
    assert [row.name for row in await scene.rows("SELECT name FROM guardrail_alert")] == ["stays"]
