"""The composition root: reads top to bottom, and is the only place that knows every area."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from greenroom_server.access.routes import routes as access_routes
from greenroom_server.adapters.routes import routes as integration_routes
from greenroom_server.adapters.routes_controllers import ControllerDoor
from greenroom_server.adapters.routes_forges import ForgeDoor
from greenroom_server.audit.routes import ROUTES as AUDIT_ROUTES
from greenroom_server.background import work_beside
from greenroom_server.change_requests.routes import ROUTES as CHANGE_REQUEST_ROUTES
from greenroom_server.clock import Clock, SystemClock
from greenroom_server.contract import contract_routes
from greenroom_server.core import VERSION, Core, open_core
from greenroom_server.decisions.routes import decision_routes
from greenroom_server.decisions.routes_gates import gate_routes
from greenroom_server.decisions.routes_questions import question_route
from greenroom_server.decisions.routes_stories import story_routes
from greenroom_server.decisions.waiting import Waiting
from greenroom_server.delivery.hot_paths import HotPaths
from greenroom_server.delivery.service import Delivery
from greenroom_server.delivery.subscriber import remember_connection
from greenroom_server.exposures.routes import intake_route
from greenroom_server.exposures.routes_views import ROUTES as EXPOSURE_ROUTES
from greenroom_server.exposures.service import TakeIn
from greenroom_server.flags.routes_flags import ROUTES as FLAG_ROUTES
from greenroom_server.flags.routes_projects import ROUTES as PROJECT_ROUTES
from greenroom_server.flags.routes_segments import ROUTES as SEGMENT_ROUTES
from greenroom_server.flags.service_scope import find_environment_id
from greenroom_server.guardrails.routes import Tester, guardrail_routes
from greenroom_server.observability.logs import AccessLog
from greenroom_server.observability.tracing import Tracing
from greenroom_server.permits.desk import Desk as PermitDesk
from greenroom_server.permits.routes import permit_routes
from greenroom_server.permits.service_sanctions import PermitSanctions
from greenroom_server.readiness.routes import readiness_routes
from greenroom_server.releases.routes_builds import ROUTES as BUILD_ROUTES
from greenroom_server.releases.routes_builds import deployment_routes
from greenroom_server.releases.routes_events import event_routes
from greenroom_server.releases.routes_facts import ROUTES as FACT_ROUTES
from greenroom_server.releases.routes_services import ROUTES as SERVICE_ROUTES
from greenroom_server.rollouts.listening import Listener
from greenroom_server.rollouts.routes import release_routes
from greenroom_server.settings import Settings
from greenroom_server.web.health import Check, Readiness, Scrape, health_routes
from greenroom_server.web.kit import WebKit
from greenroom_server.web.middleware import HostAllowList, RequestBoundary
from greenroom_server.web.routing import Route, build_router
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.routes import routes as webhook_routes

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What routes are made with: all that they do not find in the request."""

    readiness: Readiness
    scrape: Scrape
    take_in: TakeIn
    desk: Desk
    waiting: Waiting
    permits: PermitDesk
    listener: Listener
    guardrail_desk: Desk
    guardrail_tester: Tester


def create_app(settings: Settings, clock: Clock | None = None) -> "Server":
    """The server as an ASGI app; everything is opened at its lifespan's start and closed in reverse at its end."""
    return Server(settings, clock or SystemClock())


