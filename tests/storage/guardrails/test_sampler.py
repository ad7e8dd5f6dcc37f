"""Asking Prometheus: once for each turn whoever is up, only what is wanted, and whatever it answers is no accident."""

import asyncio
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final
from urllib.parse import parse_qs

import pytest
from sqlalchemy import text
from tests.blackbox.webhooks.receiver import Answer
from tests.storage.guardrails.conftest import PROJECT, Scene

from greenroom_server.clock import SystemClock
from greenroom_server.guardrails import service
from greenroom_server.guardrails.judging import Verdict
from greenroom_server.guardrails.prometheus import MAX_BODY_BYTES
from greenroom_server.guardrails.service_readings import KEPT, LEASE
from greenroom_server.guardrails.service_verdicts import NOBODY
from greenroom_server.webhooks.address import Egress

pytestmark = pytest.mark.asyncio


async def test_a_step_is_told_what_prometheus_says(scene: Scene) -> None:
    """Its query goes there as a form with the token; the answer decides from the very next look on."""
    await scene.make(secret="a-token-for-prometheus")
    scene.says("0.25", "0.4")
    async with scene.sampler() as sampler:
        step = scene.step()
        before = await scene.told(sampler, step)
        fine = await scene.asks(sampler, step)
        scene.clock.move(seconds=10)
        scene.says("0.25", "0.75")
        tripped = await scene.asks(sampler, step)

    assert (before.outcome, before.reason) == ("hold", "`errors`: nothing was read since the step began")
    assert (fine.outcome, fine.data_at) == ("ok", step.since)
    assert (tripped.outcome, tripped.reason) == ("step_back", "`errors`: 0.75 is > 0.5")
    first = scene.prometheus.messages[0]
    assert (first.path, parse_qs(first.body.decode())) == ("/api/v1/query", {"query": ["up"]})
    assert first.headers["authorization"] == "Bearer a-token-for-prometheus"
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_two_samplers_ask_each_turn_once(scene: Scene) -> None:
    """However often both look; and nobody is asked who is not wanted."""
    await scene.make(flags=["new-checkout"])
    await scene.make("unused", flags=["another-flag"])
    scene.says("0.1")
    async with scene.sampler() as one, scene.sampler() as another:
        step = scene.step()
        for _ in range(5):
            for sampler in (one, another):
                await scene.told(sampler, step)
            await asyncio.gather(one.step(), another.step(), one.step(), another.step())
            await asyncio.gather(one.idle(), another.idle())
            scene.clock.move(seconds=10)

    assert len(scene.prometheus.messages) == 5
    moments = [row.at for row in await scene.rows()]
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(seconds=10)}


async def test_what_is_always_on_is_asked_without_a_step(scene: Scene) -> None:
    """And tells when it trips and when it is well again, once each."""
    await scene.make(always_on=True)
    async with scene.sampler() as sampler:
        for value in ("0.1", "0.9", "0.9", "NaN", "0.9", "0.1", "0.1"):
            scene.says(value)
            await sampler.step()
            await sampler.idle()
            scene.clock.move(seconds=10)

    assert await scene.audited() == ["guardrail.tripped", "guardrail.recovered"]
    (told,) = await scene.rows("SELECT body FROM audit_event WHERE action = 'guardrail.tripped'")
    assert "0.9 is > 0.5" in told.body


async def test_a_step_that_ended_is_not_asked_for(scene: Scene) -> None:
    """A minute after its last question nobody asks Prometheus any more."""
    await scene.make()
    scene.says("0.1")
    async with scene.sampler() as sampler:
        await scene.asks(sampler, scene.step())
        asked = len(scene.prometheus.messages)
        scene.clock.move(seconds=61)
        assert await sampler.step() == 0
    assert len(scene.prometheus.messages) == asked


