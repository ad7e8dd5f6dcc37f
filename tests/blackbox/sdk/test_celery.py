"""Celery's workers: the client is made when the application is imported, and its pool forks after that."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.blackbox.sdk.conftest import KEY
from tests.blackbox.sdk.sdk_server import SdkServer
from tests.blackbox.server_process import surroundings, until
from tests.unit.sdk.documents import change, snapshot

# The queue is a folder. Each task appends to a file which process served what, and when it is done it has told of it.
APPLICATION: Final = """
import os, time
from celery import Celery
from greenroom import Client, ExposureOptions, Options

flags = Client(options=Options(exposures=ExposureOptions(flush_interval_s=FLUSH_INTERVAL_S)))
flags.bool_value("a", False)

app = Celery("application", broker="filesystem://")
folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
app.conf.update(broker_transport_options=folders, task_ignore_result=True, worker_prefetch_multiplier=1)

@app.task
def evaluate():
    served = flags.bool_value("a", False)
    flags.track("task", {"targetingKey": "dora"})
    time.sleep(0.05)  # so that tasks at the same time need both processes
    with open("served", "a") as file:
        file.write(f"{os.getpid()} {served} {flags.status.revision}\\n")
"""
SEND: Final = "from application import evaluate; [evaluate.delay() for _ in range(8)]"
_WITHIN_S: Final = 60.0


class Worker:
    """One worker with a pool of two processes, and those who send it tasks."""

    def __init__(self, folder: Path, server: SdkServer) -> None:
        self._folder = folder
        self._environment = surroundings({"GREENROOM_URL": server.url, "GREENROOM_SDK_KEY": KEY})
        for name in ("queue", "control"):
            (folder / name).mkdir()

    def send(self) -> None:
        """Eight tasks; whoever sends them imports the application too, and so has a client of their own."""
        subprocess.run([sys.executable, "-c", SEND], cwd=self._folder, env=self._environment, check=True, timeout=60)

    def served(self) -> list[tuple[str, str]]:
        """Which process served what, task by task."""
        file = self._folder / "served"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(pid, text) for pid, _, text in (line.partition(" ") for line in lines)]

    def pids(self, text: str) -> set[str]:
        return {pid for pid, served in self.served() if served == text}

    @contextmanager
    def running(self) -> Iterator[None]:
        """From its start to its end, which it is asked for as an operator does."""
        command = [sys.executable, "-m", "celery", "-A", "application", "worker", "--concurrency", "2"]
        options = ["--pool", "prefork", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
        process = subprocess.Popen(
            [*command, *options],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield
        finally:
            process.terminate()
            _, said = process.communicate(timeout=_WITHIN_S)
        assert process.returncode == 0, said
        assert "Traceback" not in said, said


def told(server: SdkServer) -> int:
    """How many tasks the server has heard of, each under an id of its own."""
    ids = [row["id"] for report in list(server.reports) for row in report.get("events", [])]
    assert len(ids) == len(set(ids))
    return len(ids)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("flush_interval_s", [0.3, 600], ids=["while it runs", "when it ends"])
def test_a_prefork_worker(server: SdkServer, tmp_path: Path, flush_interval_s: float) -> None:
    """Both processes of the pool serve what is true, get the change, and tell all that they served, once."""
    (tmp_path / "application.py").write_text(APPLICATION.replace("FLUSH_INTERVAL_S", str(flush_interval_s)))
    worker = Worker(tmp_path, server)
    with worker.running():
        for text, before in (("False 1", None), ("True 2", change(1, 2, a=True))):
            if before is not None:
                server.publish(before, snapshot(2, a=True))
            until(lambda text=text: _both_say(worker, text), _WITHIN_S, f"`{text}` from both processes")  # type: ignore[misc]
        until(lambda: not list((tmp_path / "queue").iterdir()), _WITHIN_S, "the end of the queue")
        if flush_interval_s < 1:
            until(lambda: told(server) == len(worker.served()), _WITHIN_S, "what was served")

    assert told(server) == len(worker.served())
    instances = {report["instance"]["id"] for report in server.reports if report.get("events")}
    assert len(instances) == 2


def _both_say(worker: Worker, text: str) -> bool:
    worker.send()
    return len(worker.pids(text)) == 2
