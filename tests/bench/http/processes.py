"""The processes of a benchmark: started, pinned to a core, and the processor time and memory they took."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.blackbox.server_process import surroundings

_LISTENING = re.compile(rb"listening on http://127\.0\.0\.1:([0-9]+)")


class Process:
    """A Python module that says `listening on http://127.0.0.1:<port>` on standard output when it is ready."""

    def __init__(self, module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._settings = settings or {}
        self.port = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=surroundings(self._settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # the kernel shares a busy core among sessions, and our server has its own
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = _LISTENING.match(line)
            if found is not None:
                self.port = int(found.group(1))
                return self
        raise RuntimeError(f"{self._command} ended with {self._process.wait()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    for child in children.split():
        yield from family(int(child))


def pin(pid: int, core: int) -> None:
    """Let all threads of a process run on one core only; does nothing on a machine with one."""
    if core >= len(os.sched_getaffinity(0)):
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})


def processor_time_s(pids: Sequence[int]) -> float:
    """User and system time of these processes so far, exact to the nanosecond: Linux has a clock for each."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def memory_kib(pid: int, field: str = "Rss") -> int:
    """`Rss` or `Pss` now, or `VmHWM`, the most it ever was."""
    file = "status" if field.startswith("Vm") else "smaps_rollup"
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
    assert found is not None, f"no {field} in {file}"
    return int(found.group(1))
