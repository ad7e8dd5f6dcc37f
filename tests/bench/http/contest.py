"""Our server against the floors, case by case, in interleaved rounds.

The main figure is the server's processor time per request: the machine's other work, and a load process that is not
fast enough, move it far less than they move requests per second.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.http import floors
from tests.bench.http.cases import Case, WrongAnswer, make_cases
from tests.bench.http.hammer import Hammer
from tests.bench.http.processes import Process, pin, processor_time_s
from tests.bench.http.stage import Stage, open_stage
from tests.bench.http.wire import ask_once

SERVER_CORE, LOAD_CORE = 0, 1
OURS = "ours"
_WARM_UP = 1_000
_FEWEST_ROUNDS = 5
_PATIENCE_S = 25.0


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server process that answers one case."""

    name: str
    port: int
    pids: list[int]


@dataclass(frozen=True, slots=True)
class Round:
    """What one contestant did in one round."""

    cpu_us: float
    per_second: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds of one case, in order, by contestant."""

    case: Case
    rounds: dict[str, list[Round]]

    def cpu_us(self, name: str) -> float:
        """Median processor time per request."""
        return statistics.median(one.cpu_us for one in self.rounds[name])

    def per_second(self, name: str) -> float:
        return statistics.median(one.per_second for one in self.rounds[name])

    def ratio(self, floor: str) -> float:
        """How many requests we answer in the processor time of one of the floor's: the median over rounds."""
        pairs = zip(self.rounds[floor], self.rounds[OURS], strict=True)
        return statistics.median(theirs.cpu_us / ours.cpu_us for theirs, ours in pairs)

    def rate_ratio(self, floor: str) -> float:
        """The same from requests per second."""
        pairs = zip(self.rounds[floor], self.rounds[OURS], strict=True)
        return statistics.median(ours.per_second / theirs.per_second for theirs, ours in pairs)


def run(rounds: int, *, only: str = "") -> list[Result]:
    """Measure every case whose name contains `only`, on a server started for it."""
    with open_stage() as stage, Hammer(LOAD_CORE) as hammer:
        for pid in stage.serving_pids:
            pin(pid, SERVER_CORE)
        return [measure(stage, case, hammer, rounds) for case in make_cases(stage) if only in case.name]


def measure(stage: Stage, case: Case, hammer: Hammer, rounds: int) -> Result:
    """In every round each contestant answers the same requests, one after the other, each time another one first.

    On a machine that is too busy there are fewer rounds.
    """
    deadline = time.monotonic() + _PATIENCE_S
    with _contestants(stage, case) as contestants:
        result = Result(case, {one.name: [] for one in contestants})
        for one in contestants:
            play(one, case, hammer, _WARM_UP)
        for number in range(rounds):
            if number >= _FEWEST_ROUNDS and time.monotonic() > deadline:
                break
            first = number % len(contestants)
            for one in contestants[first:] + contestants[:first]:
                result.rounds[one.name].append(play(one, case, hammer, case.count))
    return result


def report(results: list[Result]) -> str:
    """The tables."""
    names = (OURS, *floors.KINDS)
    lines = [
        f"{'':24}{'processor time per request, µs':>33}{'x starlette':>13}{'x raw':>7}{'goal':>7}   bytes",
        f"{'':24}" + "".join(f"{name:>11}" for name in names),
    ]
    for result in results:
        case = result.case
        goal = "" if case.goal is None else f"{case.goal:.2f}"
        cells = "".join(f"{result.cpu_us(name):11.1f}" for name in names)
        ratios = f"{result.ratio('starlette'):13.2f}{result.ratio('raw'):7.2f}"
        lines.append(f"{case.name:24}{cells}{ratios}{goal:>7}{case.answer.size:8,}")
    lines += ["", f"{'':24}{'requests per second':>33}{'x starlette':>13}{'x raw':>7}{'p99 ms':>10}"]
    for result in results:
        cells = "".join(f"{result.per_second(name):11,.0f}" for name in names)
        ratios = f"{result.rate_ratio('starlette'):13.2f}{result.rate_ratio('raw'):7.2f}"
        slow = statistics.median(one.p99_ms for one in result.rounds[OURS])
        lines.append(f"{result.case.name:24}{cells}{ratios}{slow:10.1f}")
    return "\n".join(lines)


@contextmanager
def _contestants(stage: Stage, case: Case) -> Iterator[list[Contestant]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "answer.json"
        floors.save(case.answer, case.method, case.path, file)
        made = [Contestant(OURS, stage.port, stage.serving_pids)]
        for kind in floors.KINDS:
            process = stack.enter_context(Process("tests.bench.http.floors", kind, str(file)))
            pin(process.pid, SERVER_CORE)
            if ask_once(process.port, case.requests[0]).content != case.answer.content:
                raise WrongAnswer(f"the floor `{kind}` does not write the same bytes for {case.name}")
            made.append(Contestant(kind, process.port, [process.pid]))
        yield made


def play(one: Contestant, case: Case, hammer: Hammer, count: int) -> Round:
    """One contestant answers `count` requests."""
    before = processor_time_s(one.pids)
    hits = hammer.hit(one.port, case.requests, case.answer.size, status=case.answer.status, count=count)
    spent = processor_time_s(one.pids) - before
    return Round(spent / hits.requests * 1e6, hits.per_second, hits.p99_ms)