async def test_a_server_that_dies_while_it_asks_is_replaced(scene: Scene) -> None:
    """When the lease is over and not before; and who comes back from the dead has nothing to say."""
    await scene.make(always_on=True)
    scene.prometheus.usual = Answer(hangs=True)
    async with scene.sampler(total_s=60) as dying, scene.sampler() as heir:
        assert await dying.step() == 1
        await asyncio.to_thread(scene.prometheus.wait_for, 1)
        scene.says("0.1")
        assert await heir.step() == 0
        scene.clock.move(seconds=LEASE.total_seconds())
        assert await heir.step() == 1
        await heir.idle()
        scene.prometheus.let_go.set()
        await dying.idle()

    assert [row.state for row in await scene.rows()] == ["ok"]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"<html>Sign in</html>", 200, "the answer is not JSON"),
        (b"", 200, "the answer is not JSON"),
        (b'{"status":"success","data":{"resultType":"vector","result":[]}}', 200, "the query gives no series"),
        (b'{"status":"error","errorType":"execution"}', 422, "the source answers with the status 422"),
        (b"no", 500, "the source answers with the status 500"),
        (b"elsewhere", 302, "the source answers with the status 302"),
        (b" " * (MAX_BODY_BYTES + 1), 200, "the source speaks no HTTP, breaks off, or answers more than 512 KiB"),
    ],
)
async def test_nonsense_holds(scene: Scene, body: bytes, status: int, why: str) -> None:
    """After a good reading too; the reason says what was wrong and quotes nothing."""
    await scene.make()
    scene.says("0.1")
    async with scene.sampler() as sampler:
        step = scene.step()
        assert (await scene.asks(sampler, step)).outcome == "ok"
        scene.clock.move(seconds=10)
        scene.answers(body, status)
        verdict = await scene.asks(sampler, step)

    assert (verdict.outcome, verdict.reason) == ("hold", f"`errors`: no data: {why}")


@pytest.mark.parametrize(
    ("value", "stamp_s", "why"),
    [("NaN", 0, "not a number"), ("0.1", -61, "before the step began"), ("0.1", 60, "the clocks disagree")],
)
async def test_numbers_that_mean_nothing_hold(scene: Scene, value: str, stamp_s: int, why: str) -> None:
    """What is none, what is old, and what is of the future."""
    await scene.make()
    scene.says(value, stamp=scene.clock.now().timestamp() + stamp_s)
    async with scene.sampler() as sampler:
        verdict = await scene.asks(sampler, scene.step())

    assert verdict.outcome == "hold"
    assert why in verdict.reason


async def test_a_source_that_hangs_or_is_away_holds_in_time(scene: Scene) -> None:
    """The first within the limit, the second at once; and those that answer do not wait for them."""
    await scene.make("hanging")
    scene.prometheus.plan = [Answer(hangs=True)]
    begun = time.monotonic()
    async with scene.sampler(total_s=0.3) as sampler:
        hung = await scene.asks(sampler, scene.step())
        await scene.make("away", source={"kind": "prometheus", "url": "http://127.0.0.1:1", "query": "up"})
        away = await scene.asks(sampler, scene.step(guardrails=("away",), flags=()))

    assert hung.reason == "`hanging`: no data: the source did not answer in time"
    assert "`away`: no data: the source cannot be reached" in away.reason
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "0x7f.1", "169.254.169.254"])
async def test_no_address_inside_is_asked(scene: Scene, host: str) -> None:
    """Whatever was allowed when it was saved: the address is checked with every question."""
    await scene.make()
    port = scene.prometheus.port
    async with scene.database.transaction() as session:
        url = f"http://{host}:{port}"
        source = "json_build_object('kind', 'prometheus', 'url', CAST(:url AS text), 'query', 'up')"
        changed = text(f"UPDATE guardrail SET source = {source}")
        await session.execute(changed, {"url": url})
    async with scene.sampler(egress=Egress(ports=frozenset({port}), takes_http=True)) as sampler:
        verdict = await scene.asks(sampler, scene.step())

    assert verdict.reason == "`errors`: no data: nothing is sent to that address"
    assert scene.prometheus.connections == 0


async def test_http_is_asked_where_the_operator_lets_it(scene: Scene) -> None:
    """A private network that is listed is opened, and `http:` only if that is allowed too."""
    await scene.make()
    scene.says("0.1")
    listed = Egress.of(["127.0.0.0/8"], ports=[scene.prometheus.port], is_insecure=False, takes_http=True)
    async with scene.sampler(egress=listed) as sampler:
        assert (await scene.asks(sampler, scene.step())).outcome == "ok"
    closed = Egress.of(["127.0.0.0/8"], ports=[scene.prometheus.port], is_insecure=False)
    async with scene.sampler(egress=closed) as sampler:
        scene.clock.move(seconds=10)
        assert (await scene.asks(sampler, scene.step())).outcome == "hold"


