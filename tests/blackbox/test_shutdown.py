"""SIGTERM ends a server soon and politely, whatever is open; kill -9 costs nothing that was acknowledged."""

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.blackbox.event_stream import EventStream
from tests.blackbox.own_postgres import fetch, holding
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import ENVIRONMENT, FLAG, PROJECT, open_venue

from greenroom_server.database.postmaster import find_postmaster

STREAMS = 20
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def postmaster_pid(data_dir: Path) -> int | None:
    """The embedded PostgreSQL of this data folder, if it runs."""
    found = find_postmaster(data_dir.resolve() / "postgres" / "cluster")
    return None if found is None else found.pid


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_are_told_and_closed(make_database: Callable[[], str], data_dir: Path, workers: int) -> None:
    """Every SDK's stream says `goodbye` with a delay, every browser's ends, and the server does within ten seconds."""
    with ServerProcess(data_dir, database_url=make_database(), workers=workers) as server, ExitStack() as stack:
        venue = open_venue(server)
        with venue.application() as app:
            until(lambda: app.evaluate_all().status_code == 200, what="the first evaluation")
            target = app.evaluate_all().json()["eventStreams"][0]["endpoint"]["requestUri"]
        url = f"{server.url}/api/v1/sdk/stream"
        sdks = [stack.enter_context(EventStream(url, venue.key)) for _ in range(STREAMS)]
        browsers = [stack.enter_context(EventStream(f"{server.url}{target}")) for _ in range(STREAMS)]
        for stream in sdks + browsers:
            stream.wait(lambda stream: bool(stream.events))

        begun = time.monotonic()
        status = server.terminate(within_s=10)
        took_s = time.monotonic() - begun

        for stream in sdks + browsers:
            stream.wait(lambda stream: stream.has_ended, within_s=1)
    assert took_s < 10
    assert status == 0
    goodbyes = [stream.events[-1] for stream in sdks]
    assert {event.name for event in goodbyes} == {"goodbye"}
    assert all(json.loads(event.data)["delay_ms"] >= 0 for event in goodbyes)


def test_a_write_that_is_under_way_is_answered(make_database: Callable[[], str], data_dir: Path) -> None:
    """It waits for a lock when the end is announced; it still gets its answer."""
    database_url = make_database()
    with ServerProcess(data_dir, database_url=database_url) as server, ThreadPoolExecutor(1) as threads:
        venue = open_venue(server)
        with venue.author() as author:
            with holding(database_url, "SELECT 1 FROM project FOR UPDATE"):
                writing = threads.submit(author.switch, PROJECT, ENVIRONMENT, FLAG, on=True)
                until(lambda: bool(fetch(database_url, WAITING)), what="the write's waiting")
                server.process.terminate()
                until(lambda: "Shutting down" in server.text, what="the shutdown's begin")
            assert writing.result(10)["enabled"] is True
        assert server.terminate(within_s=10) == 0


def test_the_embedded_database_stops_with_the_server(data_dir: Path) -> None:
    """SIGTERM leaves no process behind, and status 0."""
    with ServerProcess(data_dir) as server:
        assert postmaster_pid(data_dir) is not None
        status = server.terminate()

        assert status == 0
        assert postmaster_pid(data_dir) is None


def test_an_orphaned_database_is_adopted(data_dir: Path) -> None:
    """After kill -9 the embedded PostgreSQL lives on; the next server takes it over, data and all, and stops it."""
    with ServerProcess(data_dir) as server:
        venue = open_venue(server)
        venue.switch(on=True)
        orphan = postmaster_pid(data_dir)
        server.kill()
        assert orphan is not None
        assert postmaster_pid(data_dir) == orphan

        server.start()
        assert postmaster_pid(data_dir) == orphan
        with venue.application() as app:
            assert app.value(FLAG) is True
        server.terminate()
        assert postmaster_pid(data_dir) is None


def test_nothing_acknowledged_is_lost_when_all_is_killed(data_dir: Path) -> None:
    """Server and embedded PostgreSQL die at once, right after a write was answered: the next start has it."""
    with ServerProcess(data_dir) as server:
        venue = open_venue(server)
        venue.switch(on=True)
        postmaster = postmaster_pid(data_dir)
        assert postmaster is not None
        server.kill()
        os.kill(postmaster, signal.SIGKILL)

        server.start()
        assert postmaster_pid(data_dir) not in (None, postmaster)
        with venue.application() as app:
            assert app.value(FLAG) is True
