"""What both clients share besides evaluating: what is held, how that is told, and who listens.

The drivers in `client.py` and `aio.py` bring news; files and signatures are looked at here, sockets are not.
"""

import logging
import os
import random
import threading
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from greenroom.both_sinks import BothSinks
from greenroom.cache import DiskCopy
from greenroom.errors import ConfigurationError, OverridesRefused, Unusable
from greenroom.forcing import force
from greenroom.forks import call_after_fork, load_early
from greenroom.held import MAX_DOCUMENT_BYTES, Held, parse_object, read_document
from greenroom.http_routes import Route
from greenroom.options import Options
from greenroom.overrides import Overrides, read_overrides
from greenroom.reading import FlagReader
from greenroom.reporting import Reporter, open_reporter
from greenroom.rows import hidden_key
from greenroom.sinks import ExposureSink
from greenroom.status import Health, State, Status
from greenroom.steps import News, Swap
from greenroom.updates import Updates
from greenroom.views import View

OVERRIDES_EVERY_S: Final = 2.0

T = TypeVar("T")

FlagListener = Callable[[str], object]
UpdateListener = Callable[[frozenset[str]], object]
StatusListener = Callable[[Status], object]
Unsubscribe = Callable[[], None]

_log = logging.getLogger("greenroom")


class Upkeep(FlagReader):
    """A reader whose view follows what is held and what is forced."""

    def __init__(self, options: Options, route: Route | None) -> None:
        """`route` leads to the server, if there is one to keep copies of and to report to."""
        self._reporter = None if route is None else open_reporter(options, route, self._note_trouble)
        super().__init__(_sink_of(options, self._reporter))
        load_early()
        self._options = options
        self._disk = None if route is None else DiskCopy.of(options.cache_dir, route.url, route.key_name)
        self._held: Held | None = None
        self._health = Health("starting")
        self._is_closed = False
        self._overrides: Overrides | None = None
        self._overrides_seen: str | None = None
        self._troubles: dict[str, tuple[str, ...]] = {}
        self._said: set[str] = set()
        self._has_hook = False
        self._flag_listeners: list[tuple[str | None, FlagListener]] = []
        self._update_listeners: list[UpdateListener] = []
        self._status_listeners: list[StatusListener] = []
        self._lock = threading.RLock()  # for those who change the view; readers take none
        if options.bootstrap is not None:
            self._held = _read_bootstrap(options.bootstrap)
            self._health = Health("stale", "not confirmed by the server yet")
        if options.is_offline:
            is_empty = self._held is None
            self._health = Health("error", "offline, with nothing to evaluate") if is_empty else Health("ready")
        self._renew_view()
        self._look_for_overrides()
        self._hide()  # so that the first evaluation starts what must run

    @property
    def state(self) -> State:
        """The status' state alone, which costs next to nothing."""
        return "closed" if self._is_closed else self._health.state

    @property
    def flag_set(self) -> str | None:
        """`project/environment` of the flags, once there are some."""
        return None if self._held is None else f"{self._held.snapshot.project}/{self._held.snapshot.environment}"

    @property
    def status(self) -> Status:
        """How this client is doing right now, with all that is known."""
        held, view, health = self._held, self._view, self._health
        forced = () if view is None else tuple(sorted(view.forced))
        troubles = tuple(text for texts in self._troubles.copy().values() for text in texts)
        status = Status(self.state, health.cause, health.is_refused, warnings=troubles, overrides=forced)
        if (reporter := self._reporter) is not None:
            status = replace(status, unreported=reporter.waiting, dropped=reporter.dropped)
        if held is None:
            return status
        of = held.snapshot
        return replace(
            status,
            project=of.project,
            environment=of.environment,
            epoch=of.epoch,
            revision=of.revision,
            published_at=of.published_at,
            origin=held.origin,
            warnings=(*of.warnings, *troubles),
        )

    def tellable_key(self, key: str) -> str:
        """The targeting key as it may leave the process: a hash of it, if it is a private attribute."""
        options = self._options
        if not options.is_key_private:
            return key
        how = options.exposure_options
        return hidden_key(key, None if how is None else how.subject_secret)

    def on_change(self, listener: FlagListener, key: str | None = None) -> Unsubscribe:
        """Have the listener told the key of each flag that may answer otherwise from now on, or of this flag only.

        It is called where updates are applied, so it must be quick; what it raises is logged. The first flags are no
        changes. Call the result to end it.
        """
        return _subscribe(self._flag_listeners, (key, listener))

    def on_update(self, listener: UpdateListener) -> Unsubscribe:
        """As `on_change`, but told the keys of all flags that one update touched, together."""
        return _subscribe(self._update_listeners, listener)

    def on_status(self, listener: StatusListener) -> Unsubscribe:
        """Have the listener told of each change of the status' state or cause. Call the result to end it."""
        return _subscribe(self._status_listeners, listener)

    @abstractmethod
    def _became_clear(self) -> None:
        """Whoever waits need not wait longer: flags are current, or as good as they get for now, or refused."""

    def _why_not_ready(self) -> str:
        return self._health.cause or "the first answer of the server is being waited for"

    def _machine(self) -> Updates:
        options = self._options
        return Updates(
            self._held,
            random.random,
            is_streaming=options.is_streaming,
            poll_interval_s=options.poll_interval_s,
        )

    def _read_disk(self) -> Held | None:
        """What the disk's copy has, if that is better than what is held; one that cannot be used is told, and left."""
        mine = self._held
        if self._disk is None or (mine is not None and mine.origin != "bootstrap"):
            return None
        try:
            held = self._disk.load()
        except (Unusable, OSError) as error:
            self._trouble("disk", f"the copy on disk is not used: {error}")
            return None
        if held is None or mine is None or held.snapshot.epoch != mine.snapshot.epoch:
            return held
        return held if held.snapshot.revision > mine.snapshot.revision else None

    def _take_disk(self, held: Held | None) -> None:
        if held is not None:
            self._health = Health("stale", "not confirmed by the server yet")
            self._swap(Swap(held, frozenset(held.snapshot.flags)))

    def _save(self, now: float) -> None:
        """Write the disk's copy if it is time to; trouble is told and harms nobody."""
        if self._disk is None or self._disk.due_in_s(now) > 0:
            return
        try:
            self._disk.write(now)
            self._trouble("disk")
        except (Unusable, OSError) as error:
            self._trouble("disk", f"the copy on disk cannot be written: {error}")

    def _due_in_s(self, now: float) -> float:
        return float("inf") if self._disk is None else self._disk.due_in_s(now)

    def _take(self, news: list[News]) -> None:
        for item in news:
            if isinstance(item, Swap):
                self._swap(item)
            else:
                self._report(item)

    def _swap(self, swap: Swap) -> None:
        is_first = self._held is None
        with self._lock:
            warned = () if self._held is None else self._held.snapshot.warnings
            self._held = swap.held
            self._renew_view()
        for warning in swap.held.snapshot.warnings:
            if warning not in warned:
                _log.warning("cannot be used here: %s", warning)
        if self._disk is not None:
            self._disk.note(swap.held)
        if not is_first:
            self._tell_changes(swap.changed)

    def _report(self, health: Health) -> None:
        self._health = health
        if health.state == "ready":
            if self._said:
                _log.info("flags are current again")
            self._said.clear()
        elif health.cause is not None:
            self._say(f"flags are {health.state}: {health.cause}")
        if health.state != "error" or health.is_refused:
            self._became_clear()
        self._call([(listener, self.status) for listener in list(self._status_listeners)])

    def _renew_view(self) -> None:
        """Evaluate with what is held and forced now."""
        held, overrides = self._held, self._overrides
        troubles: list[str] = []
        if overrides is not None:
            snapshot, forced, troubles = force(held, overrides)
            view = View(snapshot, forced)
        elif held is not None:
            view = View(held.snapshot, {})
        else:
            self._view = None
            self._hide()
            return
        self._trouble("forcing", *troubles)
        self._show(view)
        if self._sink is not None:
            self._sink.swapped(view.snapshot)
            self._forget_tellers()  # those that were asked for in between know nothing of this snapshot

    def _look_for_overrides(self) -> None:
        """Force what is to be forced. Overrides that are refused leave in force what was."""
        places = self._options.overrides
        if places is None:
            return
        try:
            text = places.read()
            overrides = None if text is None else read_overrides(text, places.key)
        except OverridesRefused as error:
            self._trouble("overrides", f"the overrides are refused: {error}")
            overrides, text = self._overrides, self._overrides_seen
        else:
            self._trouble("overrides")
        if overrides is not None and overrides.expires_at <= datetime.now(UTC):
            overrides = None
        if (text, overrides is None) == (self._overrides_seen, self._overrides is None):
            return
        touched = {key for one in (self._overrides, overrides) if one is not None for key in one.flags}
        with self._lock:
            self._overrides_seen, self._overrides = text, overrides
            self._renew_view()
        _log.warning("overrides are %s", "lifted" if overrides is None else f"in force: {', '.join(sorted(touched))}")
        self._tell_changes(frozenset(touched))

    def _tell_changes(self, changed: frozenset[str]) -> None:
        listeners = list(self._flag_listeners)
        if changed:
            self._call([(tell_all, changed) for tell_all in list(self._update_listeners)])
        self._call([(tell, key) for key in sorted(changed) for wanted, tell in listeners if wanted in (None, key)])

    def _call(self, calls: list[tuple[Callable[..., object], object]]) -> None:
        for listener, told in calls:
            try:
                listener(told)
            except Exception:
                _log.exception("a listener raised an error")

    def _trouble(self, about: str, *texts: str) -> None:
        """What is wrong with something now; nothing if all is well again."""
        if texts:
            self._troubles[about] = texts
            for text in texts:
                self._say(text)
        else:
            self._troubles.pop(about, None)

    def _note_trouble(self, about: str, text: str | None) -> None:
        self._trouble(about, *(() if text is None else (text,)))

    def _hear_of_forks(self) -> None:
        if not self._has_hook:
            self._has_hook = True
            call_after_fork(self, type(self)._forget_parent)

    @abstractmethod
    def _forget_parent(self) -> None:
        """In a child after a fork: what belongs to the parent is left alone."""

    def _start_reporting(self) -> None:
        if self._reporter is not None:
            self._reporter.start()

    def _stop_telling(self) -> ExposureSink | None:
        """Nothing is told from now on; the sink, for who asks first, to be closed."""
        sink, self._sink = self._sink, None
        self._forget_tellers()
        return sink

    def _leave_told_to_parent(self) -> None:
        """In a child after a fork."""
        if self._sink is not None:
            self._sink.forked()
        self._forget_tellers()
        self._hide()

    def _say(self, text: str, error: Exception | None = None) -> None:
        # Each cause once, until all is well again; contexts are never in it.
        if text not in self._said:
            self._said.add(text)
            _log.warning("%s", text, exc_info=error)


def _sink_of(options: Options, reporter: Reporter | None) -> ExposureSink | None:
    if reporter is None or options.sink is None:
        return options.sink or reporter
    return BothSinks(options.sink, reporter)


def _read_bootstrap(bootstrap: object) -> Held:
    try:
        if isinstance(bootstrap, str | os.PathLike):
            with Path(bootstrap).open("rb") as file:
                return read_document(parse_object(file.read(MAX_DOCUMENT_BYTES + 1)), "bootstrap")
        return read_document(bootstrap, "bootstrap")
    except (OSError, Unusable) as error:
        raise ConfigurationError(f"the bootstrap cannot be used: {error}") from error


def _subscribe(listeners: list[T], listener: T) -> Unsubscribe:
    listeners.append(listener)

    def unsubscribe() -> None:
        if listener in listeners:
            listeners.remove(listener)

    return unsubscribe