async def test_another_condition_starts_anew(scene: Scene) -> None:
    """What was read of the old one says nothing; an answer on its way to it is dropped."""
    await scene.make()
    scene.says("0.9")
    async with scene.sampler() as sampler:
        step = scene.step()
        assert (await scene.asks(sampler, step)).outcome == "step_back"
        scene.clock.move(seconds=10)
        scene.prometheus.let_go.clear()
        scene.prometheus.plan = [Answer(hangs=True)]
        await sampler.step()
        await asyncio.to_thread(scene.prometheus.wait_for, 2)
        await scene.patch({"condition": {"value": 0.95}})
        scene.prometheus.let_go.set()
        await sampler.idle()
        assert await scene.rows() == []
        assert (await scene.told(sampler, step)).outcome == "hold"
        scene.says("0.9")
        assert (await scene.asks(sampler, step)).outcome == "ok"


async def test_which_steps_a_guardrail_watches(scene: Scene) -> None:
    """Its limits, or the plan's naming it; a name that is not there holds, and where nobody watches all is well."""
    await scene.make("everywhere-else", environments=["production"], flags=["other"], releases=["spring"])
    async with scene.sampler() as sampler:
        found: dict[str, Verdict] = {}
        for name, members in _STEPS.items():
            found[name] = await scene.told(sampler, scene.step(**members))

    assert found["another flag"] == NOBODY
    assert found["another environment"] == NOBODY
    assert {name: one.reason for name, one in found.items() if one.outcome == "hold"} == {
        "its flag": "`everywhere-else`: nothing was read since the step began",
        "its release": "`everywhere-else`: nothing was read since the step began",
        "named": "`everywhere-else`: nothing was read since the step began",
        "named in vain": "`gone`: there is no such guardrail",
    }


_STEPS: Final[dict[str, dict[str, Any]]] = {
    "another flag": {},
    "another environment": {"flags": ("other",), "environment": "staging"},
    "its flag": {"flags": ("new-checkout", "other")},
    "its release": {"release": "spring"},
    "named": {"environment": "staging", "guardrails": ("everywhere-else",)},
    "named in vain": {"guardrails": ("gone",)},
}


async def test_the_task_reacts_within_seconds(scene: Scene) -> None:
    """Started as a server starts it, by the machine's clock: from the change at the source to what the step is told."""
    scene.clock = SystemClock()  # type: ignore[assignment]
    await scene.make(interval_s=5)
    step = scene.step()
    scene.says("0.1")
    async with scene.sampler() as sampler, asyncio.timeout(30):
        await sampler.start()
        await scene.told_in_time(sampler, step, "ok")
        scene.says("0.9")
        changed_at = time.monotonic()
        await scene.told_in_time(sampler, step, "step_back")

    assert time.monotonic() - changed_at < 20


async def test_old_readings_are_forgotten(scene: Scene) -> None:
    """Those past a week, and of one guardrail those past the bound; what is young stays."""
    await scene.make()
    (row,) = await scene.rows("SELECT id FROM guardrail")
    insert = """INSERT INTO guardrail_reading (id, guardrail_id, at, state, why)
        SELECT gen_random_uuid(), :guardrail, CAST(:now AS timestamptz) - make_interval(secs => number), 'ok', ''
        FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) number"""
    now = scene.clock.now()
    await scene.do(insert, [{"guardrail": row.id, "now": now, "first": 1, "last": KEPT + 3}])
    await scene.do(insert, [{"guardrail": row.id, "now": now - timedelta(days=8), "first": 1, "last": 2}])
    async with scene.sampler() as sampler:
        await sampler.keep_house()

    (left,) = await scene.rows("SELECT count(*) AS number, min(at) AS oldest FROM guardrail_reading")
    assert (left.number, left.oldest) == (KEPT, now - timedelta(seconds=KEPT))


async def test_what_is_deleted_holds_the_steps_that_name_it(scene: Scene) -> None:
    """And is not asked any more, though a step asked for it a moment before."""
    await scene.make()
    async with scene.sampler() as sampler:
        step = scene.step(guardrails=("errors",))
        await scene.told(sampler, step)
        async with scene.work() as work:
            await service.delete_guardrail(work, PROJECT, "errors")
        assert await sampler.step() == 0
        assert (await scene.told(sampler, step)).reason == "`errors`: there is no such guardrail"
