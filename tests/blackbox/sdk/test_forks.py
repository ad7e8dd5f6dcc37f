"""Processes that fork: each child keeps its flags fresh by itself, and harms its parent's connection in no way."""

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import pytest
from tests.blackbox.sdk.conftest import KEY
from tests.blackbox.sdk.sdk_server import SdkServer
from tests.blackbox.server_process import surroundings, until
from tests.unit.sdk.documents import change, snapshot

from greenroom import AsyncClient, Client, ExposureOptions, Options

FORKS = 20

# The children of this process must not run pytest's or the test servers' ends, so they leave by `os._exit`.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


def in_child(work: Callable[[], bool]) -> int:
    """Run this in a fork; the exit status is 0 if it came out true."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1


def waits_for(client: Client, revision: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        client.bool_value("a", False)  # wakes the updates, as an application would
        if client.status.revision == revision:
            return client.bool_value("a", False) is True
        time.sleep(0.01)
    return False


def test_a_child_has_the_flags_at_once_and_gets_changes(server: SdkServer) -> None:
    """Its first evaluation starts its own updates; the parent's stream stays as it is."""
    with Client(server.url, KEY) as client:
        assert client.wait_ready()
        until(lambda: server.streams == 1, what="the stream")

        def work() -> bool:
            if client.bool_value("a", True) is not False:
                return False
            server.document = snapshot(2, a=True)  # only to know what to wait for: the parent's copy is published
            return waits_for(client, 2)

        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = 0 if work() else 2
            finally:
                os._exit(status)
        until(lambda: server.streams == 2, what="the child's stream")
        server.publish(change(1, 2, a=True), snapshot(2, a=True))
        _, status = os.waitpid(pid, 0)
        until(lambda: client.bool_value("a", False) is True, what="the change in the parent")
        until(lambda: server.streams == 1, what="the end of the child's stream")

        assert os.waitstatus_to_exitcode(status) == 0
        assert sum(path.endswith("/stream") for path, _ in server.requests) == 2


def test_a_client_that_was_never_started_starts_in_each_child(server: SdkServer) -> None:
    """As it is with an application that is loaded before the fork."""
    server.document = snapshot(2, a=True)
    client = Client(server.url, KEY)

    assert in_child(lambda: waits_for(client, 2)) == 0
    assert in_child(lambda: client.wait_ready() and client.bool_value("a", False)) == 0
    assert client.status.state == "starting"
    client.close()


def test_a_bootstrap_does_not_keep_updates_from_starting(server: SdkServer) -> None:
    """The first evaluation starts them, though it needs nothing."""
    server.document = snapshot(2, a=True)
    client = Client(server.url, KEY, Options(bootstrap=snapshot(1, a=False)))
    try:
        assert client.bool_value("a", True) is False
        until(lambda: client.bool_value("a", False) is True, 5, "the server's flags")
    finally:
        client.close()


def test_forks_at_any_moment_never_hang(server: SdkServer) -> None:
    """Also while updates are being applied and locks are held."""
    server.document = snapshot(2, a=True, filler="x" * 100_000)
    for turn in range(FORKS):
        with Client(server.url, KEY) as client:
            client.start()
            time.sleep(turn / FORKS / 50)  # not a wait: a fork somewhere within the start
            assert in_child(lambda client=client: waits_for(client, 2)) == 0  # type: ignore[misc]


def test_a_child_may_close_its_client(server: SdkServer) -> None:
    """The parent's goes on."""
    with Client(server.url, KEY) as client:
        assert client.wait_ready()
        until(lambda: server.streams == 1, what="the stream")

        def work() -> bool:
            client.close()
            return client.bool_value("a", True) is False

        assert in_child(work) == 0
        server.publish(change(1, 2, a=True), snapshot(2, a=True))
        until(lambda: client.bool_value("a", False) is True, what="the change")
        assert len(server.requests) == 2


def _evaluate(client: Client, pipe: Connection) -> None:
    pipe.send(waits_for(client, 2))


def test_multiprocessing(server: SdkServer) -> None:
    """With its own way to fork, and to end."""
    server.document = snapshot(2, a=True)
    with Client(server.url, KEY) as client:
        assert client.wait_ready()
        context = multiprocessing.get_context("fork")
        mine, theirs = context.Pipe()
        process = context.Process(target=_evaluate, args=(client, theirs))
        process.start()

        assert mine.poll(15)
        assert mine.recv() is True
        process.join(10)
        assert process.exitcode == 0


