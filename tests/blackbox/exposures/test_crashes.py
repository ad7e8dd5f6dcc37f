"""Kill -9 of server, PostgreSQL and application in turn, and PostgreSQL frozen, while reports come in.

A fifth of the reports is sent again. 50 faults take a minute and a half; GREENROOM_CRASH_CYCLES=200 is the long form.
"""

import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from tests.api.exposures.batches import PATH, batch, count, exposure
from tests.blackbox.authoring import configuration_path
from tests.blackbox.history import READ, WRITE, History, Writes
from tests.blackbox.own_postgres import OwnPostgres, fetch
from tests.blackbox.server_process import ServerProcess, free_port, surroundings, until
from tests.blackbox.venue import ENVIRONMENT, FLAG, PROJECT, Venue, open_venue

CYCLES: Final = int(os.environ.get("GREENROOM_CRASH_CYCLES", "50"))
SENDERS: Final = 3
ROWS: Final = 50
SENT_AGAIN: Final = 0.2
FAULTS: Final = ("server", "postgres", "application", "freeze")
# The first of so many freezes lasts until the server gives up; the others end while everybody waits for an answer.
LONG_FREEZE: Final = 12
# What an application told within this time before it was killed may be lost with it.
MAY_BE_LOST_S: Final = 1.0
_WITHIN_S: Final = 60.0
_HANGS_AFTER_S: Final = 0.1

# Each line of its diary says what it is about to tell; the system keeps what was written, however the process ends.
APPLICATION: Final = """
import os, sys, threading, time
from greenroom import Client, ExposureOptions, Options

url, key, spool, diary, name = sys.argv[1:]
file = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
is_over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
flags = Client(url, key, Options(exposures=ExposureOptions(flush_interval_s=0.3, spool_dir=spool)))
flags.wait_ready()
print("ready", flush=True)
number = 0
while not is_over.wait(0.01):
    subject = f"{name}-{number}"
    os.write(file, f"{time.monotonic()} {subject}\\n".encode())
    flags.track("crash", {"targetingKey": subject})
    number += 1
while flags.status.unreported:
    time.sleep(0.01)
flags.close()
print("told", flags.status.dropped, flush=True)
"""


class Sender(threading.Thread):
    """An application that reports without end; what was not answered it sends again under the same ids."""

    def __init__(self, number: int, venue: Venue, history: History) -> None:
        super().__init__(name=f"sender-{number}", daemon=True)
        self.acknowledged = 0
        self.refused = 0
        self.waits_since: float | None = None
        self.is_over = threading.Event()
        self._history = history
        self._dice = random.Random(f"{history.seed}-{number}")
        headers = {"Authorization": f"Bearer {venue.key}"}
        self._http = httpx.Client(base_url=venue.server.url, headers=headers, timeout=10)

    def run(self) -> None:
        with self._http:
            while not self.is_over.is_set():
                rows = [exposure(f"user-{number}") for number in range(ROWS)]
                report = batch(self.name, exposures=rows, counts=[count(ROWS, flag="crash-test")])
                ids = [row["id"] for row in rows]
                while not self._send(report, ids):
                    self.is_over.wait(0.05)
                self.acknowledged += 1
                if self._dice.random() < SENT_AGAIN:
                    self._send(report, ids)
                self._look()

    def _send(self, report: dict[str, object], ids: list[str]) -> bool:
        self._history.add(self.name, "invoke", WRITE, ids)
        self.waits_since = time.monotonic()
        try:
            status = self._http.post(PATH, json=report).status_code
        except httpx.TransportError:
            status = 0
        self.waits_since = None
        self.refused += status == 503
        # Away: the batch may be there all the same.
        self._history.add(self.name, "ok" if status == 202 else "info", WRITE)
        assert status in (202, 503, 0), f"a batch was answered {status}"
        return status == 202

    def _look(self) -> None:
        try:
            reply = self._http.get("/api/v1/sdk/snapshot")
        except httpx.TransportError:
            return
        if reply.status_code == 200:
            self._history.add(self.name, "ok", READ, [reply.headers["etag"].strip('"')])


class Applications:
    """One after the other, with the same spool; each is killed but the last."""

    def __init__(self, venue: Venue, folder: Path) -> None:
        self._venue, self._folder = venue, folder
        self._killed: list[float] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        arguments = [self._venue.server.url, self._venue.key, str(self._folder / "spool"), str(self._folder / "diary")]
        command = [sys.executable, "-c", textwrap.dedent(APPLICATION), *arguments, str(len(self._killed))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=surroundings({}), text=True)
        assert self._line() == "ready"

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._killed.append(time.monotonic())
        self._process.communicate()

    def finish(self) -> int:
        """Let the last one tell all that is left; how many rows could not be read again."""
        assert self._process is not None
        output, _ = self._process.communicate(timeout=_WITHIN_S)
        (_, dropped) = output.split()
        return int(dropped)

    def tell(self, history: History) -> None:
        """What they told becomes part of the history: what was told in time before a kill counts as acknowledged."""
        for line in (self._folder / "diary").read_text().splitlines():
            at, subject = line.split()
            number = int(subject.split("-")[0])
            is_safe = number == len(self._killed) or float(at) < self._killed[number] - MAY_BE_LOST_S
            name = f"application-{number}"
            history.add(name, "invoke", WRITE, [subject], float(at))
            history.add(name, "ok" if is_safe else "info", WRITE, at=float(at))

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def postgres(data_dir_factory: Callable[[], Path]) -> Iterator[OwnPostgres]:
    with OwnPostgres(data_dir_factory()) as postgres:
        yield postgres


