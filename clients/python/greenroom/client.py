"""The client for programs with threads: one background thread keeps the flags fresh.

Making a client starts nothing, so it may be made at import. The thread starts with `start`, `wait_ready`, the first
evaluation, or the first evaluation in a child process after a fork.
"""

import logging
import threading
from time import monotonic
from types import TracebackType
from typing import Self

from greenroom.cache import MIN_INTERVAL_S
from greenroom.errors import ConfigurationError, NotConnected, SourceError
from greenroom.http_routes import Route
from greenroom.http_source import HttpSource
from greenroom.options import Options, address
from greenroom.sources import Source, Stream
from greenroom.steps import Fetch, Open, Read, Wait
from greenroom.updates import Updates
from greenroom.upkeep import OVERRIDES_EVERY_S, Upkeep

_log = logging.getLogger("greenroom")


class Client(Upkeep):
    """Evaluates the flags of one environment; safe for threads and forks.

    URL and key come from GREENROOM_URL and GREENROOM_SDK_KEY where they are not given. With a `source` there is no
    need for either. Raises ConfigurationError.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        options: Options | None = None,
        *,
        source: Source | None = None,
    ) -> None:
        options = options or Options()
        self._source: Source | None = source
        route = None
        if source is None and not options.is_offline:
            route = Route(*address(url, key), options.transport)
            self._source = HttpSource(route)
        elif options.cache_dir is not None and source is not None:
            raise ConfigurationError("`cache_dir` is for a server: what a given source says is not kept")
        self._is_started = False
        self._threads: list[threading.Thread] = []
        self._end = threading.Event()
        self._is_clear = threading.Event()
        super().__init__(options, route)

    def start(self) -> Self:
        """Begin to keep the flags fresh. Returns at once; does nothing the second time, or on a closed client."""
        with self._lock:
            if self._is_started or self._is_closed:
                return self
            self._is_started = True
            self._hear_of_forks()
            work = [] if self._source is None else [("greenroom updates", self._keep_fresh)]
            if self._options.overrides is not None:
                work.append(("greenroom overrides", self._watch_overrides))
            self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in work]
            for thread in self._threads:
                thread.start()
            self._start_reporting()
        return self

    def wait_ready(self, timeout_s: float = 5.0) -> bool:
        """Wait until the server gave or confirmed the flags, or failed to; True if there are flags, maybe old ones.

        False if there are none after this time; `status` tells why.
        """
        self.start()
        if not self._options.is_offline:
            self._is_clear.wait(timeout_s)
        return self._view is not None

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop updates and send what is left to the sink, within this time. Evaluating goes on with the last flags."""
        with self._lock:
            self._is_closed = True
        deadline = monotonic() + timeout_s
        self._end.set()
        self._is_clear.set()
        if self._source is not None:
            self._source.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - monotonic()))
        sink = self._stop_telling()
        if sink is not None:
            sink.close(max(0.0, deadline - monotonic()))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wake(self) -> None:
        if not self._is_started and not self._is_closed:
            try:
                self.start()
            except Exception:
                _log.exception("updates could not be started")

    def _became_clear(self) -> None:
        self._is_clear.set()

    def _watch_overrides(self) -> None:
        end = self._end
        while not end.wait(OVERRIDES_EVERY_S):
            self._look_for_overrides()

    def _keep_fresh(self) -> None:
        end, source = self._end, self._source
        assert source is not None  # noqa: S101 (the thread is only started then)
        while not end.is_set():
            try:
                self._take_disk(self._read_disk())
                _Run(self, source, end).run()
            except Exception as error:
                # INVARIANT: updates never end while the client is open, whatever nobody foresaw.
                self._say(f"updates failed and start again: {error!r}", error)
                end.wait(5.0)

    def _forget_parent(self) -> None:
        """In a child after a fork: there are no threads, locks may be stuck, and the connection is the parent's."""
        self._lock = threading.RLock()
        self._end, self._is_clear = threading.Event(), threading.Event()
        self._threads = []
        self._is_started = False
        if isinstance(self._source, HttpSource):
            self._source.leave_to_parent()
        self._leave_told_to_parent()


class _Run:
    """Does what the state machine says, until the end."""

    def __init__(self, client: Client, source: Source, end: threading.Event) -> None:
        self._client, self._source, self._end = client, source, end
        self._updates: Updates = client._machine()
        self._stream: Stream | None = None

    def run(self) -> None:
        client, updates = self._client, self._updates
        try:
            while not self._end.is_set():
                client._save(monotonic())
                self._do_next()
                client._take(updates.take_news())
        finally:
            self._close_stream()
            client._save(monotonic() + MIN_INTERVAL_S)

    def _do_next(self) -> None:
        updates = self._updates
        step = updates.next_step(monotonic())
        if not isinstance(step, Read):
            self._close_stream()
        try:
            match step:
                case Wait(seconds):
                    self._end.wait(min(seconds, self._client._due_in_s(monotonic())))
                case Fetch(etag):
                    updates.fetched(self._source.fetch(etag), monotonic())
                case Open(last_event_id):
                    self._stream = self._source.stream(last_event_id)
                    updates.opened(self._stream.answer, monotonic())
                case Read(timeout_s):
                    self._read(min(timeout_s, self._client._due_in_s(monotonic())))
        except SourceError as error:
            if not self._end.is_set():
                updates.failed(str(error), monotonic(), is_connected=not isinstance(error, NotConnected))

    def _read(self, timeout_s: float) -> None:
        assert self._stream is not None  # noqa: S101 (`Read` comes only after `Open`)
        data = self._stream.read(timeout_s)
        if data is not None:
            self._updates.received(data, monotonic())

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
