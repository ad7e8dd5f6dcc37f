"""Kill -9 of applications with a spool, while the server is mostly away: less than a second of what they told is lost.

GREENROOM_SPOOL_CYCLES=200 for the long form.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from tests.blackbox.sdk.sdk_server import RECEIPT, SdkServer, Verdict
from tests.blackbox.sdk.spools import files_of_rows
from tests.blackbox.server_process import surroundings, until
from tests.unit.sdk.documents import Json

from greenroom import Client, ExposureOptions, Options

CYCLES: Final = int(os.environ.get("GREENROOM_SPOOL_CYCLES", "8"))
MAY_BE_LOST_S: Final = 1.0

# Each line of its history says what it is about to tell; the system keeps what was written, however the process ends.
APPLICATION: Final = """
import os, sys, time
from greenroom import Client, ExposureOptions, Options

url, spool, history, cycle = sys.argv[1:]
file = os.open(history, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
how = ExposureOptions(flush_interval_s=0.3, spool_dir=spool)
flags = Client(url, "k", Options(exposures=how))
assert flags.wait_ready()
print("ready", flush=True)
number = 0
while True:
    name = f"{cycle}-{number}"
    os.write(file, f"{time.monotonic()} {name}\\n".encode())
    flags.bool_value("a", True, {"targetingKey": name})
    flags.track(name, {"targetingKey": name})
    number += 1
    time.sleep(0.0005)
"""


class History(NamedTuple):
    """What the applications told, and when each was killed."""

    told: dict[str, float]
    killed: list[float]

    def must_be_there(self) -> set[str]:
        return {name for name, at in self.told.items() if at < self.killed[int(name.split("-")[0])] - MAY_BE_LOST_S}


class Moody:
    """A server that is away most of the time, and sometimes stores what it does not confirm."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.stored: dict[str, Json] = {}
        self.is_good = False

    def __call__(self, report: Json) -> Verdict | None:
        chance = 1.0 if self.is_good else self._dice.random()
        if chance < 0.6:
            return (503, "text/html", b"")
        for kind in ("counts", "exposures", "events"):
            self.stored |= {row["id"]: {**row, "kind": kind} for row in report.get(kind, [])}
        return None if chance < 0.8 else RECEIPT

    def of(self, kind: str, member: str) -> list[str]:
        return [row[member] for row in self.stored.values() if row["kind"] == kind]


def run_and_kill(server: SdkServer, folder: Path, cycle: int, dice: random.Random) -> float:
    """When the application of this cycle was killed."""
    arguments = [server.url, str(folder / "spool"), str(folder / "history"), str(cycle)]
    command = [sys.executable, "-c", textwrap.dedent(APPLICATION), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=surroundings({})) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(dice.uniform(0.3, 2.5))  # not a wait: any moment will do
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        assert process.wait() == -signal.SIGKILL
    return killed


@pytest.mark.slow
def test_killed_applications_lose_less_than_a_second(server: SdkServer, tmp_path: Path) -> None:
    """Exposures and outcomes by name, counts by number; nothing counts twice."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice, moody = random.Random(seed), Moody(seed)
    server.document["flags"]["a"]["track_exposures"] = "subjects"
    server.judge = moody
    killed = [run_and_kill(server, tmp_path, cycle, dice) for cycle in range(CYCLES)]
    moody.is_good = True
    how = ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path / "spool")
    with Client(server.url, "k", Options(exposures=how)) as client:
        client.wait_ready()
        until(lambda: not files_of_rows(tmp_path / "spool"), 60, "the rest")
        assert client.status.dropped <= CYCLES  # a row that was half written when its process was killed

    lines = [line.split() for line in (tmp_path / "history").read_text().splitlines()]
    history = History({name: float(at) for at, name in lines}, killed)
    told, must = set(history.told), history.must_be_there()
    for kind, member in (("events", "name"), ("exposures", "targeting_key")):
        got = Counter(moody.of(kind, member))
        lost = sorted(told - set(got), key=history.told.__getitem__)
        oldest = max((killed[int(name.split("-")[0])] - history.told[name] for name in lost), default=0.0)
        print(
            f"{kind}: {len(got)} of {len(told)} came; the oldest that did not was told {oldest:.2f} s before the kill"
        )
        assert sorted(must - set(got)) == []
        assert [name for name, times in got.items() if times > 1] == []
        assert set(got) <= told
    evaluations = sum(int(number) for number in moody.of("counts", "count"))
    assert len(must) <= evaluations <= len(told)


FULL_DISK: Final = """
import sys, time
from greenroom import Client, ExposureOptions, Options

url, spool = sys.argv[1:]
with Client(url, "k", Options(exposures=ExposureOptions(flush_interval_s=0.1, spool_dir=spool))) as flags:
    assert flags.wait_ready()
    for number in range(5_000):
        assert flags.bool_value("a", True) is False
        flags.track(f"event-{number}", {"targetingKey": "dora"})
    while "No space left" not in str(flags.status.warnings):
        time.sleep(0.01)
    print("full", flush=True)
    while flags.status.unreported:
        time.sleep(0.01)
    flags.track("late", {"targetingKey": "dora"})
    while "No space left" in str(flags.status.warnings):
        time.sleep(0.01)
    print("well", flags.status.dropped, flush=True)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no `unshare` to mount a small disk with")
def test_a_full_disk_costs_nothing_but_safety(server: SdkServer, tmp_path: Path) -> None:
    """What does not fit waits in memory and is told once; when there is room again, the disk is used again."""
    moody = Moody(1)
    server.judge = lambda report: moody(report) if moody.is_good else (503, "text/html", b"")
    script = 'mount -t tmpfs -o size=100k none "$0" && exec "$@"'
    small = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(tmp_path)]
    if subprocess.run([*small, "true"], capture_output=True).returncode != 0:
        pytest.skip("no disk may be mounted here")
    command = [*small, sys.executable, "-c", FULL_DISK, server.url, str(tmp_path / "spool")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=surroundings({})) as process:
        assert process.stdout is not None
        ending = threading.Timer(30, process.kill)  # so that a failure ends
        ending.start()
        assert process.stdout.readline() == b"full\n"
        moody.is_good = True
        assert process.stdout.readline() == b"well 0\n"
        assert process.wait(20) == 0
        ending.cancel()

    events = moody.of("events", "name")
    assert sorted(events) == sorted([*(f"event-{number}" for number in range(5_000)), "late"])
    assert sum(int(number) for number in moody.of("counts", "count")) == 5_000
