"""The route table: every operation with its permission, and the Starlette router built from it."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.routing import Route as StarletteRoute
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from greenroom_server.errors import NotFound
from greenroom_server.web.call import Call
from greenroom_server.web.endpoint import Endpoint, answer_to
from greenroom_server.web.kit import WebKit
from greenroom_server.web.problems import MethodNotAllowed
from greenroom_server.web.reply import Reply
from greenroom_server.web.route import PUBLIC, SIGNED, Handler, Route
from greenroom_server.web.scope import has_safe_path

__all__ = ["PUBLIC", "SIGNED", "Call", "Handler", "Reply", "Route", "build_router"]

_PARAMETER: Final = re.compile(r"\{[^}]*\}")


def build_router(routes: Iterable[Route], *, kit: WebKit) -> Router:
    """The table as an ASGI app; raises ValueError if two routes share an operation id or a method and path."""
    table = tuple(routes)
    _refuse_duplicates(table)
    by_path: dict[str, dict[str, ASGIApp]] = {}
    for route in sorted(table, key=_literals_first):
        by_path.setdefault(route.path, {})[route.method] = Endpoint(route, kit)
    return Router(
        [StarletteRoute(path, _Resource(methods)) for path, methods in by_path.items()],
        redirect_slashes=False,
        default=_nothing_here,
    )


class _Resource:
    """All methods of one path."""

    def __init__(self, methods: dict[str, ASGIApp]) -> None:
        self._methods = methods
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not has_safe_path(scope):
            return await _nothing_here(scope, receive, send)
        endpoint = self._methods.get(scope["method"])
        if endpoint is None:
            return await answer_to(MethodNotAllowed(self._methods), scope).send(send)
        await endpoint(scope, receive, send)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await answer_to(NotFound("there is nothing at this path"), scope).send(send, head=scope["method"] == "HEAD")
    else:
        await send({"type": "websocket.close", "code": 1000, "reason": ""})


def _literals_first(route: Route) -> list[bool]:
    return [segment.startswith("{") for segment in route.path.split("/")]


def _refuse_duplicates(table: Sequence[Route]) -> None:
    seen: set[object] = set()
    spellings: dict[str, str] = {}
    for route in table:
        nameless = _PARAMETER.sub("{}", route.path)
        if spellings.setdefault(nameless, route.path) != route.path:
            raise ValueError(f"`{route.path}` and `{spellings[nameless]}` name the parameters of one path differently")
        for mark in (route.operation_id, (route.method, nameless)):
            if mark in seen:
                raise ValueError(f"`{route.operation_id}` ({route.method} {route.path}) is there twice")
            seen.add(mark)
