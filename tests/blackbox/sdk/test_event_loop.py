"""The event loop is never held up: not by a server that is away, not by one that is silent, not by large documents."""

import asyncio
import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.sdk.conftest import KEY
from tests.blackbox.sdk.fault_proxy import FaultProxy, Faults, http_answer
from tests.blackbox.sdk.sdk_server import SdkServer
from tests.unit.sdk.documents import change, snapshot

from greenroom import AsyncClient, ExposureOptions, Options, Transport
from greenroom.evaluation import read_snapshot

TICK_S = 0.002
# Of processor time. The cores are shared: a hold-up by other processes is no hold-up of ours.
NOISE_S = 0.08


@asynccontextmanager
async def watched(allowed_s: float) -> AsyncIterator[None]:
    """Fails if the loop itself worked for longer at any time in the block, and prints the longest."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            begun, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_S)
            spent, worked = time.perf_counter() - begun - TICK_S, time.thread_time() - used
            longest = max(longest, min(spent, worked))  # only what this thread itself did

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    yield
    ticking.cancel()
    print(f"the loop was held up for {longest * 1000:.1f} ms at the most")
    assert longest < allowed_s


@asynccontextmanager
async def without_old_garbage() -> AsyncIterator[None]:
    """What the tests before have left in memory is not looked through; that would take longer than all the rest."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for is not ours)
            await asyncio.sleep(0.005)


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", ["refused", "silent", "black hole"])
async def test_a_start_with_the_server_away(server: SdkServer, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is tried again and again."""
    monkeypatch.setattr("greenroom.upkeep.random.random", lambda: 0.02)
    with FaultProxy(server.url) as proxy:
        proxy.faults = Faults(is_refused=trouble == "refused", cut_after=0, is_silent=True)
        url = "http://127.0.0.1:9" if trouble == "black hole" else proxy.url
        options = Options(transport=Transport(connect_timeout_s=0.2, answer_timeout_s=0.2))
        async with watched(NOISE_S), AsyncClient(url, KEY, options) as client:
            assert not await client.wait_ready(1.0)
            assert client.bool_value("a", True) is True
            assert client.status.state == "error"


@pytest.mark.asyncio
async def test_large_documents_are_read_beside_the_loop(server: SdkServer) -> None:
    """A snapshot of three megabytes at the start, and again as a change: the loop does not do the reading."""
    flags: dict[str, Any] = {f"flag-{n}": {"text": "x" * 3000, "list": [1, 2, 3] * 10} for n in range(900)}
    server.document = snapshot(1, **flags)
    text = json.dumps(server.document)
    used = time.thread_time()
    read_snapshot(json.loads(text))
    reading_s = time.thread_time() - used
    async with watched(reading_s / 2), AsyncClient(server.url, KEY) as client:
        assert await client.wait_ready(30)
        await eventually(lambda: server.streams == 1)
        update = change(1, 2, **dict(list(flags.items())[:500]))
        await asyncio.to_thread(server.publish, update, snapshot(2, **flags))
        await eventually(lambda: client.status.revision == 2)


@pytest.mark.asyncio
async def test_a_client_made_without_a_loop_starts_at_the_first_evaluation(server: SdkServer) -> None:
    """As one that is made at import is."""
    client = await asyncio.to_thread(lambda: AsyncClient(server.url, KEY))
    assert client.bool_value("a", True) is True
    await eventually(lambda: client.status.state == "ready")
    assert client.bool_value("a", True) is False
    await client.close()


def test_one_loop_after_the_other(server: SdkServer) -> None:
    """A client outlives its loop: the next one starts it anew, with the flags that it has."""
    client = AsyncClient(server.url, KEY)

    async def use() -> bool:
        assert await client.wait_ready()
        return client.bool_value("a", True)

    assert asyncio.run(use()) is False
    server.document = snapshot(2, a=True)

    async def use_again() -> None:
        client.bool_value("a", False)
        await eventually(lambda: client.bool_value("a", False) is True)
        await client.close()

    asyncio.run(use_again())


@pytest.mark.asyncio
async def test_waiting_can_be_cancelled(server: SdkServer) -> None:
    """And so can closing be awaited twice."""
    with FaultProxy(server.url) as proxy:
        proxy.faults = Faults(cut_after=0, is_silent=True)
        client = AsyncClient(proxy.url, KEY)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.wait_ready(30)
        await client.close()
        await client.close()
        assert client.status.state == "closed"


@pytest.mark.asyncio
async def test_listeners_are_called_on_the_loop(server: SdkServer, caplog: pytest.LogCaptureFixture) -> None:
    """So they may touch what belongs to it."""
    loops: list[object] = []
    async with AsyncClient(server.url, KEY) as client:
        client.on_change(lambda key: loops.append(asyncio.get_running_loop()))
        assert await client.wait_ready()
        await eventually(lambda: server.streams == 1)
        await asyncio.to_thread(server.publish, change(1, 2, a=True), snapshot(2, a=True))
        await eventually(lambda: bool(loops))

    assert loops == [asyncio.get_running_loop()]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", ["refused", "silent", "500"])
async def test_reporting_has_no_part_in_the_loop(
    server: SdkServer, trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tens of thousands of rows to collect, keep and send, and nobody who takes them: the loop does none of it."""
    monkeypatch.setattr("greenroom.upkeep.random.random", lambda: 0.02)
    server.document["flags"]["a"]["track_exposures"] = "subjects"
    faults = {
        "refused": Faults(is_refused=True),
        "silent": Faults(cut_after=0, is_silent=True),
        "500": Faults(substitute=http_answer(500)),
    }[trouble]
    how = ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path)
    options = Options(transport=Transport(connect_timeout_s=0.2, answer_timeout_s=0.2), exposures=how)
    with FaultProxy(server.url) as proxy:
        async with AsyncClient(proxy.url, KEY, options) as client:
            assert await client.wait_ready()
            proxy.faults = faults
            async with without_old_garbage(), watched(NOISE_S):
                for turn in range(200):
                    for number in range(100):
                        client.bool_value("a", True, {"targetingKey": f"user-{turn}-{number}"})
                        client.track("paid", {"targetingKey": f"user-{number}"})
                    await asyncio.sleep(0.005)
                await eventually(lambda: client.status.unreported >= 40_000)
            proxy.faults = Faults()
            assert client.status.dropped == 0
