"""uvicorn against granian: the figures behind docs/adr/0004-uvicorn.md.

The same raw ASGI app on both, then Greenroom itself: processor time per request, memory, and what an idle stream costs.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from tests.bench.http import workload
from tests.bench.http.cases import Case, WrongAnswer, make_cases
from tests.bench.http.contest import LOAD_CORE, SERVER_CORE, Contestant, Round, play
from tests.bench.http.hammer import Hammer
from tests.bench.http.processes import Process, family, memory_kib, pin
from tests.bench.http.stage import Stage, set_up, temporary_folder
from tests.bench.http.wire import Connection, ask_once
from tests.blackbox.server_process import ServerProcess

from greenroom_server.database.embedded import EmbeddedPostgres

_STREAMS = 1_000
_WARM_UP = 1_000
_COUNT = 4_000
_READY_WITHIN_S = 15.0
_PLAIN = "tests.bench.http.plain_app"


def report(rounds: int) -> str:
    """Measure and tell."""
    with Hammer(LOAD_CORE) as hammer:
        return "\n".join([_plain(hammer, rounds), "", _greenroom(hammer, rounds)])


def _plain(hammer: Hammer, rounds: int) -> str:
    get = workload.get("/small", {})
    post = workload.post("/json", {"context": workload.PEOPLE[0]}, {})
    lines = ["a raw ASGI app:"]
    with Process(_PLAIN, "uvicorn") as uvicorn, Process(_PLAIN, "granian") as granian:
        servers = [_ready(name, one, get) for name, one in (("uvicorn", uvicorn), ("granian", granian))]
        for server in servers:
            memory = sum(memory_kib(pid, "Pss") for pid in server.pids)
            lines.append(f"  {server.name}: memory {memory / 1024:.0f} MiB in {len(server.pids)} processes")
        lines += _compare("GET 300 B", [get] * workload.CONNECTIONS, servers, hammer, rounds)
        lines += _compare("POST JSON", [post] * workload.CONNECTIONS, servers, hammer, rounds)
        lines += [f"  {server.name}: {_idle_streams(server, '/events', {})}" for server in servers]
    return "\n".join(lines)


def _greenroom(hammer: Hammer, rounds: int) -> str:
    """Our server on uvicorn as `serve` runs it, and its app on granian, on one database."""
    lines = ["greenroom-server:"]
    with temporary_folder() as folder, ExitStack() as stack:
        url = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        stage = set_up(stack.enter_context(ServerProcess(folder / "data", database_url=url)))
        settings = {
            "GREENROOM_DATABASE_URL": url,
            "GREENROOM_DATA_DIR": str(folder / "other"),
            "GREENROOM_LOG_LEVEL": "error",
        }
        granian = stack.enter_context(Process(_PLAIN, "granian-greenroom", settings=settings))
        request = workload.get(workload.SNAPSHOT_PATH, stage.authorization)
        servers = [Contestant("uvicorn", stage.port, stage.serving_pids), _ready("granian", granian, request)]
        for server in servers:
            memory = sum(memory_kib(pid, "Pss") for pid in server.pids)
            lines.append(f"  {server.name}: memory {memory / 1024:.0f} MiB in {len(server.pids)} processes")
        for case in _chosen(stage):
            lines += _compare(case.name, case.requests, servers, hammer, rounds)
        path = "/api/v1/sdk/stream"
        lines += [f"  {server.name}: {_idle_streams(server, path, stage.authorization)}" for server in servers]
    return "\n".join(lines)


def _chosen(stage: Stage) -> Sequence[Case]:
    cases = make_cases(stage)
    return [cases[0], cases[-1]]


def _ready(name: str, process: Process, request: bytes) -> Contestant:
    """A server whose worker answers, which comes after its parent says where."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        with suppress(ConnectionError):
            if ask_once(process.port, request).status == 200:
                return Contestant(name, process.port, list(family(process.pid)))
        time.sleep(0.05)
    raise RuntimeError(f"{name} does not answer")


def _compare(name: str, requests: list[bytes], servers: Sequence[Contestant], hammer: Hammer, rounds: int) -> list[str]:
    """Interleaved rounds, like the floors'. granian's answers are longer: it adds `server` and `date`."""
    cases = {}
    for server in servers:
        for pid in server.pids:
            pin(pid, SERVER_CORE)
        answer = ask_once(server.port, requests[0])
        if answer.status not in (200, 304):
            raise WrongAnswer(f"{name} on {server.name} is answered {answer.status}")
        cases[server.name] = Case(name, "", "", requests, answer, _COUNT)
        play(server, cases[server.name], hammer, _WARM_UP)
    played: dict[str, list[Round]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            played[server.name].append(play(server, cases[server.name], hammer, _COUNT))
    return [f"  {name}, {server}: {_summary(results)}" for server, results in played.items()]


def _summary(results: list[Round]) -> str:
    def median(read: Callable[[Round], float]) -> float:
        return statistics.median(map(read, results))

    return (
        f"{median(lambda one: one.cpu_us):.1f} µs processor time a request, "
        f"{median(lambda one: one.per_second):,.0f} requests/s, p99 {median(lambda one: one.p99_ms):.1f} ms"
    )


def _idle_streams(server: Contestant, path: str, headers: dict[str, str]) -> str:
    """What each open stream adds to the memory, after it has got its first bytes."""
    request = workload.get(path, headers)
    with ExitStack() as stack:
        _open(server, request, stack, 50)  # what is made once for all of them
        before = sum(memory_kib(pid) for pid in server.pids)
        _open(server, request, stack, _STREAMS)
        grown = sum(memory_kib(pid) for pid in server.pids) - before
    return f"{grown / _STREAMS:.1f} KiB for each of {_STREAMS:,} idle streams"


def _open(server: Contestant, request: bytes, stack: ExitStack, number: int) -> None:
    for _ in range(number):
        stack.enter_context(Connection(server.port)).begin(request)
