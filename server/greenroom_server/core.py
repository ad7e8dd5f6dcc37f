"""What the doors and the background work share: the store, who may use it, what is served from memory, what sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Final
from uuid import UUID

import structlog

from greenroom_server.access.directory import TokenDirectory
from greenroom_server.access.service import refresh_directory
from greenroom_server.adapters.gatekeeper import Gatekeeper
from greenroom_server.change_requests.gate import FourEyes
from greenroom_server.clock import Clock
from greenroom_server.database.change_feed import ChangeFeed
from greenroom_server.database.engine import Database
from greenroom_server.database.idempotency import SqlIdempotencyStore
from greenroom_server.decisions.service_gate import PolicyGate
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.decisions.service_news import NewsDesk
from greenroom_server.delivery.disk import DiskCopies
from greenroom_server.delivery.service import Delivery, DeliveryOptions
from greenroom_server.delivery.store import StoredFlags, StoredReader
from greenroom_server.errors import Unavailable
from greenroom_server.exposures.service import Exposures
from greenroom_server.flags.gate import GATE
from greenroom_server.guardrails.asking import Asker
from greenroom_server.guardrails.sampler import Guardrails
from greenroom_server.installation import Opened, open_installation, save_directory
from greenroom_server.observability.metrics import Metrics
from greenroom_server.permits.desk import Desk as PermitDesk
from greenroom_server.permits.statements import Verifier
from greenroom_server.rollouts.scheduler import Scheduler
from greenroom_server.sealing import Sealer
from greenroom_server.settings import Settings
from greenroom_server.webhooks.address import Egress
from greenroom_server.webhooks.client import Client, Limits
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.sender import Pace, Webhooks

# A server that starts waits so long for its first look at the store, should it have copies on disk.
_CONFIRMED_WITHIN_S: Final = 2.0

log = structlog.get_logger(__name__)

VERSION: Final = version("greenroom-server")


@dataclass(frozen=True, slots=True)
class Core:
    """All that was opened."""

    settings: Settings
    clock: Clock
    database: Database
    directory: TokenDirectory
    opened: Opened
    delivery: Delivery
    exposures: Exposures
    webhooks: Webhooks
    gatekeeper: Gatekeeper
    guardrails: Guardrails
    news: NewsDesk
    scheduler: Scheduler
    permits: PermitDesk
    feed: ChangeFeed
    metrics: Metrics
    idempotency: SqlIdempotencyStore


async def open_core(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Core:
    """The store, who may use it, what is served from memory, and what keeps that fresh."""
    database, shelves = _guarded(settings.database_url or "", settings.pool_size)
    stack.push_async_callback(database.dispose)
    directory = TokenDirectory(clock)
    opened = await open_installation(database, directory, settings.data_dir, clock)
    if not opened.is_from_disk:
        await database.check_durability()

    delivery = Delivery(
        StoredFlags(database),
        directory,
        clock=clock,
        stream_secret=opened.installation.stream_secret,
        copies=opened.copies,
        options=DeliveryOptions(
            stream_cap=settings.stream_cap,
            stream_cap_per_token=settings.stream_cap_per_token,
            stream_admissions_per_s=settings.stream_admissions_per_s,
            cors_origins=settings.cors_origins,
            public_url=settings.public_url,
        ),
    )
    restored = await asyncio.to_thread(delivery.restore)
    await delivery.start()
    stack.push_async_callback(delivery.close)

    exposures = _exposures_of(settings, database, delivery, clock)
    await exposures.start()
    stack.push_async_callback(exposures.close)

    webhooks = _webhooks_of(settings, database, clock)
    await webhooks.start()
    stack.push_async_callback(webhooks.close)

    permits = permits_of(settings, opened.installation.installation_id, shelves)
    gatekeeper = _gatekeeper_of(webhooks.desk, database, permits.shelves, clock)
    await gatekeeper.start()
    stack.push_async_callback(gatekeeper.close)
    guardrails = await _guardrails_of(settings, database, stack)

    news = NewsDesk(database)
    stack.push_async_callback(news.close)

    feed = _feed_of(settings, database, directory, delivery, opened.copies)
    await feed.start()
    stack.push_async_callback(feed.stop)
    if restored and not opened.is_from_disk:
        # A copy on disk may be older than what was served before a crash: nobody should see a revision come back.
        await feed.wait_for_first_tick(_CONFIRMED_WITHIN_S)
    log.info("started", version=VERSION, environments_from_disk=restored, is_from_disk=opened.is_from_disk)
    return Core(
        settings=settings,
        clock=clock,
        database=database,
        directory=directory,
        opened=opened,
        delivery=delivery,
        exposures=exposures,
        webhooks=webhooks,
        gatekeeper=gatekeeper,
        guardrails=guardrails,
        news=news,
        scheduler=Scheduler(database, guardrails.reader, on_moved=webhooks.wake),
        permits=permits,
        feed=feed,
        metrics=Metrics(),
        idempotency=SqlIdempotencyStore(clock),
    )


def store_of(url: str, *, pool_size: int) -> Database:
    """The store, whose every transaction asks others and the release policy before it lights a flag."""
    return _guarded(url, pool_size)[0]


def _guarded(url: str, pool_size: int) -> tuple[Database, Shelves]:
    """The store with its gate, and what that keeps in memory: good for every decision."""
    database = Database(url, pool_size=pool_size)
    shelves = Shelves(database)
    database.carried[GATE] = FourEyes(PolicyGate(shelves))
    return database, shelves


def _exposures_of(settings: Settings, database: Database, delivery: Delivery, clock: Clock) -> Exposures:
    """What applications report, and what they may."""

    async def visible_flags(environment_id: UUID) -> frozenset[str]:
        return (await delivery.environments.get(environment_id)).served.client.keys

    return Exposures(
        database, clock=clock, visible_flags=visible_flags, retention_days=settings.exposure_retention_days
    )


def _webhooks_of(settings: Settings, database: Database, clock: Clock) -> Webhooks:
    """What sends out what happened."""
    desk = desk_of(settings)
    client = Client(desk.egress, user_agent=f"greenroom-server/{VERSION}")
    pace = Pace(retention=timedelta(days=settings.webhook_retention_days))
    return Webhooks(database, client, desk, clock=clock, pace=pace)


def permits_of(settings: Settings, installation_id: UUID, shelves: Shelves) -> PermitDesk:
    """What decides on permits and signs them: in the name of the public address, or of this installation."""
    verifier = Verifier(settings.public_url or f"urn:uuid:{installation_id}", VERSION)
    return PermitDesk(shelves, sealer_of(settings), verifier)


def _gatekeeper_of(desk: Desk, database: Database, shelves: Shelves, clock: Clock) -> Gatekeeper:
    """What answers forges."""
    client = Client(desk.egress, user_agent=f"greenroom-server/{VERSION}")
    return Gatekeeper(database, client, desk, shelves, clock=clock)


async def _guardrails_of(settings: Settings, database: Database, stack: AsyncExitStack) -> Guardrails:
    """What asks the sources of guardrails, begun."""
    desk = guardrail_desk_of(settings)
    client = Client(desk.egress, user_agent=f"greenroom-server/{VERSION}", limits=Limits(connect_s=2.0, total_s=5.0))
    stack.push_async_callback(client.close)
    guardrails = Guardrails(database, Asker(database, client, desk))
    await guardrails.start()
    stack.push_async_callback(guardrails.close)
    return guardrails


def _feed_of(
    settings: Settings, database: Database, directory: TokenDirectory, delivery: Delivery, copies: DiskCopies
) -> ChangeFeed:
    """What brings tokens and environments up to date when the store changes."""
    one_at_a_time = asyncio.Lock()  # of two looks at the tokens, the older one must not have the last word

    @asynccontextmanager
    async def look() -> AsyncIterator[StoredReader]:
        async with one_at_a_time:
            have_changed = False
            try:
                async with database.reading() as session:
                    have_changed = await refresh_directory(session, directory)
                    yield StoredReader(session)
            finally:
                if have_changed:
                    delivery.hub.sweep()
                    await asyncio.to_thread(save_directory, copies, directory)

    async def take_over_changes() -> None:
        await delivery.refresh(look)

    async def look_for_newcomers() -> None:
        if not feed.is_failing:
            with suppress(Unavailable):
                async with look():
                    pass

    feed = ChangeFeed(database, take_over_changes, interval_s=settings.poll_interval_s)
    directory.refresh_with(look_for_newcomers)
    return feed


def desk_of(settings: Settings) -> Desk:
    """Where webhooks may go and how their secrets are kept; raises ValueError, naming the setting that is wrong."""
    allowed, ports = settings.webhook_egress, settings.webhook_ports
    try:
        egress = Egress.of(allowed, ports=ports, is_insecure=settings.webhook_insecure)
    except ValueError as error:
        raise ValueError(f"GREENROOM_WEBHOOK_EGRESS: {error}") from None
    return Desk(egress, sealer_of(settings))


def guardrail_desk_of(settings: Settings) -> Desk:
    """Where guardrails may ask, which is theirs alone, and how their secrets are kept; raises ValueError likewise."""
    allowed, ports = settings.guardrail_egress, settings.guardrail_ports
    try:
        egress = Egress.of(
            allowed, ports=ports, is_insecure=settings.webhook_insecure, takes_http=settings.guardrail_http
        )
    except ValueError as error:
        raise ValueError(f"GREENROOM_GUARDRAIL_EGRESS: {error}") from None
    return Desk(egress, sealer_of(settings))


def sealer_of(settings: Settings) -> Sealer:
    """How secrets are kept; raises ValueError, naming the setting that is wrong."""
    try:
        return Sealer([key.get_secret_value() for key in settings.webhook_secret_keys])
    except ValueError:
        raise ValueError("GREENROOM_WEBHOOK_SECRET_KEYS: a key is 32 bytes as URL-safe base64") from None
