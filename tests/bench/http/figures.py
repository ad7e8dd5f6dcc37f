"""Single figures, without a floor: from toggle to visible, persisted toggles, start, memory, latency of one client."""

import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import orjson
from tests.bench.http import toggles, workload
from tests.bench.http.hammer import Hammer
from tests.bench.http.processes import memory_kib
from tests.bench.http.stage import Stage, open_stage, set_up, temporary_folder
from tests.bench.http.toggles import quantile, quantiles, require_ok, toggle
from tests.bench.http.wire import Connection, ask_once
from tests.blackbox.server_process import ServerProcess

from greenroom_server.database.embedded import EmbeddedPostgres

_TOGGLES = 200
_STARTS = 5
_EVALUATIONS = 3_000
_READERS = 8  # connections that must all see a change; with two workers both will have some
_WITHIN_S = 10.0


def report() -> str:
    """Measure everything; one line for each figure."""
    lines = []
    with open_stage(with_toggles=True) as stage, Hammer() as hammer:
        time.sleep(2)  # let the start's work end
        idle = memory_kib(stage.serving_pids[0])
        lines.append(f"memory idle after the first start, {workload.FLAGS} flags: {idle / 1024:.0f} MiB")
        lines.append(_one_client(stage, hammer))
        lines.append(f"toggle to visible, one process: {_visibility(stage)}")
        peak = memory_kib(stage.serving_pids[0], "VmHWM")
        lines.append(f"memory peak after all that: {peak / 1024:.0f} MiB")
    with open_stage(workers=2, with_toggles=True) as stage:
        lines.append(f"toggle to visible at {_READERS} connections, two worker processes: {_visibility(stage)}")
    lines.append(toggles.report())
    lines.extend(_start())
    return "\n".join(lines)


def _one_client(stage: Stage, hammer: Hammer) -> str:
    request = workload.post(workload.SINGLE_PATH, {"context": workload.PEOPLE[0]}, stage.authorization)
    size = ask_once(stage.port, request).size
    hits = hammer.hit(stage.port, [request], size, status=200, count=_EVALUATIONS)
    return f"OFREP single, one connection: p50 {hits.p50_ms:.2f} ms, p99 {hits.p99_ms:.2f} ms"


def _visibility(stage: Stage) -> str:
    """From sending a change to the first moment when every connection has got an answer that shows it."""
    key = workload.TOGGLED[0]
    question = workload.post(f"{workload.BULK_PATH}/{key}", {"context": {}}, stage.authorization)
    acknowledged, visible = [], []
    with ExitStack() as stack:
        writer = stack.enter_context(Connection(stage.port))
        readers = [stack.enter_context(Connection(stage.port)) for _ in range(_READERS)]
        for number in range(_TOGGLES):
            on = number % 2 == 0
            begun = time.perf_counter()
            require_ok(writer.ask(toggle(stage, key, on=on)))
            acknowledged.append(time.perf_counter() - begun)
            for reader in readers:
                while (orjson.loads(reader.ask(question).body)["reason"] == "DISABLED") is on:
                    if time.perf_counter() - begun > _WITHIN_S:
                        raise RuntimeError("a change does not become visible")
            visible.append(time.perf_counter() - begun)
    return f"{quantiles(visible)} (of which until the write's own answer: {quantiles(acknowledged)})"


def _start() -> list[str]:
    """From starting the process to the line that says where it listens, the database being up already; then memory."""
    spent, idle = [], 0
    with temporary_folder() as folder, EmbeddedPostgres(folder / "postgres") as url:
        with ServerProcess(folder / "data", database_url=url) as server:
            stage = set_up(server)
        for _ in range(_STARTS):
            begun = time.perf_counter()
            with ServerProcess(folder / "data", database_url=url) as server:
                spent.append(time.perf_counter() - begun)
                request = workload.get(workload.SNAPSHOT_PATH, stage.authorization)
                require_ok(ask_once(urlsplit(server.url).port or 0, request))
                time.sleep(1)  # let the start's work end
                idle = memory_kib(server.process.pid)
    return [
        f"start without the embedded database: median {quantile(spent, 0.5):.2f} s of {_STARTS}",
        f"memory idle after a start on a current schema: {idle / 1024:.0f} MiB",
    ]
