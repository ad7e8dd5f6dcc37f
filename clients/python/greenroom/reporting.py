"""Reports to the server: two threads of their own, beside evaluations and event loops, which never wait for them.

One collects what was told, twice a second, and has it on disk if there is a spool; the other sends. What they do is
decided in `exposures.py`.
"""

import atexit
import gzip
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final, Protocol

from greenroom.errors import SourceError, Unusable
from greenroom.evaluation import Evaluation, Snapshot
from greenroom.exposures import Bounds, Done, Load, Outbox, Placed, Send
from greenroom.http_routes import Route
from greenroom.http_source import HttpSource
from greenroom.options import ExposureOptions, Options, labels
from greenroom.rows import MAX_LABEL, Row, hidden_key, moment_text, report_body
from greenroom.sinks import Context, Teller
from greenroom.spool import Spool
from greenroom.steps import Answer, Wait
from greenroom.tally import MAX_COLLECTED, Limits, Tally
from greenroom.version import VERSION

TICK_S: Final = 0.5
"""How often what was told is collected, and put on disk: what a killed process loses is less than a second old."""
ADOPT_EVERY_S: Final = 30.0
_LONGEST_WAIT_S: Final = 60.0
_LEAVE_S: Final = 0.1
_PACKING: Final = 5

Trouble = Callable[[str, str | None], object]
"""Told what is wrong with something, or that nothing is any more."""


class Courier(Protocol):
    """Takes reports to the server: gives any answer, and raises SourceError if there was none in time.

    `close` may be called from another thread, and ends what is under way; `leave_to_parent` is for children.
    """

    def report(self, body: bytes) -> Answer: ...
    def close(self) -> None: ...
    def leave_to_parent(self) -> None: ...


@dataclass(frozen=True, slots=True)
class About:
    """What an application says of itself, and whom its reports are for."""

    application: str
    version: str
    build: str
    is_key_private: bool
    destination: tuple[str, str]
    """The server's URL, and a name for the key that does not give it away."""


