"""The composition root: reads top to bottom, and is the only place that knows every area."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any
from uuid import UUID, uuid4

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from greenroom_server.access.directory import TokenDirectory
from greenroom_server.access.routes import routes as access_routes
from greenroom_server.access.service import refresh_directory, write_last_used
from greenroom_server.audit.routes import ROUTES as AUDIT_ROUTES
from greenroom_server.clock import Clock, SystemClock
from greenroom_server.contract import contract_route
from greenroom_server.database.change_feed import ChangeFeed
from greenroom_server.database.engine import Database
from greenroom_server.database.idempotency import SqlIdempotencyStore
from greenroom_server.delivery.disk import DiskCopies
from greenroom_server.delivery.hot_paths import HotPaths
from greenroom_server.delivery.service import Delivery, DeliveryOptions
from greenroom_server.delivery.store import StoredFlags, StoredReader
from greenroom_server.delivery.subscriber import remember_connection
from greenroom_server.errors import GreenroomError, Unavailable
from greenroom_server.exposures.routes import intake_route
from greenroom_server.exposures.routes_views import ROUTES as EXPOSURE_ROUTES
from greenroom_server.exposures.service import Exposures, TakeIn
from greenroom_server.exposures.service_darkness import watch_darkness
from greenroom_server.flags.routes_flags import ROUTES as FLAG_ROUTES
from greenroom_server.flags.routes_projects import ROUTES as PROJECT_ROUTES
from greenroom_server.flags.routes_segments import ROUTES as SEGMENT_ROUTES
from greenroom_server.flags.service_scope import find_environment_id
from greenroom_server.installation import Opened, open_installation, save_directory
from greenroom_server.observability.logs import AccessLog
from greenroom_server.observability.metrics import Metrics
from greenroom_server.observability.tracing import Tracing
from greenroom_server.releases.routes_builds import ROUTES as BUILD_ROUTES
from greenroom_server.releases.routes_facts import ROUTES as FACT_ROUTES
from greenroom_server.releases.routes_services import ROUTES as SERVICE_ROUTES
from greenroom_server.settings import Settings
from greenroom_server.web.health import Check, Readiness, Scrape, health_routes
from greenroom_server.web.kit import WebKit
from greenroom_server.web.middleware import HostAllowList, RequestBoundary
from greenroom_server.web.routing import Route, build_router
from greenroom_server.webhooks.address import Egress
from greenroom_server.webhooks.client import Client
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.routes import routes as webhook_routes
from greenroom_server.webhooks.sealing import Sealer
from greenroom_server.webhooks.sender import Pace, Webhooks

log = structlog.get_logger(__name__)

_HOUSEKEEPING_S = 60.0
_SAMPLING_S = 5.0
VERSION = version("greenroom-server")


def create_app(settings: Settings, clock: Clock | None = None) -> "Server":
    """The server as an ASGI app; everything is opened at its lifespan's start and closed in reverse at its end."""
    return Server(settings, clock or SystemClock())


def desk_of(settings: Settings) -> Desk:
    """Where webhooks may go and how their secrets are kept; raises ValueError, naming the setting that is wrong."""
    try:
        egress = Egress.of(settings.webhook_egress, ports=settings.webhook_ports, is_insecure=settings.webhook_insecure)
    except ValueError as error:
        raise ValueError(f"GREENROOM_WEBHOOK_EGRESS: {error}") from None
    try:
        return Desk(egress, Sealer([key.get_secret_value() for key in settings.webhook_secret_keys]))
    except ValueError:
        raise ValueError("GREENROOM_WEBHOOK_SECRET_KEYS: a key is 32 bytes as URL-safe base64") from None


def routes(*, readiness: Readiness, scrape: Scrape, take_in: TakeIn, desk: Desk) -> tuple[Route, ...]:
    """The table of all operations but the hot ones, which `delivery.hot_paths.ROUTES` lists."""
    return (
        *health_routes(readiness=readiness, scrape=scrape),
        contract_route(),
        *access_routes(find_environment_id),
        *PROJECT_ROUTES,
        *FLAG_ROUTES,
        *SEGMENT_ROUTES,
        *SERVICE_ROUTES,
        *BUILD_ROUTES,
        *FACT_ROUTES,
        *AUDIT_ROUTES,
        *webhook_routes(desk),
        *EXPOSURE_ROUTES,
        intake_route(take_in),
    )


@dataclass(frozen=True, slots=True)
class _Core:
    """What the doors and the background work share."""

    settings: Settings
    clock: Clock
    database: Database
    directory: TokenDirectory
    opened: Opened
    delivery: Delivery
    exposures: Exposures
    webhooks: Webhooks
    feed: ChangeFeed
    metrics: Metrics
    idempotency: SqlIdempotencyStore


async def _open_core(settings: Settings, clock: Clock, stack: AsyncExitStack) -> _Core:
    """The store, who may use it, what is served from memory, and what keeps that fresh."""
    database = Database(settings.database_url or "", pool_size=settings.pool_size)
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

    feed = _feed_of(settings, database, directory, delivery, opened.copies)
    await feed.start()
    stack.push_async_callback(feed.stop)
    log.info("started", version=VERSION, environments_from_disk=restored, is_from_disk=opened.is_from_disk)
    return _Core(
        settings=settings,
        clock=clock,
        database=database,
        directory=directory,
        opened=opened,
        delivery=delivery,
        exposures=exposures,
        webhooks=webhooks,
        feed=feed,
        metrics=Metrics(),
        idempotency=SqlIdempotencyStore(clock),
    )


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
        if feed.is_healthy:
            with suppress(Unavailable):
                async with look():
                    pass

    feed = ChangeFeed(database, take_over_changes, interval_s=settings.poll_interval_s)
    directory.refresh_with(look_for_newcomers)
    return feed


