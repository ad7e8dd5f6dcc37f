"""The listeners: one process that holds thousands of event streams open and notes when each of them gets news.

    python -m tests.bench.streams.listeners

reads one order a line from standard input and answers each with one line. Its clock is the system's monotonic one, so
that its moments can be compared with those of other processes.
"""

import asyncio
import base64
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import uvloop
from tests.bench.http.processes import pin

# Ports of one address to another one's port; past that the system has none left.
MOST: Final = 25_000
_AT_ONCE: Final = 100
_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Heard:
    """When the listeners got the news, and how many of them did not or are gone."""

    moments: list[float]
    missing: int
    gone: int


class Listeners:
    """The process, as its master sees it."""

    def __init__(self, core: int | None = None) -> None:
        self._core = core

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if self._core is not None:
            pin(self._process.pid, self._core)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def open(self, port: int, request: bytes, count: int) -> float:
        """Open so many more streams; how many seconds that took."""
        seconds = self._order(do="open", port=port, request=base64.b64encode(request).decode(), count=count)["seconds"]
        return float(seconds)

    def listen(self) -> None:
        """Forget what was heard; the next events are the news."""
        self._order(do="listen")

    def heard(self) -> Heard:
        """Wait until every open stream got its news, but not for ever."""
        return Heard(**self._order(do="hear"))

    def _order(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"wrong": "the listeners ended"}')
        if "wrong" in answer:
            raise RuntimeError(answer["wrong"])
        return answer


class _Hall:
    """All streams of the process."""

    def __init__(self) -> None:
        self.open = 0
        self.gone = 0
        self.moments: list[float] = []
        self.is_complete = asyncio.Event()

    def hear(self) -> None:
        self.moments.append(time.monotonic())
        if len(self.moments) >= self.open:
            self.is_complete.set()


class _Stream(asyncio.Protocol):
    """INVARIANT: news are an event whose first line comes in one piece."""

    __slots__ = ("begun", "hall", "transport")

    def __init__(self, hall: _Hall, begun: "asyncio.Future[None]") -> None:
        self.hall = hall
        self.begun: asyncio.Future[None] | None = begun

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.begun is None:
            if b"event: change" in data:
                self.hall.hear()
        elif data.startswith(b"HTTP/1.1 200 "):
            self.hall.open += 1
            self.begun.set_result(None)
            self.begun = None
        elif not self.begun.done():
            self.begun.set_exception(RuntimeError(f"a stream begins with {data[:200]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.begun is None:
            self.hall.open -= 1
            self.hall.gone += 1
        elif not self.begun.done():
            self.begun.set_exception(RuntimeError("the server closed a stream before it began"))


async def _open(hall: _Hall, port: int, request: bytes, count: int) -> dict[str, Any]:
    if hall.open + count > MOST:
        raise ValueError(f"one process listens to {MOST} streams at most")
    loop, left = asyncio.get_running_loop(), iter(range(count))

    async def work() -> None:
        for _ in left:
            begun = loop.create_future()
            transport, _ = await loop.create_connection(lambda begun=begun: _Stream(hall, begun), "127.0.0.1", port)  # type: ignore[misc]
            transport.write(request)
            await begun

    started = time.monotonic()
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return {"seconds": time.monotonic() - started}


async def _carry_out(hall: _Hall, order: dict[str, Any]) -> dict[str, Any]:
    match order.pop("do"):
        case "open":
            return await _open(hall, order["port"], base64.b64decode(order["request"]), order["count"])
        case "listen":
            hall.moments, hall.is_complete = [], asyncio.Event()
            return {}
        case _:
            with suppress(TimeoutError):
                await asyncio.wait_for(hall.is_complete.wait(), _WITHIN_S)
            return {"moments": hall.moments, "missing": max(0, hall.open - len(hall.moments)), "gone": hall.gone}


async def _obey() -> None:
    loop, hall = asyncio.get_running_loop(), _Hall()
    orders = asyncio.StreamReader(limit=2**20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        try:
            answer = await _carry_out(hall, json.loads(line))
        except Exception as error:
            answer = {"wrong": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)


def allow_many_files() -> None:
    """As many as the system lets this process have without asking."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    allow_many_files()
    uvloop.run(_obey())
