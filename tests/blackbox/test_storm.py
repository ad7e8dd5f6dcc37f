"""Kill -9 of a server with many SDK clients on it: all of them come back by themselves, and nobody else feels it.

GREENROOM_STORM_CLIENTS=5000 for the long form, which prints its figures.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.bench.http.processes import memory_kib
from tests.blackbox.server_process import ServerProcess, free_port, until
from tests.blackbox.storm import Crowd
from tests.blackbox.venue import FLAG, Venue, open_venue

CLIENTS: Final = int(os.environ.get("GREENROOM_STORM_CLIENTS", "300"))
ADMITTED_PER_S: Final = max(CLIENTS // 10, 60)
AWAY_S: Final = 1.0
MOST_BACK_S: Final = 30.0
ALL_BACK_S: Final = 60.0
_ASKED_EVERY_S: Final = 0.02


@pytest.fixture
def venue(make_database: Callable[[], str], data_dir: Path) -> Iterator[Venue]:
    """A server with room for exactly this crowd, always at the same address."""
    settings: dict[str, Any] = {
        "stream_cap": str(CLIENTS),
        "stream_admissions_per_s": str(ADMITTED_PER_S),
        "log_level": "warning",
    }
    with ServerProcess(data_dir, database_url=make_database(), port=free_port(), **settings) as server:
        yield open_venue(server)


@contextmanager
def asking(venue: Venue) -> Iterator[list[tuple[int, float]]]:
    """Somebody evaluates all the while: status and seconds of each."""
    asked: list[tuple[int, float]] = []
    is_over = threading.Event()

    def ask() -> None:
        with venue.application() as application:
            while not is_over.wait(_ASKED_EVERY_S):
                begun = time.monotonic()
                status = application.evaluate(FLAG).status_code
                asked.append((status, time.monotonic() - begun))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        is_over.set()
        thread.join()


def over_cap(venue: Venue) -> float:
    """How many seconds it takes to be refused, when there is no room for one more; the median."""
    spent = []
    with venue.application() as application:
        for _ in range(20):
            begun = time.monotonic()
            reply = application.http.get("/api/v1/sdk/stream")
            spent.append(time.monotonic() - begun)
            assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
    return statistics.median(spent)


@pytest.mark.slow
@pytest.mark.timeout(120 + CLIENTS / 20)
def test_everybody_comes_back_after_a_crash(venue: Venue) -> None:
    """Each at its own pace, while evaluation goes on and what is too much is refused at once."""
    with Crowd(venue.server.url, venue.key, CLIENTS, starts_per_s=ADMITTED_PER_S * 3 // 5) as crowd:
        until(lambda: crowd.tell().streams == CLIENTS, ALL_BACK_S + CLIENTS / ADMITTED_PER_S, "the crowd's arrival")
        before = memory_kib(venue.server.process.pid)
        venue.server.kill()
        until(lambda: crowd.tell().streams == 0, what="the end of all streams")
        time.sleep(AWAY_S)  # not a wait: so long there is no server
        crowd.mark()
        begun = time.monotonic()
        venue.server.start()
        with asking(venue) as asked:
            until(lambda: crowd.tell().streams == CLIENTS, ALL_BACK_S, "everybody's return")
        told = crowd.tell()
        grown = memory_kib(venue.server.process.pid, "VmHWM") / before
        refusal = over_cap(venue)

    back, touched = (sorted(at - begun for at in times) for times in (told.opened, told.in_touch))
    waited = sorted(seconds for _, seconds in asked)
    most = int(CLIENTS * 0.95) - 1
    print(
        f"{CLIENTS} clients: streams of 95 % back after {back[most]:.1f} s, of all after {back[-1]:.1f} s;"
        f" 95 % in touch after {touched[most]:.1f} s, all after {touched[-1]:.1f} s;"
        f" {told.busiest_s()} streams in the busiest second; {len(told.refusals)} attempts refused,"
        f" one past the cap in {refusal * 1000:.1f} ms (median);"
        f" evaluation meanwhile p99 {waited[int(len(waited) * 0.99)] * 1000:.0f} ms; memory {grown:.2f} x of before"
    )
    assert {status for status, _ in asked} == {200}
    assert back[most] <= MOST_BACK_S
    assert grown <= 1.3