def _open_doors(core: _Core, stack: AsyncExitStack) -> ASGIApp:
    """Hot paths and router, and what surrounds them."""
    settings = core.settings
    kit = WebKit(
        authorizer=core.directory,
        unit_of_work=lambda *, write, dry_run: _writing(core, dry_run) if write else core.database.reading(),
        idempotency=core.idempotency,
        clock=core.clock,
    )
    table = routes(
        readiness=lambda: _readiness(core),
        scrape=core.metrics.scrape,
        take_in=core.exposures.take_in,
        desk=core.webhooks.desk,
    )
    hot_paths: ASGIApp = core.delivery.hot_paths
    router: ASGIApp = build_router(table, kit=kit)
    if settings.allowed_hosts != ("*",):
        hot_paths = HostAllowList(hot_paths, hosts=settings.allowed_hosts)
        router = HostAllowList(router, hosts=settings.allowed_hosts)
    app: ASGIApp = _Doors(hot_paths, RequestBoundary(router, observers=(core.metrics, AccessLog())))
    if settings.otel_endpoint is not None:
        tracing = Tracing(settings.otel_endpoint, version=VERSION, instance_id=str(uuid4()))
        stack.callback(tracing.close)
        app = tracing.wrap(app)
    return app


@asynccontextmanager
async def _writing(core: _Core, dry_run: bool) -> AsyncIterator[Any]:
    """A writing transaction; once it is committed, webhooks may have something to send."""
    async with core.database.transaction(dry_run=dry_run) as session:
        yield session
    core.webhooks.wake()


def _watch(core: _Core) -> None:
    """Show how it is doing."""
    core.delivery.watch(core.metrics)
    core.exposures.watch(core.metrics)
    core.webhooks.watch(core.metrics)
    watch = core.metrics.watch
    watch(
        "environments",
        "Environments in memory.",
        lambda: len(list(core.delivery.environments.environments)),
        across="max",
    )
    watch("tokens", "Valid tokens in memory.", lambda: len(core.directory), across="max")
    watch("database_up", "Whether the last look at the database went well.", lambda: core.feed.is_healthy, across="min")


def _readiness(core: _Core) -> Sequence[Check]:
    return (
        Check("database", "ok" if core.feed.is_healthy else "degraded"),
        Check("snapshots", "degraded" if core.delivery.is_stale else "ok"),
    )


def _work_beside(core: _Core, stack: AsyncExitStack) -> None:
    """What runs beside the requests."""
    for name, work in (
        ("housekeeping", _keep_house(core)),
        ("keeping exposures", _keep_exposures(core)),
        ("watching darkness", _watch_darkness(core)),
        ("sampling", _sample(core.metrics)),
    ):
        stack.push_async_callback(_ended, asyncio.create_task(work, name=name))


class _Doors:
    """Hot paths go straight in; everything else through the router."""

    def __init__(self, hot_paths: ASGIApp, app: ASGIApp) -> None:
        self._hot_paths = hot_paths
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and HotPaths.matches(scope["path"]):
            await self._hot_paths(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Server:
    """The ASGI app: opens everything when the server starts, and hands requests to what was opened."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._app: ASGIApp | None = None
        self._delivery: Delivery | None = None
        self._goodbye: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Raises `installation.NothingToServe`, and whatever is wrong with the settings."""
        core = await _open_core(self._settings, self._clock, self._stack)
        self._app = _open_doors(core, self._stack)
        _watch(core)
        _work_beside(core, self._stack)
        self._delivery = core.delivery

    def begin_goodbye(self) -> None:
        """Tell the streams that this process is about to stop, and take no new ones. For whoever hears it first."""
        if self._delivery is not None and self._goodbye is None:
            self._goodbye = asyncio.get_running_loop().create_task(self._delivery.say_goodbye())

    async def close(self) -> None:
        """Say goodbye to streams and close everything."""
        await self._stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            if self._settings.otel_endpoint is not None:
                remember_connection(scope, send)  # tracing hides it from delivery
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except Exception as error:
            log.error("cannot start", reason=str(error), exc_info=True)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _keep_house(core: _Core) -> None:
    while True:
        await asyncio.sleep(_HOUSEKEEPING_S)
        used = core.directory.take_used()
        try:
            async with core.database.transaction() as session:
                if used:
                    await write_last_used(session, used, core.clock.now())
                await core.idempotency.prune(session)
            await core.webhooks.keep_house()
        except Unavailable:
            log.debug("housekeeping waits for the database")


async def _keep_exposures(core: _Core) -> None:
    while True:
        try:
            await core.exposures.keep_house()
        except GreenroomError as error:  # the store is away
            log.debug("exposures are looked after later", reason=error.detail)
        await asyncio.sleep(_HOUSEKEEPING_S)


async def _watch_darkness(core: _Core) -> None:
    while True:
        try:
            async with core.database.transaction() as session:
                raised = await watch_darkness(session, core.clock.now())
            if raised:
                core.webhooks.wake()
        except GreenroomError as error:  # the store is away, or what was looked at was deleted meanwhile
            log.debug("darkness is watched later", reason=error.detail)
        await asyncio.sleep(core.settings.alert_interval_s)


async def _sample(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(_SAMPLING_S)
        metrics.sample()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