class Reporter:
    """An `ExposureSink` that reports to the server. It starts with `start`; in children after a fork, anew."""

    def __init__(self, courier: Courier, about: About, options: ExposureOptions, trouble: Trouble) -> None:
        self._courier = courier
        self._about = about
        self._options = options
        self._tell_trouble = trouble
        self._spool = None if options.spool_dir is None else Spool(options.spool_dir, *about.destination)
        self._serving: tuple[str, int, str] | None = None
        self._snapshot: Snapshot | None = None
        self._is_closed = False
        self._threads: list[threading.Thread] = []
        self._begin_anew()

    @property
    def dropped(self) -> int:
        """How many rows were forgotten since the start."""
        return self._outbox.dropped + self._tally.lost

    def start(self) -> None:
        """Begin to report. Does nothing the second time."""
        if self._threads or self._is_closed:
            return
        self._tally.began()
        self._outbox.begin(time.monotonic())
        work = (("greenroom exposures", self._collect_on), ("greenroom reports", self._send_on))
        threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in work]
        for thread in threads:
            thread.start()
        self._threads = threads
        _call_at_exit(self._leave)

    def exposed(self, evaluation: Evaluation, context: Context) -> None:
        """Count it."""
        self._tally.exposed(evaluation, context)

    def teller(self, evaluation: Evaluation) -> Teller:
        """Counts this evaluation."""
        return self._tally.teller(evaluation)

    def tracked(self, event: str, context: Context, value: float | None) -> None:
        """Have the outcome reported."""
        if not self._tally.tracked(event, context, value):
            self._tell_trouble("outcomes", "an outcome without name, targeting key or finite value is not reported")

    def swapped(self, snapshot: Snapshot) -> None:
        """Tell the server soon which revision is served now."""
        self._snapshot = snapshot
        self._tally.swapped(snapshot)
        if self._serving is None or self._serving[:2] != (snapshot.epoch, snapshot.revision):
            self._serving = (snapshot.epoch, snapshot.revision, moment_text(_now_ms()))
            self._has_swapped = True
            self._news.set()

    def forked(self) -> None:
        """What was told is the parent's to report; this is another instance."""
        self._courier.leave_to_parent()
        if self._spool is not None and self._options.spool_dir is not None:
            self._spool.leave_to_parent()
            self._spool = Spool(self._options.spool_dir, *self._about.destination)
        self._begin_anew()
        if self._snapshot is not None:
            self._tally.swapped(self._snapshot)

    def close(self, timeout_s: float) -> None:
        """Send what is left, within this time; what stays in a spool is left to the next process."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self._leave)
        if not self._threads:
            return
        deadline = time.monotonic() + timeout_s
        collector, sender = self._threads
        self._end.set()
        collector.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            self._outbox.finish()
        self._news.set()
        sender.join(max(0.0, deadline - time.monotonic()))
        if sender.is_alive():
            self._courier.close()
            sender.join(_LEAVE_S)
        if self._spool is not None and not collector.is_alive():
            with self._lock:
                gone = self._outbox.take_gone()
            self._spool.remove(gone)
            self._spool.close()
        elif self._spool is None and self.waiting:
            self._tell_trouble("reports", f"{self.waiting} rows could not be reported before the end")

    def _begin_anew(self) -> None:
        options = self._options
        secret = options.subject_secret
        self._instance_id = f"{socket.gethostname()[:100]}-{os.getpid()}-{token_hex(4)}"
        self._tally = Tally(
            Limits(options.max_buffered, options.max_subjects),
            _now_ms,
            lambda: int.from_bytes(os.urandom(10)),
            (lambda key: hidden_key(key, secret)) if self._about.is_key_private else None,
        )
        self._outbox = Outbox(
            random.random,
            Bounds(options.max_buffered, options.max_spool_bytes),
            flush_interval_s=options.flush_interval_s,
            change_spread_s=options.report_changes_within_s,
        )
        self._lock = threading.Lock()  # around the outbox; never held for I/O
        self._end, self._news = threading.Event(), threading.Event()
        self._has_swapped = False
        self._threads = []
        self.waiting = 0

    def _leave(self) -> None:
        if self._options.exit_flush_s:
            self.close(self._options.exit_flush_s)

    # The thread that collects

    def _collect_on(self) -> None:
        end, adopt_at = self._end, time.monotonic()
        is_last = False
        while not is_last:
            is_last = end.wait(TICK_S)
            try:
                if self._spool is not None and time.monotonic() >= adopt_at:
                    adopt_at = time.monotonic() + ADOPT_EVERY_S
                    self._adopt(self._spool)
                while self._collect() >= MAX_COLLECTED:
                    pass
            except Exception as error:
                # INVARIANT: collecting never ends while the client is open, whatever nobody foresaw.
                self._tell_trouble("exposures", f"collecting what to report failed: {type(error).__name__}")

    def _collect(self) -> int:
        """How many rows there were."""
        rows = self._tally.collect()
        with self._lock:
            placed = self._outbox.add(rows)
            gone = self._outbox.take_gone()
        if self._spool is not None:
            self._spool.remove(gone)
            self._keep(self._spool, placed)
        self._note_waiting()
        if self._outbox.has_batch:
            self._news.set()
        return len(rows)

    def _keep(self, spool: Spool, placed: Sequence[Placed]) -> None:
        """Have the rows on disk; without, they stay in memory."""
        if not placed:
            return
        try:
            for number, rows in placed:
                spool.append(number, rows)
            spool.sync()
        except (OSError, Unusable) as error:
            self._tell_trouble("spool", f"what is to be reported is not kept on disk: {_cause_of(error)}")
            return
        self._tell_trouble("spool", None)
        with self._lock:
            for number, rows in placed:
                self._outbox.confirm(number, len(rows))

    def _adopt(self, spool: Spool) -> None:
        try:
            adopted = spool.adopt(self._new_number)
        except (OSError, Unusable) as error:
            self._tell_trouble("spool", f"what is to be reported is not kept on disk: {_cause_of(error)}")
            return
        with self._lock:
            for batch in adopted:
                self._outbox.adopt(*batch)

    def _new_number(self) -> int:
        with self._lock:
            return self._outbox.new_number()

    # The thread that sends

    def _send_on(self) -> None:
        while True:
            try:
                if not self._do_next():
                    return
            except Exception as error:
                # INVARIANT: as above.
                self._tell_trouble("exposures", f"reporting failed: {type(error).__name__}")
                with self._lock:
                    self._outbox.failed("reporting failed", time.monotonic())

    def _do_next(self) -> bool:
        """Whether there may be more to do."""
        with self._lock:
            if self._has_swapped:
                self._has_swapped = False
                self._outbox.wish(time.monotonic())
            step = self._outbox.next_step(time.monotonic())
        match step:
            case Wait(seconds):
                self._news.wait(min(seconds, _LONGEST_WAIT_S))
                self._news.clear()
            case Load(number):
                self._load(number)
            case Send(rows):
                self._send(rows)
            case Done():
                return False
        return True

    def _load(self, number: int) -> None:
        rows = None
        with suppress(OSError, Unusable):
            rows = None if self._spool is None else self._spool.load(number)
        with self._lock:
            self._outbox.loaded(number, rows)

    def _send(self, rows: Sequence[Row]) -> None:
        body = gzip.compress(report_body(self._instance(), rows, self.dropped), _PACKING)
        try:
            answer = self._courier.report(body)
        except SourceError as error:
            with self._lock:
                self._outbox.failed(str(error), time.monotonic())
        else:
            with self._lock:
                self._outbox.answered(answer, time.monotonic())
        cause = self._outbox.cause
        self._tell_trouble("reports", None if cause is None else f"reporting does not work: {cause}")
        self._note_waiting()

    def _instance(self) -> dict[str, Any]:
        about = self._about
        epoch, revision, since = self._serving or ("", 0, None)
        return {
            "id": self._instance_id,
            "sdk": "greenroom-python",
            "sdk_version": VERSION,
            "application": about.application,
            "version": about.version,
            "build": about.build,
            "epoch": epoch[:MAX_LABEL],
            "revision": revision,
            "since": since,
        }

    def _note_waiting(self) -> None:
        with self._lock:
            self.waiting = self._outbox.waiting


def open_reporter(options: Options, route: Route, trouble: Trouble) -> Reporter | None:
    """Who reports to this server, if anything is to be reported. Raises ConfigurationError; opens nothing yet."""
    wanted = options.exposure_options
    if wanted is None:
        return None
    about = About(*labels(options), options.is_key_private, (route.url, route.key_name))
    return Reporter(HttpSource(route), about, wanted, trouble)


def _call_at_exit(leave: Callable[[], None]) -> None:
    atexit.register(leave)
    # Children of `multiprocessing` end without what was registered there; they have a register of their own.
    processes, ends = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if processes is not None and ends is not None and processes.parent_process() is not None:
        ends.Finalize(None, leave, exitpriority=0)
    # Those of Celery's pool end without either, and say so.
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(lambda **_: leave(), weak=False)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _cause_of(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