APPLICATION = """
from greenroom import Client

flags = Client()  # at import, before gunicorn forks
flags.bool_value("a", False)

def app(environ, start_response):
    import os, time
    time.sleep(0.05)  # so that requests at the same time need both workers
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {flags.bool_value('a', False)} {flags.status.revision}".encode()]
"""


@contextmanager
def gunicorn(folder: Path, server: SdkServer) -> Iterator[str]:
    """A prefork server with two workers, which loads the application before it forks."""
    (folder / "application.py").write_text(APPLICATION)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    environment = surroundings({"GREENROOM_URL": server.url, "GREENROOM_SDK_KEY": KEY})
    process = subprocess.Popen([*command, "application:app"], cwd=folder, env=environment, stderr=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        _, text = process.communicate(timeout=10)
    assert process.returncode == 0, text.decode()
    assert b"Traceback" not in text, text.decode()


def test_gunicorn_prefork(server: SdkServer, tmp_path: Path) -> None:
    """Both workers get the change and report what they served; gunicorn stops as quickly as ever."""
    with gunicorn(tmp_path, server) as url:
        until(lambda: len(_workers(url, "False")) == 2, 15, "both workers")
        server.publish(change(1, 2, a=True), snapshot(2, a=True))
        until(lambda: len(_workers(url, "True 2")) == 2, 10, "the change in both")

    counts = {name.split("-")[-2]: number for name, number in _counts(server).items()}
    assert len(counts) == 3
    assert sorted(counts.values())[0] == 1  # the parent's, at its import
    assert sum(counts.values()) >= 1 + 2 * 4


def _workers(url: str, text: str) -> set[str]:
    with ThreadPoolExecutor(4) as pool:
        answers = [reply.text for reply in pool.map(lambda _: httpx.get(url, timeout=5), range(4))]
    return {answer.split()[0] for answer in answers if answer.split(" ", 1)[1].startswith(text)}


@pytest.mark.parametrize(
    "ending", ["pass", "flags.close()", "raise SystemExit(0)", "import os; os.kill(os.getpid(), 15)"]
)
def test_the_interpreter_ends_at_once(server: SdkServer, ending: str) -> None:
    """With an open stream, and with a server that does not answer; nothing is written to stderr."""
    program = textwrap.dedent(
        f"""
        from greenroom import Client
        flags = Client({server.url!r}, "k")
        assert flags.wait_ready()
        hopeless = Client("http://127.0.0.1:9", "k").start()
        print("ready", flush=True)
        {ending}
        """
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, env=surroundings({}))

    assert done.stdout == b"ready\n"
    assert done.returncode in (0, -15)
    assert b"Traceback" not in done.stderr
    assert time.monotonic() - begun < 10


def test_nothing_is_imported_after_the_client_is_made(server: SdkServer, tmp_path: Path) -> None:
    """A fork in the middle of an import would leave a child with half a module, or without a codec, for ever."""
    when = {"op": "within", "values": [{"zone": "Europe/Amsterdam", "days": ["mon"], "from": "09:00", "to": "17:00"}]}
    server.document["flags"]["a"]["rules"] = [{"id": "r", "when": when, "serve": {"variant": "off"}}]
    program = textwrap.dedent(
        f"""
        import sys, time
        from greenroom import Client, ExposureOptions, Options
        options = Options(cache_dir={str(tmp_path / "c")!r})
        flags = Client({server.url.replace("127.0.0.1", "localhost")!r}, "k", options)
        before = set(sys.modules)
        assert flags.wait_ready() and flags.bool_details("a", True).variant == "off", flags.status
        flags.close()
        print(*sorted(set(sys.modules) - before))
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, env=surroundings({}))

    assert (done.stdout, done.stderr) == (b"\n", b"")


def _counts(server: SdkServer) -> dict[str, int]:
    """How many evaluations each instance reported, by its id."""
    sums: dict[str, int] = {}
    for report in list(server.reports):
        number = sum(row["count"] for row in report.get("counts", []) if row["flag"] == "a")
        sums[report["instance"]["id"]] = sums.get(report["instance"]["id"], 0) + number
    return sums


@pytest.mark.parametrize("has_spool", [False, True])
def test_a_child_reports_its_own_and_nothing_of_its_parents(server: SdkServer, tmp_path: Path, has_spool: bool) -> None:
    """As another instance; the parent loses nothing and tells nothing twice."""
    how = ExposureOptions(flush_interval_s=600, spool_dir=tmp_path / "spool" if has_spool else None)
    with Client(server.url, KEY, Options(exposures=how)) as client:
        assert client.wait_ready()
        for _ in range(3):
            client.bool_value("a", True)
        client.track("parent", {"targetingKey": "dora"})

        def work() -> bool:
            for _ in range(2):
                client.bool_value("a", True)
            client.track("child", {"targetingKey": "dora"})
            client.close()
            return client.status.unreported == 0

        assert in_child(work) == 0
        for _ in range(4):
            client.bool_value("a", True)

    events = [row["name"] for report in server.reports for row in report.get("events", [])]
    assert sorted(_counts(server).values()) == [2, 7]
    assert sorted(events) == ["child", "parent"]
    assert list(tmp_path.rglob("*.rows")) == []


def test_forks_while_much_is_told(server: SdkServer, tmp_path: Path) -> None:
    """At any moment, with locks held and files open: what everybody told is there once."""
    how = ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path / "spool")
    with Client(server.url, KEY, Options(exposures=how)) as client:
        assert client.wait_ready()
        for turn in range(FORKS):
            for _ in range(500):
                client.bool_value("a", True)
                client.track("parent", {"targetingKey": "dora"})

            def work() -> bool:
                for _ in range(50):
                    client.bool_value("a", True)
                client.close()
                return client.status.unreported == 0

            time.sleep(turn / FORKS / 10)  # not a wait: a fork somewhere between two collections
            assert in_child(work) == 0

    events = [row["id"] for report in server.reports for row in report.get("events", [])]
    assert sorted(_counts(server).values()) == [50] * FORKS + [500 * FORKS]
    assert len(events) == len(set(events)) == 500 * FORKS


def test_what_was_told_without_a_loop_is_no_childs(server: SdkServer) -> None:
    """A client of asyncio that was used at import has not started; its children begin with nothing all the same."""
    client = AsyncClient(server.url, KEY)
    client.bool_value("a", True)
    client.track("parent", {"targetingKey": "dora"})

    async def use() -> None:
        assert await client.wait_ready()
        client.bool_value("a", True)
        await client.close()

    assert in_child(lambda: asyncio.run(use()) is None) == 0
    assert list(_counts(server).values()) == [1]
    assert [report for report in server.reports if report.get("events")] == []


def _evaluate_thrice(client: Client) -> None:
    for _ in range(3):
        client.bool_value("a", True)


def test_children_of_multiprocessing_report_at_their_end(server: SdkServer) -> None:
    """Though they end without what is registered for the end of a process."""
    with Client(server.url, KEY, Options(exposures=ExposureOptions(flush_interval_s=600))) as client:
        assert client.wait_ready()
        process = multiprocessing.get_context("fork").Process(target=_evaluate_thrice, args=(client,))
        process.start()
        process.join(20)

        assert process.exitcode == 0
        assert sorted(_counts(server).values()) in ([3], [0, 3])


def test_tracking_alone_starts_a_client(server: SdkServer) -> None:
    """A service may know outcomes and ask for no flag."""
    client = Client(server.url, KEY, Options(exposures=ExposureOptions(flush_interval_s=0.1)))
    client.track("paid", {"targetingKey": "dora"})
    until(lambda: any(report.get("events") for report in server.reports), what="the report")
    client.close()


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "raise RuntimeError"])
def test_a_program_that_forgets_to_close_reports_all_the_same(server: SdkServer, kind: str, ending: str) -> None:
    """At its end; of a server that says nothing it takes leave after the time for it."""
    program = textwrap.dedent(
        f"""
        import asyncio
        from greenroom import {kind} as Kind
        flags = Kind({server.url!r}, "k")
        hopeless = Kind("http://127.0.0.1:9", "k")
        def use():
            for _ in range(5):
                flags.bool_value("a", True)
                hopeless.bool_value("a", True)
        async def use_in_loop():
            await flags.wait_ready()
            use()
        if Kind.__name__ == "Client":
            assert flags.wait_ready()
            use()
        else:
            asyncio.run(use_in_loop())
        {ending}
        """
    )
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, env=surroundings({}))

    assert list(_counts(server).values()) == [5]
    assert time.monotonic() - begun < 10
