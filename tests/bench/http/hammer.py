"""The load: a process of its own that keeps connections busy with prebuilt bytes; uvloop, and no HTTP library.

    python -m tests.bench.http.hammer

reads one order a line from standard input and answers each with one line.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import uvloop
from tests.bench.http.processes import pin


@dataclass(frozen=True, slots=True)
class Hits:
    """What one order came to. `seconds` is the whole of it, the latencies are of single requests."""

    seconds: float
    requests: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Hammer:
    """The load process, as its master sees it."""

    def __init__(self, core: int | None = None) -> None:
        self._core = core

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._core is not None:
            pin(self._process.pid, self._core)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def hit(self, port: int, requests: list[bytes], size: int, *, status: int, count: int) -> Hits:
        """One connection for each of the requests, `count` responses in all, each of `size` bytes; others raise."""
        order = {
            "port": port,
            "requests": [base64.b64encode(request).decode() for request in requests],
            "size": size,
            "status": status,
            "count": count,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        result = json.loads(self._process.stdout.readline() or '{"wrong": "the load process ended"}')
        if "wrong" in result:
            raise RuntimeError(result["wrong"])
        return Hits(**result)


class _Round:
    """One order under way."""

    def __init__(self, order: dict[str, Any], is_over: "asyncio.Future[None]") -> None:
        self.prefix = f"HTTP/1.1 {order['status']} ".encode()
        self.size: int = order["size"]
        self.left: int = order["count"]
        self.latencies: list[float] = []
        self.is_over = is_over

    def fail(self, why: str) -> None:
        if not self.is_over.done():
            self.is_over.set_exception(RuntimeError(why))


class _Connection(asyncio.Protocol):
    def __init__(self, work: _Round, request: bytes) -> None:
        self._work = work
        self._request = request
        self._received = 0
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        work = self._work
        if not self._received and not data.startswith(work.prefix):
            return work.fail(f"a response begins with {data[:100]!r}")
        self._received += len(data)
        if self._received < work.size:
            return
        if self._received > work.size:
            return work.fail(f"a response of {self._received} bytes instead of {work.size}")
        self._received = 0
        now = time.perf_counter()
        work.latencies.append(now - self._sent_at)
        work.left -= 1
        if work.left > 0:
            self._sent_at = now
            self._transport.write(self._request)
        elif not work.is_over.done():
            work.is_over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._work.fail("the server closed a connection")

    def close(self) -> None:
        self._transport.close()


async def _carry_out(order: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    work = _Round(order, loop.create_future())
    connections = []
    for request in map(base64.b64decode, order["requests"]):
        _, connection = await loop.create_connection(
            lambda request=request: _Connection(work, request),  # type: ignore[misc]
            "127.0.0.1",
            order["port"],
        )
        connections.append(connection)

    def stay_awake() -> None:
        # A load process that sleeps must be woken by the server's writes, the more often the slower the server is.
        if not work.is_over.done():
            loop.call_soon(stay_awake)

    begun = time.perf_counter()
    stay_awake()
    for connection in connections:
        connection.send()
    await asyncio.wait_for(work.is_over, 120)
    seconds = time.perf_counter() - begun
    for connection in connections:
        connection.close()
    ordered = sorted(work.latencies)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    return {"seconds": seconds, "requests": len(ordered), "p50_ms": p50, "p99_ms": p99}


def main() -> None:
    """Carry out orders until standard input ends."""
    for line in sys.stdin:
        try:
            result = uvloop.run(_carry_out(json.loads(line)))
        except Exception as error:
            result = {"wrong": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
