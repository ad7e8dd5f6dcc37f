"""A crowd of real SDK clients in one process, and what befalls them when their server goes and comes back.

    python -m tests.blackbox.storm <url> <key> <clients> <how many of them start in a second>

reads `mark` or `tell`, one a line, from standard input and answers each with one line of JSON. Times are the system's
monotonic ones.
"""

import asyncio
import json
import logging
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from tests.blackbox.server_process import surroundings

from greenroom import AsyncClient, Options
from greenroom.endpoints import Transport
from greenroom.http_aio import AsyncHttpSource
from greenroom.http_routes import Route
from greenroom.sources import AsyncStream
from greenroom.steps import Answer


@dataclass(frozen=True, slots=True)
class Told:
    """What happened to the crowd since the last `mark`.

    `streams` are open now, `in_touch` when each client first got an answer that was no refusal, `opened` when streams
    were opened; `refusals` are the seconds that refused attempts took.
    """

    streams: int
    in_touch: list[float]
    opened: list[float]
    refusals: list[float]

    def busiest_s(self) -> int:
        """The most streams that were opened in one second."""
        return max((sum(0 <= at - first < 1 for at in self.opened) for first in self.opened), default=0)


class Crowd:
    """The process, as its master sees it."""

    def __init__(self, url: str, key: str, clients: int, *, starts_per_s: int) -> None:
        self._command = [sys.executable, "-m", __name__, url, key, str(clients), str(starts_per_s)]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True, env=surroundings({}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def mark(self) -> None:
        """Forget what happened so far."""
        self._ask("mark")

    def tell(self) -> Told:
        return Told(**self._ask("tell"))

    def _ask(self, what: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass
class _Diary:
    streams: int = 0
    in_touch: dict[int, float] = field(default_factory=dict)
    opened: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)

    def mark(self) -> None:
        self.in_touch, self.opened, self.refusals = {}, [], []

    def take(self, client: int, answer: Answer, begun: float) -> None:
        now = time.monotonic()
        if answer.status in (200, 304):
            self.in_touch.setdefault(client, now)
        else:
            self.refusals.append(now - begun)


class _Watched:
    """The SDK's own source, with a diary."""

    def __init__(self, source: AsyncHttpSource, client: int, diary: _Diary) -> None:
        self._source, self._client, self._diary = source, client, diary

    async def fetch(self, etag: str | None) -> Answer:
        begun = time.monotonic()
        answer = await self._source.fetch(etag)
        self._diary.take(self._client, answer, begun)
        return answer

    async def stream(self, last_event_id: str | None) -> AsyncStream:
        begun = time.monotonic()
        stream = await self._source.stream(last_event_id)
        self._diary.take(self._client, stream.answer, begun)
        return stream if stream.answer.status != 200 else _WatchedStream(stream, self._diary)


class _WatchedStream:
    def __init__(self, stream: AsyncStream, diary: _Diary) -> None:
        self._stream, self._diary = stream, diary
        self._is_open = True
        self.answer: Final = stream.answer
        diary.streams += 1
        diary.opened.append(time.monotonic())

    async def read(self, timeout_s: float) -> bytes | None:
        return await self._stream.read(timeout_s)

    def close(self) -> None:
        self._diary.streams -= self._is_open
        self._is_open = False
        self._stream.close()


async def _run(url: str, key: str, number: int, starts_per_s: int) -> None:
    loop, diary = asyncio.get_running_loop(), _Diary()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    options, route, clients = Options(exposures=False), Route(url, key, Transport()), []

    async def arrive() -> None:
        for client in range(number):
            clients.append(AsyncClient(options=options, source=_Watched(AsyncHttpSource(route), client, diary)).start())
            await asyncio.sleep(1 / starts_per_s)

    arriving = asyncio.create_task(arrive())
    while order := await orders.readline():
        if order == b"mark\n":
            diary.mark()
        told = Told(diary.streams, list(diary.in_touch.values()), diary.opened, diary.refusals)
        sys.stdout.write(json.dumps({name: getattr(told, name) for name in Told.__slots__}) + "\n")
        sys.stdout.flush()
    arriving.cancel()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.disable()
    asyncio.run(_run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
