"""Delivery as one piece: what the composition root makes, starts, refreshes and closes."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from greenroom_server.clock import Clock
from greenroom_server.delivery.cors import CrossOrigin
from greenroom_server.delivery.counters import Counters, Registry
from greenroom_server.delivery.disk import DiskCopies
from greenroom_server.delivery.environments import EnvironmentCache
from greenroom_server.delivery.hot_paths import HotPaths
from greenroom_server.delivery.hub import Hub
from greenroom_server.delivery.ofrep import Remote
from greenroom_server.delivery.requests import BodyReader
from greenroom_server.delivery.sources import Authenticator, FlagSource, Reading
from greenroom_server.delivery.tickets import TicketOffice

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """What an operator may choose. `public_url` is needed only if a proxy serves Greenroom under a path of its own."""

    stream_cap: int = 10_000
    stream_cap_per_token: int = 5_000
    stream_admissions_per_s: int = 500
    cors_origins: Iterable[str] = ("*",)
    public_url: str | None = None


class Delivery:
    """Everything that clients get.

    In this order: `restore` (from disk, before the first refresh), `start`, `refresh` at each tick of the change
    feed, `say_goodbye` when the process is told to stop and before its server waits for open connections, `close`.
    """

    def __init__(
        self,
        source: FlagSource,
        authenticator: Authenticator,
        *,
        clock: Clock,
        stream_secret: bytes,
        copies: DiskCopies | None = None,
        options: DeliveryOptions | None = None,
    ) -> None:
        options = options or DeliveryOptions()
        self.counters = Counters()
        self.bodies = BodyReader()
        self.hub = Hub(
            authenticator,
            cap=options.stream_cap,
            cap_per_credential=options.stream_cap_per_token,
            admissions_per_s=options.stream_admissions_per_s,
        )
        self.environments = EnvironmentCache(source, self.hub, copies)
        remote = Remote(
            authenticator=authenticator,
            environments=self.environments,
            tickets=TicketOffice(stream_secret),
            cross_origin=CrossOrigin(options.cors_origins),
            bodies=self.bodies,
            counters=self.counters,
            now_ms=lambda: int(clock.now().timestamp() * 1000),
            public_url=options.public_url,
        )
        self.hot_paths = HotPaths(remote, self.hub)
        self._heart: asyncio.Task[None] | None = None

    @property
    def is_stale(self) -> bool:
        """Whether something is served from disk that the store has not confirmed yet."""
        return self.environments.is_stale

    def watch(self, registry: Registry) -> None:
        """Show what happens here in a metrics registry."""
        self.counters.bind(registry, self.hub)

    def restore(self) -> int:
        """Serve the last good documents from disk until the store confirms or replaces them; their number."""
        return self.environments.restore()

    async def start(self) -> None:
        """Begin to keep time for the streams."""
        self._heart = asyncio.create_task(self._beat(), name="delivery-heart")

    async def refresh(self, reading: Reading | None = None) -> None:
        """Take over what is new in the store; see `EnvironmentCache.refresh`."""
        await self.environments.refresh(reading)

    async def say_goodbye(self) -> None:
        """End all streams, each client with its own delay; new ones are refused from now on."""
        await self.hub.close()

    async def close(self) -> None:
        """Stop, and leave the newest documents on disk."""
        await self.hub.close()
        if self._heart is not None:
            self._heart.cancel()
            with suppress(asyncio.CancelledError):
                await self._heart
        await self.environments.close()

    async def _beat(self) -> None:
        while True:
            try:
                await self.hub.beat()
                self.bodies.sweep()
                self.counters.flush()
            except Exception as error:  # a heart that stops would let dead streams live for ever
                _log.error("delivery_beat_failed", exc_info=error)
                await asyncio.sleep(1)
