"""All environments that this process serves, kept at the store's newest revision.

Loaded at first use, or from the copies on disk at start. Nothing that goes wrong ever replaces what is good: not an
error, not an older revision, not a document past a limit.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import blake2b
from time import monotonic
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from greenroom_server.delivery.disk import DiskCopies
from greenroom_server.delivery.documents import DocumentRefused
from greenroom_server.delivery.hub import Hub
from greenroom_server.delivery.live import ChangeEvent, LiveEnvironment, Served
from greenroom_server.delivery.sources import FlagReader, FlagSource, Reading
from greenroom_server.errors import NotFound, Unavailable

_log = structlog.get_logger(__name__)

# Documents above this are compiled in a thread, so that requests do not wait for it.
_LARGE_BYTES: Final = 64 * 1024
_PAUSE_AFTER_FAILURE_S: Final = 1.0
_CATCH_UP_PAUSE_S: Final = 0.1
_SAVING_PAUSE_S: Final = 1.0

# What a look at the store found for one environment: a whole document, or a change.
_Found = tuple[LiveEnvironment, dict[str, Any], bool]


class EnvironmentCache:
    """The environments in memory. `get` is all that a request needs."""

    def __init__(self, source: FlagSource, hub: Hub, copies: DiskCopies | None = None) -> None:
        self._source = source
        self._hub = hub
        self._copies = copies
        self._live: dict[UUID, LiveEnvironment] = {}
        self._loading: dict[UUID, asyncio.Task[LiveEnvironment]] = {}
        self._failed_at: dict[UUID, float] = {}
        self._refreshing = asyncio.Lock()
        self._caught_up_at = 0.0
        self._unsaved: set[UUID] = set()
        self._saved_at = -_SAVING_PAUSE_S
        self._saving: asyncio.Task[None] | None = None

    @property
    def environments(self) -> Iterable[LiveEnvironment]:
        return self._live.values()

    @property
    def is_stale(self) -> bool:
        """Whether anything comes from disk that the store has not confirmed yet."""
        return any(live.is_stale for live in self._live.values())

    def find(self, environment_id: UUID | None) -> LiveEnvironment | None:
        """The environment, if it is in memory."""
        return self._live.get(environment_id)  # type: ignore[arg-type]  # None is never a key

    async def get(self, environment_id: UUID) -> LiveEnvironment:
        """The environment, loaded now if it must be, once for all who wait for it.

        Raises `NotFound` if it is gone and `Unavailable` if the store is down and there is no copy on disk.
        """
        live = self._live.get(environment_id)
        if live is not None:
            return live
        task = self._loading.get(environment_id)
        if task is None:
            if monotonic() - self._failed_at.get(environment_id, -_PAUSE_AFTER_FAILURE_S) < _PAUSE_AFTER_FAILURE_S:
                raise Unavailable
            task = asyncio.create_task(self._load(environment_id))
            self._loading[environment_id] = task
            task.add_done_callback(lambda done: self._loaded(environment_id, done))
        return await asyncio.shield(task)

    def restore(self) -> int:
        """Serve what is on disk, marked stale until the store confirms it. Returns how many environments that are."""
        if self._copies is None:
            return 0
        for name in self._copies.names():
            with suppress(ValueError):  # other copies live in the same folder
                self._restore(UUID(name))
        return len(self._live)

    async def refresh(self, reading: Reading | None = None) -> None:
        """Take over what is new in the store; the change feed calls this at each tick.

        `reading` is a look at the store that also serves somebody else: it is opened in any case. Raises `Unavailable`
        when the store cannot be read. What is wrong with one environment is logged and leaves the others alone.
        """
        async with self._refreshing:
            if reading is None and not self._live:
                return
            async with (reading or self._source.reading)() as reader:
                news = await self._look(reader) if self._live else []
            for live, document, is_change in news:
                await self._take_over(live, document, is_change=is_change)
        self._start_saving()

    async def catch_up(self, *, within_s: float = 0.5) -> None:
        """Refresh now, for a client that was told of a revision we may not have yet; gives up after a while.

        However many ask, the store is looked at no more than ten times a second.
        """
        if monotonic() - self._caught_up_at < _CATCH_UP_PAUSE_S:
            return
        self._caught_up_at = monotonic()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(within_s):
                await self.refresh()

    async def save(self) -> None:
        """Write what is new to disk, now. A disk that fails is logged: delivery does not depend on it."""
        while self._copies is not None and self._unsaved:
            environment_id = self._unsaved.pop()
            live = self._live.get(environment_id)
            try:
                if live is None:
                    await asyncio.to_thread(self._copies.remove, str(environment_id))
                else:
                    data = live.served.encodings.identity
                    await asyncio.to_thread(self._copies.save, str(environment_id), data)
            except OSError as error:
                _log.error("disk_copy_failed", environment=str(environment_id), reason=str(error))

    async def close(self) -> None:
        """Finish what is being written and loaded."""
        for task in list(self._loading.values()):
            task.cancel()
        if self._saving is not None:
            await self._saving
        await self.save()

    async def _look(self, reader: FlagReader) -> list[_Found]:
        found: list[_Found] = []
        known = list(self._live.values())  # what is loaded meanwhile is newer anyway
        store_epoch, revisions = await reader.standing([live.id for live in known])
        for live in known:
            stored = revisions.get(live.id)
            if stored is None:
                self._remove(live)
            elif self._is_news(live, epoch_of(store_epoch, live.id), stored):
                found.extend(await _news(reader, live, epoch_of(store_epoch, live.id)))
        return found

    def _is_news(self, live: LiveEnvironment, epoch: str, stored: int) -> bool:
        if live.refused == (epoch, stored):
            return False
        if live.served.epoch != epoch or stored > live.served.revision:
            return True
        if stored == live.served.revision:
            live.is_stale = False
        else:
            live.refused = (epoch, stored)
            _log.error("older_revision_refused", environment=str(live.id), serving=live.served.revision, stored=stored)
        return False

    async def _take_over(self, live: LiveEnvironment, document: dict[str, Any], *, is_change: bool) -> None:
        # The environment may have moved on while the store was read.
        before = live.served
        try:
            served = await _prepared(lambda: before.with_change(document) if is_change else Served.of(document), before)
        except (DocumentRefused, ValueError, TypeError, KeyError) as error:
            _log.error("document_refused", environment=str(live.id), is_change=is_change, reason=str(error))
            live.needs_whole = True
            if not is_change:
                live.refused = (document.get("epoch"), document.get("revision"))
            return
        if live.is_removed or not live.moves_forward_to(served):
            return
        live.needs_whole = False
        event = ChangeEvent.of(document) if is_change else None
        live.replace(served, event)
        live.is_stale = False
        self._unsaved.add(live.id)
        self._hub.publish(live.subscribers)

    async def _load(self, environment_id: UUID) -> LiveEnvironment:
        try:
            async with self._source.reading() as reader:
                epoch = epoch_of(await reader.epoch(), environment_id)
                document = await _whole(reader, environment_id, epoch)
        except Unavailable:
            if self._copies is not None and self._restore(environment_id):
                return self._live[environment_id]
            raise
        if document is None:
            raise NotFound("the environment of this key is gone")
        try:
            served = await asyncio.to_thread(lambda: Served.of(document).warmed_up())
        except (DocumentRefused, ValueError, TypeError, KeyError) as error:
            _log.error("document_refused", environment=str(environment_id), is_change=False, reason=str(error))
            raise Unavailable("this environment cannot be served right now", retry_after_s=5) from error
        live = self._live.setdefault(environment_id, LiveEnvironment(environment_id, served))
        self._unsaved.add(environment_id)
        return live

    def _loaded(self, environment_id: UUID, done: "asyncio.Task[LiveEnvironment]") -> None:
        self._loading.pop(environment_id, None)
        self._failed_at.pop(environment_id, None)
        if not done.cancelled() and isinstance(done.exception(), Unavailable):
            self._failed_at[environment_id] = monotonic()

    def _restore(self, environment_id: UUID) -> bool:
        copy = self._copies.load(str(environment_id)) if self._copies is not None else None
        if copy is None:
            return False
        try:
            served = Served.of(orjson.loads(copy))
        except (DocumentRefused, ValueError, TypeError, KeyError) as error:
            _log.error("disk_copy_refused", environment=str(environment_id), reason=str(error))
            return False
        self._live.setdefault(environment_id, LiveEnvironment(environment_id, served, is_stale=True))
        return True

    def _remove(self, live: LiveEnvironment) -> None:
        live.is_removed = True
        self._live.pop(live.id, None)
        self._unsaved.add(live.id)
        for subscriber in list(live.subscribers):
            self._hub.end(subscriber)

    def _start_saving(self) -> None:
        # A busy author does not make a busy disk: what is not saved now is saved at a later tick.
        is_idle = self._saving is None or self._saving.done()
        if self._unsaved and is_idle and monotonic() - self._saved_at > _SAVING_PAUSE_S:
            self._saved_at = monotonic()
            self._saving = asyncio.create_task(self.save())


def epoch_of(store_epoch: str, environment_id: UUID) -> str:
    """The epoch of one environment: a `Last-Event-ID` or an ETag of one environment never fits another."""
    return blake2b(f"{store_epoch}/{environment_id}".encode(), digest_size=6).hexdigest()


async def _news(reader: FlagReader, live: LiveEnvironment, epoch: str) -> list[_Found]:
    try:
        return await _read_news(reader, live, epoch)
    except Unavailable:
        raise
    except Exception as error:
        _log.error("environment_unreadable", environment=str(live.id), exc_info=error)
        return []


async def _read_news(reader: FlagReader, live: LiveEnvironment, epoch: str) -> list[_Found]:
    if live.served.epoch == epoch and not live.needs_whole:
        change = await reader.load_change(live.id, live.served.revision)
        if change is not None:
            return [(live, change | {"epoch": epoch}, True)]
    document = await _whole(reader, live.id, epoch)
    return [] if document is None else [(live, document, False)]


async def _whole(reader: FlagReader, environment_id: UUID, epoch: str) -> dict[str, Any] | None:
    document = await reader.load_environment(environment_id)
    return None if document is None else document | {"epoch": epoch}


async def _prepared(make: Callable[[], Served], before: Served) -> Served:
    if len(before.encodings.identity) < _LARGE_BYTES:
        return make().warmed_up()
    return await asyncio.to_thread(lambda: make().warmed_up())