@pytest.fixture
def own_database_url(postgres: OwnPostgres) -> str:
    return postgres.make_database()


@pytest.fixture
def venue(own_database_url: str, data_dir: Path) -> Iterator[Venue]:
    """Always at the same address, so that everybody finds it again."""
    with ServerProcess(data_dir, database_url=own_database_url, port=free_port()) as server:
        yield open_venue(server)


@pytest.fixture
def applications(venue: Venue, tmp_path: Path) -> Iterator[Applications]:
    applications = Applications(venue, tmp_path)
    applications.start()
    yield applications
    applications.close()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history", int(os.environ.get("GREENROOM_SEED", random.randrange(2**32))))
    yield history
    history.close()


@contextmanager
def sending(venue: Venue, history: History) -> Iterator[list[Sender]]:
    """Senders at work for the length of the block; what they have begun they finish."""
    senders = [Sender(number, venue, history) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    try:
        yield senders
    finally:
        for sender in senders:
            sender.is_over.set()
    for sender in senders:
        sender.join(_WITHIN_S)
        assert not sender.is_alive(), f"{sender.name} does not get its batch in"


def kill_and_start(victim: str, venue: Venue, postgres: OwnPostgres, applications: Applications) -> None:
    """Kill -9, and up again at once."""
    if victim == "server":
        venue.server.kill()
        venue.server.start()
    elif victim == "postgres":
        postgres.kill()
        postgres.start()
    else:
        applications.kill()
        applications.start()


def freeze_and_go_on(postgres: OwnPostgres, senders: list[Sender], *, is_long: bool) -> None:
    """Stop PostgreSQL wherever it is, until reports hang in it, or until the first is refused; nothing is restarted."""
    refused = sum(sender.refused for sender in senders)
    with postgres.frozen():
        if is_long:
            until(lambda: sum(sender.refused for sender in senders) > refused, _WITHIN_S, "a refusal")
        else:
            until(lambda: all(map(_hangs, senders)), _WITHIN_S, "reports that hang")


def _hangs(sender: Sender) -> bool:
    since = sender.waits_since
    return since is not None and time.monotonic() > since + _HANGS_AFTER_S


def switched(venue: Venue, *, on: bool) -> bool:
    """Make a new revision, if the server can."""
    with venue.author() as author:
        path = configuration_path(PROJECT, ENVIRONMENT, FLAG)
        return author.http.post(f"{path}/{'enable' if on else 'disable'}").is_success


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * CYCLES)
def test_what_was_acknowledged_outlives_every_crash(
    venue: Venue, postgres: OwnPostgres, own_database_url: str, applications: Applications, history: History
) -> None:
    """It is stored exactly once, what is stored was acknowledged or nobody knows, and no revision comes back."""
    dice = random.Random(history.seed)
    with sending(venue, history) as senders:
        for cycle in range(CYCLES):
            enough = sum(sender.acknowledged for sender in senders) + dice.randrange(3, 12)
            until(lambda enough=enough: sum(one.acknowledged for one in senders) >= enough, _WITHIN_S, "new batches")  # type: ignore[misc]
            fault, turn = FAULTS[cycle % len(FAULTS)], cycle // len(FAULTS)
            if fault == "freeze":
                freeze_and_go_on(postgres, senders, is_long=turn % LONG_FREEZE == 0)
            else:
                kill_and_start(fault, venue, postgres, applications)
            until(lambda on=cycle % 2 == 0: switched(venue, on=on), _WITHIN_S, "a new revision")  # type: ignore[misc]
    dropped = applications.finish()
    applications.tell(history)

    exposures = fetch(own_database_url, "SELECT id FROM exposure")
    outcomes = fetch(own_database_url, "SELECT targeting_key FROM outcome")
    writes = Writes.of(history.records)
    print(
        f"seed {history.seed}: {len(writes.acknowledged)} acknowledged, {len(writes.unknown)} unknown, {CYCLES} faults"
    )
    history.must_agree(str(row[0]) for row in (*exposures, *outcomes))
    (counted,) = fetch(own_database_url, "SELECT sum(count) FROM exposure_count WHERE flag = 'crash-test'")
    assert int(str(counted[0])) == len(exposures), "each batch counts as many as it has rows, in one transaction"
    assert dropped <= CYCLES, "more than a row for each kill, half written, could not be read again"
