"""Persisted toggles: writers who each switch a flag of their own as fast as they are answered, against the floor.

The floor runs the very statements of a switch on bare asyncpg (`toggle_floor`), against the same PostgreSQL, in turns.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from tests.bench.http import workload
from tests.bench.http.processes import processor_time_s
from tests.bench.http.stage import Stage, set_up, temporary_folder
from tests.bench.http.wire import Answer, Connection
from tests.blackbox.authoring import Author
from tests.blackbox.server_process import ServerProcess

from greenroom_server.database.embedded import EmbeddedPostgres

_ROUNDS = 5
_TOGGLES_EACH = 100
_FLOOR = "floor"


def report() -> str:
    """Toggles a second and processor time for each, ours and the floor's."""
    with temporary_folder() as folder, EmbeddedPostgres(folder / "postgres") as url:
        rounds = _rounds(folder / "data", url)
    ours, floors = zip(*rounds, strict=True)
    spent = [one for each in ours for one in each.spent]
    rate, floor_rate = median(one.per_s for one in ours), median(one.per_s for one in floors)
    each, floor_each = median(one.each_ms for one in ours), median(one.each_ms for one in floors)
    writers = len(workload.TOGGLED)
    ratio = median(a.per_s / b.per_s for a, b in rounds)
    each_ratio = median(a.each_ms / b.each_ms for a, b in rounds)
    return (
        f"persisted toggles, {writers} at a time: {rate:.0f}/s, {quantiles(spent)}, processor time {each:.2f} ms each\n"
        f"  floor, the same statements on bare asyncpg: {floor_rate:.0f}/s, processor time {floor_each:.2f} ms each\n"
        f"  x floor: toggles/s {ratio:.2f}, processor time {each_ratio:.1f}"
    )


def _rounds(data: Path, url: str) -> list[tuple["_Round", "_Round"]]:
    with ServerProcess(data, database_url=url) as server:
        stage = set_up(server, with_toggles=True)
        with Author(server.url, stage.admin, timeout_s=60) as author:
            author.send("POST", "/api/v1/import", _floor_document())
        _ours(stage)  # warms up
        return [(_ours(stage), _floor(url)) for _ in range(_ROUNDS)]


class _Round:
    """What one round came to; `spent` are the latencies in seconds, if they were taken."""

    def __init__(self, count: int, seconds: float, each_ms: float, spent: Sequence[float] = ()) -> None:
        self.per_s = count / seconds
        self.each_ms = each_ms
        self.spent = spent


def toggle(stage: Stage, key: str, *, on: bool) -> bytes:
    """The request that switches a flag."""
    path = f"/api/v1/projects/{workload.PROJECT}/environments/{workload.ENVIRONMENT}/flags/{key}"
    return workload.post(f"{path}/{'enable' if on else 'disable'}", {}, {"authorization": f"Bearer {stage.admin}"})


def require_ok(answer: Answer) -> None:
    """Raises unless the answer is 200."""
    if answer.status != 200:
        raise RuntimeError(f"answered {answer.status}: {answer.body[:300]!r}")


def quantiles(seconds: Sequence[float]) -> str:
    """The middle and the slowest hundredth, in words."""
    return f"p50 {quantile(seconds, 0.5) * 1000:.1f} ms, p99 {quantile(seconds, 0.99) * 1000:.1f} ms"


def quantile(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)]


def _ours(stage: Stage) -> _Round:
    def write(key: str) -> list[float]:
        spent = []
        with Connection(stage.port) as connection:
            require_ok(connection.ask(toggle(stage, key, on=False)))
            for number in range(_TOGGLES_EACH):
                begun = time.perf_counter()
                require_ok(connection.ask(toggle(stage, key, on=number % 2 == 0)))
                spent.append(time.perf_counter() - begun)
        return spent

    with ThreadPoolExecutor(len(workload.TOGGLED)) as pool:
        begun, processor = time.perf_counter(), processor_time_s(stage.serving_pids)
        spent = [one for several in pool.map(write, workload.TOGGLED) for one in several]
        seconds = time.perf_counter() - begun
    each_ms = (processor_time_s(stage.serving_pids) - processor) / len(spent) * 1000
    return _Round(len(spent), seconds, each_ms, spent)


def _floor(url: str) -> _Round:
    place = (url, _FLOOR, workload.ENVIRONMENT, str(_TOGGLES_EACH), *workload.TOGGLED)
    command = [sys.executable, "-m", "tests.bench.http.toggle_floor", *place]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
    return _Round(_TOGGLES_EACH * len(workload.TOGGLED), said["seconds"], said["each_s"] * 1000)


def _floor_document() -> workload.Json:
    return {
        **workload.project_document(),
        "project": {"key": _FLOOR, "name": "Floor"},
        "flags": workload.toggled_flags(),
    }
