"""The client for asyncio: one task keeps the flags fresh; evaluating stays synchronous and never awaits.

Making a client starts nothing and needs no loop, so it may be made at import. The task starts with `async with`,
`start`, `wait_ready`, or the first evaluation in a running loop. Large documents and files are read in a thread.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Final, Self

from greenroom.cache import MIN_INTERVAL_S
from greenroom.errors import ConfigurationError, NotConnected, SourceError
from greenroom.http_aio import AsyncHttpSource
from greenroom.http_routes import Route
from greenroom.options import Options, address
from greenroom.sources import AsyncSource, AsyncStream
from greenroom.steps import Fetch, Open, Read, Wait
from greenroom.updates import Updates
from greenroom.upkeep import OVERRIDES_EVERY_S, Upkeep

LARGE_BYTES: Final = 32 * 1024
"""Reading a document of more would hold the event loop up for longer than a millisecond."""

_log = logging.getLogger("greenroom")


class AsyncClient(Upkeep):
    """Evaluates the flags of one environment in programs of asyncio. As `Client`, but for what awaits.

    All of it belongs to the thread of its loop, but for evaluating, which any thread may do. Raises ConfigurationError.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        options: Options | None = None,
        *,
        source: AsyncSource | None = None,
    ) -> None:
        options = options or Options()
        self._source = source
        route = None
        if source is None and not options.is_offline:
            route = Route(*address(url, key), options.transport)
            self._source = AsyncHttpSource(route)
        elif options.cache_dir is not None and source is not None:
            raise ConfigurationError("`cache_dir` is for a server: what a given source says is not kept")
        self._is_started = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_clear = asyncio.Event()
        super().__init__(options, route)

    def start(self) -> Self:
        """Begin to keep the flags fresh; to be called in a running loop. Does nothing if that is so already."""
        if self._is_started or self._is_closed:
            return self
        loop = asyncio.get_running_loop()
        self._is_started = True
        self._is_clear = asyncio.Event()
        self._hear_of_forks()
        if self._source is not None:
            self._tasks.add(loop.create_task(self._keep_fresh(self._source), name="greenroom updates"))
        if self._options.overrides is not None:
            self._tasks.add(loop.create_task(self._watch_overrides(), name="greenroom overrides"))
        self._start_reporting()
        return self

    async def wait_ready(self, timeout_s: float = 5.0) -> bool:
        """Wait until the server gave or confirmed the flags, or failed to; True if there are flags, maybe old ones.

        False if there are none after this time; `status` tells why.
        """
        self.start()
        if not self._options.is_offline and not self._is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._is_clear.wait()
        return self._view is not None

    async def close(self, timeout_s: float = 2.0) -> None:
        """Stop updates and send what is left to the sink, within this time. Evaluating goes on with the last flags."""
        self._is_closed = True
        deadline = monotonic() + timeout_s
        self._is_clear.set()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        sink = self._stop_telling()
        if sink is not None:
            await asyncio.to_thread(sink.close, max(0.0, deadline - monotonic()))

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _wake(self) -> None:
        if not self._is_started and not self._is_closed:
            self._hear_of_forks()
            with suppress(RuntimeError):  # no loop runs here: another evaluation will start it
                self.start()

    def _became_clear(self) -> None:
        self._is_clear.set()

    async def _watch_overrides(self) -> None:
        while True:
            await asyncio.sleep(OVERRIDES_EVERY_S)
            self._look_for_overrides()

    async def _keep_fresh(self, source: AsyncSource) -> None:
        try:
            while True:
                try:
                    self._take_disk(await asyncio.to_thread(self._read_disk))
                    await _Run(self, source).run()
                except Exception as error:
                    # INVARIANT: updates never end while the loop runs, whatever nobody foresaw.
                    self._say(f"updates failed and start again: {error!r}", error)
                    await asyncio.sleep(5.0)
        finally:
            # The loop ends, or the client: the first evaluation in another loop starts anew.
            self._is_started = False
            self._tasks.clear()
            self._hide()

    def _forget_parent(self) -> None:
        """In a child after a fork the loop is the parent's."""
        self._is_started = False
        self._tasks = set()
        self._leave_told_to_parent()


class _Run:
    """Does what the state machine says, until it is cancelled."""

    def __init__(self, client: AsyncClient, source: AsyncSource) -> None:
        self._client, self._source = client, source
        self._updates: Updates = client._machine()
        self._stream: AsyncStream | None = None

    async def run(self) -> None:
        client, updates = self._client, self._updates
        try:
            while True:
                if client._due_in_s(monotonic()) <= 0:
                    await asyncio.to_thread(client._save, monotonic())
                await self._do_next()
                client._take(updates.take_news())
        finally:
            self._close_stream()
            if client._due_in_s(float("inf")) <= 0:
                client._save(monotonic() + MIN_INTERVAL_S)

    async def _do_next(self) -> None:
        updates = self._updates
        step = updates.next_step(monotonic())
        if not isinstance(step, Read):
            self._close_stream()
        try:
            match step:
                case Wait(seconds):
                    await asyncio.sleep(min(seconds, self._client._due_in_s(monotonic())))
                case Fetch(etag):
                    answer = await self._source.fetch(etag)
                    await _apply(lambda: updates.fetched(answer, monotonic()), len(answer.body))
                case Open(last_event_id):
                    self._stream = await self._source.stream(last_event_id)
                    updates.opened(self._stream.answer, monotonic())
                case Read(timeout_s):
                    await self._read(min(timeout_s, self._client._due_in_s(monotonic())))
        except SourceError as error:
            updates.failed(str(error), monotonic(), is_connected=not isinstance(error, NotConnected))

    async def _read(self, timeout_s: float) -> None:
        assert self._stream is not None  # noqa: S101 (`Read` comes only after `Open`)
        updates, data = self._updates, await self._stream.read(timeout_s)
        if data is not None:
            await _apply(lambda: updates.received(data, monotonic()), updates.pending_bytes + len(data))

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


async def _apply(work: Callable[[], None], size: int) -> None:
    if size > LARGE_BYTES:
        await asyncio.to_thread(work)
    else:
        work()