def routes(parts: Parts) -> tuple[Route, ...]:
    """The table of all operations but the hot ones, which `delivery.hot_paths.ROUTES` lists."""
    sanctions = PermitSanctions(parts.permits)
    return (
        *health_routes(readiness=parts.readiness, scrape=parts.scrape),
        *contract_routes(),
        *access_routes(find_environment_id),
        *PROJECT_ROUTES,
        *FLAG_ROUTES,
        *SEGMENT_ROUTES,
        *CHANGE_REQUEST_ROUTES,
        *SERVICE_ROUTES,
        *BUILD_ROUTES,
        *deployment_routes(sanctions),
        *FACT_ROUTES,
        *event_routes(sanctions),
        *decision_routes(parts.permits.shelves, parts.waiting),
        question_route(parts.permits.shelves, parts.desk),
        *story_routes(parts.permits.shelves.policies),
        *gate_routes(parts.permits.shelves.policies),
        *permit_routes(parts.permits),
        *integration_routes(parts.desk),
        *ForgeDoor(parts.desk).routes(),
        *ControllerDoor(parts.desk, parts.permits.shelves).routes(),
        *readiness_routes(parts.permits.shelves.policies),
        *release_routes(parts.listener),
        *guardrail_routes(parts.guardrail_desk, parts.guardrail_tester),
        *AUDIT_ROUTES,
        *webhook_routes(parts.desk),
        *EXPOSURE_ROUTES,
        intake_route(parts.take_in),
    )


def _open_doors(core: Core, stack: AsyncExitStack) -> ASGIApp:
    """Hot paths and router, and what surrounds them."""
    settings = core.settings
    kit = WebKit(
        authorizer=core.directory,
        unit_of_work=partial(_unit_of_work, core),
        idempotency=core.idempotency,
        clock=core.clock,
    )
    parts = Parts(
        readiness=lambda: _readiness(core),
        scrape=core.metrics.scrape,
        take_in=core.exposures.take_in,
        desk=core.webhooks.desk,
        waiting=Waiting(core.database, core.news, core.clock),
        permits=core.permits,
        listener=core.scheduler.listener,
        guardrail_desk=core.guardrails.desk,
        guardrail_tester=core.guardrails,
    )
    hot_paths: ASGIApp = core.delivery.hot_paths
    router: ASGIApp = build_router(routes(parts), kit=kit)
    if settings.allowed_hosts != ("*",):
        hot_paths = HostAllowList(hot_paths, hosts=settings.allowed_hosts)
        router = HostAllowList(router, hosts=settings.allowed_hosts)
    app: ASGIApp = _Doors(hot_paths, RequestBoundary(router, observers=(core.metrics, AccessLog())))
    if settings.otel_endpoint is not None:
        tracing = Tracing(settings.otel_endpoint, version=VERSION, instance_id=str(uuid4()))
        stack.callback(tracing.close)
        app = tracing.wrap(app)
    return app


def _unit_of_work(
    core: Core, *, write: bool, dry_run: bool, is_single: bool = False
) -> AbstractAsyncContextManager[Any]:
    if not write:
        return core.database.reading()
    return _writing(core, core.database.single() if is_single else core.database.transaction(dry_run=dry_run))


@asynccontextmanager
async def _writing(core: Core, unit: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
    """Something is written; once it is committed, webhooks may have something to send."""
    async with unit as session:
        yield session
    core.webhooks.wake()


def _watch(core: Core) -> None:
    """Show how it is doing."""
    core.delivery.watch(core.metrics)
    core.exposures.watch(core.metrics)
    core.webhooks.watch(core.metrics)
    core.guardrails.watch(core.metrics)
    watch = core.metrics.watch
    watch(
        "environments",
        "Environments in memory.",
        lambda: len(list(core.delivery.environments.environments)),
        across="max",
    )
    watch("tokens", "Valid tokens in memory.", lambda: len(core.directory), across="max")
    watch("database_up", "Whether the last look at the database went well.", lambda: core.feed.is_healthy, across="min")


def _readiness(core: Core) -> Sequence[Check]:
    return (
        Check("database", "ok" if core.feed.is_healthy else "degraded"),
        Check("snapshots", "degraded" if core.delivery.is_stale else "ok"),
    )


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
        core = await open_core(self._settings, self._clock, self._stack)
        self._app = _open_doors(core, self._stack)
        _watch(core)
        work_beside(core, self._stack)
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
