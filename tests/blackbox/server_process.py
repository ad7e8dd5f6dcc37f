"""A real `greenroom-server` of a test's own: started, listened to, stopped, killed and started again."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import httpx

STARTED_WITHIN_S = 40.0
STOPPED_WITHIN_S = 15.0

_LISTENING = re.compile(r"listening on (http://[0-9.]+:[0-9]+)")
_SETUP_TOKEN = re.compile(r"set-up token: (gr_set_[0-9A-Za-z]+)")


class ServerProcess:
    """One server, its workers included, on one data folder and perhaps one database; `start` may be repeated."""

    def __init__(
        self, data_dir: Path, *, database_url: str | None = None, workers: int = 1, port: int = 0, **settings: str
    ) -> None:
        self._data_dir = data_dir
        self._port = port
        self._workers = workers
        self._settings = {f"GREENROOM_{name.upper()}": value for name, value in settings.items()}
        if database_url is not None:
            self._settings["GREENROOM_DATABASE_URL"] = database_url
        self._process: subprocess.Popen[str] | None = None
        self._output = _Output()
        self.url = ""

    @property
    def process(self) -> "subprocess.Popen[str]":
        assert self._process is not None, "the server was not started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def text(self) -> str:
        """All that this server wrote since it was last started, for a failing test to show."""
        return self._output.text

    def start(self) -> Self:
        """Start it and wait until it accepts connections."""
        self.begin()
        try:
            self.wait_until_listening()
        except BaseException:
            self.kill()
            raise
        return self

    def wait_until_listening(self) -> None:
        """After `begin`: wait until it accepts connections, and know where."""
        self.url = self._found(_LISTENING, within_s=STARTED_WITHIN_S)

    def begin(self) -> None:
        """Start it without waiting."""
        assert not self.is_running, "the server runs already"
        command = [sys.executable, "-m", "greenroom_server", "serve", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--data-dir", str(self._data_dir), "--workers", str(self._workers)]
        self._process = subprocess.Popen(
            command,
            env=surroundings(self._settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._output = _Output(self._process.stdout, self._process.stderr)

    def workers(self) -> list[int]:
        """The processes that this one started."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def set_up_token(self) -> str:
        """The token that the server prints while nobody has set it up."""
        return self._found(_SETUP_TOKEN, within_s=STARTED_WITHIN_S)

    def set_up(self) -> str:
        """Use the set-up token; the text of the first administrator's token."""
        reply = httpx.post(f"{self.url}/api/v1/setup", json={"setup_token": self.set_up_token()}, timeout=10)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["token"])

    def terminate(self, within_s: float = STOPPED_WITHIN_S) -> int:
        """Ask it to stop (SIGTERM) and wait; its exit status."""
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
        return self._ended(within_s)

    def kill(self) -> None:
        """Kill -9, the workers included; an embedded PostgreSQL has a session of its own and lives on."""
        if self._process is None:
            return
        # The group is the process's own and outlives it as long as a worker does.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._ended(STOPPED_WITHIN_S)

    def close(self) -> None:
        """End it, gently if it will: for the end of a test."""
        try:
            with suppress(subprocess.TimeoutExpired):
                self.terminate()
        finally:
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is not None:
            print(f"--- the server wrote:\n{self.text[-20_000:]}")

    def _found(self, pattern: re.Pattern[str], *, within_s: float) -> str:
        deadline = time.monotonic() + within_s
        while (found := pattern.search(self.text)) is None:
            ended = not self.is_running
            if ended:
                self._output.drain()
                if (found := pattern.search(self.text)) is not None:
                    break
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"`{pattern.pattern}` did not come; the server wrote:\n{self.text[-8000:]}")
            self._output.wait(0.2)
        return found.group(1)

    def _ended(self, within_s: float) -> int:
        status = self.process.wait(within_s)
        self._output.drain()
        return status


class _Output:
    """What a process writes, read in threads so that it never waits for its reader."""

    def __init__(self, *streams: IO[str] | None) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        readers = [stream for stream in streams if stream is not None]
        self._threads = [threading.Thread(target=self._read, args=(stream,), daemon=True) for stream in readers]
        for thread in self._threads:
            thread.start()

    @property
    def text(self) -> str:
        with self._news:
            return "".join(self._lines)

    def wait(self, timeout_s: float) -> None:
        with self._news:
            self._news.wait(timeout_s)

    def drain(self) -> None:
        for thread in self._threads:
            thread.join(2)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()


def surroundings(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any setting of the server's but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GREENROOM_", "OTEL_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def free_port() -> int:
    """A port that nobody listens on, for a server that must be found again where it was."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], within_s: float = 10.0, what: str = "it") -> float:
    """Wait for a condition; how long that took. A condition that cannot be asked yet does not hold yet."""
    begun = time.monotonic()
    while True:
        with suppress(httpx.TransportError):
            if condition():
                return time.monotonic() - begun
        assert time.monotonic() - begun < within_s, f"{what} did not happen within {within_s:g} s"
        time.sleep(0.01)
