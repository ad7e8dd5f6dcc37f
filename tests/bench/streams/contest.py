"""Many event streams on one server process, beside a floor that only writes: news, memory, and what else is asked.

A change is timed from the moment its request is sent, so the write itself is part of it. Both sides have as many
streams open and take turns. Processor time of the serving process is what a busy machine moves least.
"""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from tests.bench.http import workload
from tests.bench.http.contest import LOAD_CORE, SERVER_CORE
from tests.bench.http.processes import Process, memory_kib, pin, processor_time_s
from tests.bench.http.stage import set_up, temporary_folder
from tests.bench.http.toggles import quantile, require_ok, toggle
from tests.bench.http.wire import Connection, ask_once
from tests.bench.streams.listeners import Listeners
from tests.blackbox.server_process import ServerProcess

from greenroom_server.database.embedded import EmbeddedPostgres

MEMORY_GOAL_KIB: Final = 16
API_GOAL_MS: Final = 100
_FIRST_STREAMS: Final = 50
_PROBE_EVERY_S: Final = 0.01
_NEWS_BYTES: Final = 600  # about as much as a toggled flag
_SETTINGS: Final[dict[str, Any]] = {
    "stream_cap": "20000",
    "stream_cap_per_token": "20000",
    "stream_admissions_per_s": "100000",
    "log_level": "warning",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How many streams and changes, and the most we want the slowest hundredth to wait for a change."""

    streams: int
    changes: int
    goal_ms: int


SIZES: Final = (Size(1_000, 40, 60), Size(10_000, 12, 300))


@dataclass(slots=True)
class Found:
    """What one side came to at one size."""

    memory_kib: float
    opened_per_s: float
    delays: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    each_us: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    missing: int = 0
    gone: int = 0


class Side:
    """One of both contestants.

    `stream` asks for a stream from now on, `publish` makes news and returns once that is answered; `question` is asked
    meanwhile.
    """

    def __init__(
        self, pid: int, port: int, *, stream: Callable[[], bytes], publish: Callable[[], None], question: bytes
    ) -> None:
        self.pid, self._port = pid, port
        self._stream, self._publish, self._question = stream, publish, question
        self._listeners = Listeners(LOAD_CORE)
        pin(pid, SERVER_CORE)

    def __enter__(self) -> Self:
        self._listeners.__enter__()
        self._open = _FIRST_STREAMS
        self._listeners.open(self._port, self._stream(), self._open)  # what is made once for all of them
        for _ in range(3):
            self._publish()
        self._first_kib = memory_kib(self.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listeners.__exit__(kind, error, trace)

    def grow(self, streams: int) -> Found:
        """Open streams until there are so many."""
        more = streams - self._open
        seconds = self._listeners.open(self._port, self._stream(), more)
        self._open = streams
        return Found((memory_kib(self.pid) - self._first_kib) / (streams - _FIRST_STREAMS), more / seconds)

    def change(self, found: Found) -> None:
        """Make news and wait until all have it."""
        self._listeners.listen()
        with self._asking(found.probes):
            spent, begun = processor_time_s([self.pid]), time.monotonic()
            self._publish()
            found.answers.append(time.monotonic() - begun)
            heard = self._listeners.heard()
            found.each_us.append((processor_time_s([self.pid]) - spent) / self._open * 1e6)
        found.delays += [moment - begun for moment in heard.moments]
        found.missing, found.gone = found.missing + heard.missing, heard.gone

    @contextmanager
    def _asking(self, spent: list[float]) -> Iterator[None]:
        is_over = threading.Event()

        def ask() -> None:
            with Connection(self._port) as connection:
                while not is_over.wait(_PROBE_EVERY_S):
                    begun = time.perf_counter()
                    require_ok(connection.ask(self._question))
                    spent.append(time.perf_counter() - begun)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def report() -> str:
    """Measure, and say it in a few lines for each number of streams."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        url = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        server = stack.enter_context(ServerProcess(folder / "data", database_url=url, **_SETTINGS))
        ours = stack.enter_context(_ours(stack, server))
        floor = stack.enter_context(_floor(stack))
        return "\n".join(line for size in SIZES for line in _lines(size, *_play(size, ours, floor)))


def _ours(stack: ExitStack, server: ServerProcess) -> Side:
    stage = set_up(server, with_toggles=True)
    author = stack.enter_context(Connection(stage.port))
    turns = itertools.cycle((True, False))
    newest = workload.get(workload.SNAPSHOT_PATH, stage.authorization)

    def stream() -> bytes:
        tag = ask_once(stage.port, newest).header(b"etag").decode().strip('"')
        return workload.get("/api/v1/sdk/stream", stage.authorization | {"last-event-id": tag})

    def publish() -> None:
        require_ok(author.ask(toggle(stage, workload.TOGGLED[0], on=next(turns))))

    question = workload.post(workload.SINGLE_PATH, {"context": workload.PEOPLE[0]}, stage.authorization)
    return Side(stage.serving_pids[0], stage.port, stream=stream, publish=publish, question=question)


def _floor(stack: ExitStack) -> Side:
    process = stack.enter_context(Process("tests.bench.streams.floor"))
    author = stack.enter_context(Connection(process.port))
    news = workload.post("/publish", {"event: change": "x" * _NEWS_BYTES}, {})
    listening, question = workload.get("/events", {}), workload.get("/ping", {})
    return Side(
        process.pid,
        process.port,
        stream=lambda: listening,
        publish=lambda: require_ok(author.ask(news)),
        question=question,
    )


def _play(size: Size, ours: Side, floor: Side) -> tuple[Found, Found]:
    found = floor.grow(size.streams), ours.grow(size.streams)
    for _ in range(size.changes):
        for side, figures in zip((floor, ours), found, strict=True):
            side.change(figures)
    return found[1], found[0]


def _lines(size: Size, ours: Found, floor: Found) -> Iterator[str]:
    yield f"{size.streams:,} streams, {size.changes} changes, load {os.getloadavg()[0]:.1f}:"
    for name, found in (("ours", ours), ("floor", floor)):
        p50, p99 = (quantile(found.delays, share) * 1000 for share in (0.5, 0.99))
        yield (
            f"  {name}: change to client p50 {p50:.0f} ms, p99 {p99:.0f} ms"
            f" (until the change's own answer: {statistics.median(found.answers) * 1000:.0f} ms),"
            f" processor time {statistics.median(found.each_us):.1f} µs a stream,"
            f" {found.memory_kib:.1f} KiB a stream, opened {found.opened_per_s:,.0f}/s,"
            f" missed {found.missing}, dropped {found.gone};"
            f" one client's requests meanwhile: p99 {quantile(found.probes, 0.99) * 1000:.0f} ms"
        )
    p99 = quantile(ours.delays, 0.99)
    yield (
        f"  x floor: p99 {p99 / quantile(floor.delays, 0.99):.2f},"
        f" processor time {statistics.median(ours.each_us) / statistics.median(floor.each_us):.2f},"
        f" memory {ours.memory_kib / floor.memory_kib:.2f};"
        f" goals: p99 {size.goal_ms} ms, {MEMORY_GOAL_KIB} KiB, 0 dropped, requests p99 {API_GOAL_MS} ms"
    )
