"""The way in for the paths that are asked thousands of times a second: one look at the path, no router."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from greenroom_server.delivery.answers import failure
from greenroom_server.delivery.hub import Hub
from greenroom_server.delivery.ofrep import BULK_PATH, SINGLE_PREFIX, STREAM_PATH, Remote, RemoteEvaluation
from greenroom_server.delivery.requests import is_body_read
from greenroom_server.delivery.snapshots import Snapshots
from greenroom_server.delivery.streams import Streams
from greenroom_server.errors import GreenroomError, NotFound, Unauthenticated
from greenroom_server.web.body import send_and_close
from greenroom_server.web.problems import MethodNotAllowed, problem_of, status_of
from greenroom_server.web.reply import Reply
from greenroom_server.web.scope import credential_of, has_safe_path, mark_operation, request_id_of

_log = structlog.get_logger(__name__)

SNAPSHOT_PATH: Final = "/api/v1/sdk/snapshot"
SNAPSHOT_STREAM_PATH: Final = "/api/v1/sdk/stream"
STREAM_TOKEN: Final = "(stream token)"  # noqa: S105 (not a secret: the permission of the one route that takes such tokens)

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HotRoute:
    """One operation, as the table of all routes lists it."""

    method: str
    path: str
    operation_id: str
    permission: str


@dataclass(frozen=True, slots=True)
class _Target:
    route: HotRoute
    handler: Handler


ROUTES: Final = (
    HotRoute("POST", f"{SINGLE_PREFIX}{{key}}", "evaluate_flag", "evaluate"),
    HotRoute("POST", BULK_PATH, "evaluate_flags", "evaluate"),
    HotRoute("GET", STREAM_PATH, "stream_refetches", STREAM_TOKEN),
    HotRoute("GET", SNAPSHOT_PATH, "read_snapshot", "snapshot.read"),
    HotRoute("GET", SNAPSHOT_STREAM_PATH, "stream_snapshot", "snapshot.read"),
)


class HotPaths:
    """An ASGI app for the paths that it `matches`; everything else belongs to the router."""

    def __init__(self, remote: Remote, hub: Hub) -> None:
        evaluation, streams = RemoteEvaluation(remote), Streams(remote, hub)
        snapshots = Snapshots(remote.authenticator, remote.environments, remote.counters)
        handlers: Iterable[Handler] = (
            evaluation.evaluate_flag,
            evaluation.evaluate_flags,
            streams.stream_refetches,
            snapshots.read_snapshot,
            streams.stream_snapshot,
        )
        targets = [_Target(route, handler) for route, handler in zip(ROUTES, handlers, strict=True)]
        self._single = targets[0]
        self._others = {target.route.path: target for target in targets[1:]}
        self._authenticator = remote.authenticator
        self._counters = remote.counters
        self._cross_origin = remote.cross_origin

    @staticmethod
    def matches(path: str) -> bool:
        """Whether this path is served here, by whatever method."""
        return path.startswith(SINGLE_PREFIX) or path in _EXACT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        target = self._single if path.startswith(SINGLE_PREFIX) else self._others[path]
        mark_operation(scope, target.route.operation_id, target.route.path)
        try:
            if b"%" in scope.get("raw_path", b"") and not has_safe_path(scope):
                raise NotFound("there is nothing at this path")  # `%2F` for `/`: a proxy may have read another path
            if scope["method"] == target.route.method or (scope["method"] == "HEAD" and target.route.method == "GET"):
                try:
                    await target.handler(scope, receive, send)
                except Unauthenticated:  # raised before anything was read
                    if not await self._authenticator.catch_up(credential_of(scope)):
                        raise
                    await target.handler(scope, receive, send)
            elif scope["method"] == "OPTIONS" and path.startswith("/ofrep/"):
                await self._preflight(scope, send)
            else:
                raise MethodNotAllowed(_methods_of(target.route))
        except ClientDisconnect:
            pass
        except Exception as error:
            await self._fail(error, scope, receive, send)

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        status = status_of(error)
        if status < 500:
            self._counters.refusals += 1
        else:
            self._counters.failures += 1
        if not isinstance(error, GreenroomError):
            _log.error("delivery_failed", exc_info=error, operation=scope["path"][:100])
        reply = self._reply_to(error, scope)
        if scope["path"].startswith("/ofrep/"):
            added = self._cross_origin.headers(dict(scope["headers"]))
            headers = {name.decode(): value.decode("latin-1") for name, value in added}
            reply = replace(reply, headers={**reply.headers, **headers})
        reply = replace(reply, headers={**reply.headers, "x-content-type-options": "nosniff"})
        if scope["method"] == "POST" and not is_body_read(scope):
            await send_and_close(reply.encoded(), scope, receive, send)
        else:
            await reply.encoded().send(send, head=scope["method"] == "HEAD")

    def _reply_to(self, error: Exception, scope: Scope) -> Reply:
        path: str = scope["path"]
        request_id = request_id_of(scope)
        if path.startswith(SINGLE_PREFIX):
            return failure(error, key=path[len(SINGLE_PREFIX) :], request_id=request_id)
        if path == BULK_PATH:
            return failure(error, key=None, request_id=request_id)
        return problem_of(error, request_id=request_id)

    async def _preflight(self, scope: Scope, send: Send) -> None:
        headers = self._cross_origin.preflight(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


_EXACT: Final = frozenset(route.path for route in ROUTES[1:])


def _methods_of(route: HotRoute) -> list[str]:
    methods = [route.method]
    if route.method == "GET":
        methods.append("HEAD")
    if route.path.startswith("/ofrep/"):
        methods.append("OPTIONS")
    return methods
