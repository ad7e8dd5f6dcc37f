"""The route table: every operation with its permission, and the Starlette router built from it.

A route without a permission does not exist: it cannot be constructed. `PUBLIC` says aloud that none is needed.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from starlette.routing import Route as StarletteRoute
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from greenroom_server.errors import NotFound
from greenroom_server.web.call import Call
from greenroom_server.web.endpoint import Endpoint, answer_to
from greenroom_server.web.kit import WebKit
from greenroom_server.web.problems import MethodNotAllowed
from greenroom_server.web.reply import JSON, Reply
from greenroom_server.web.scope import has_safe_path

__all__ = ["PUBLIC", "Call", "Handler", "Reply", "Route", "build_router"]

PUBLIC: Final = "(public)"
MIB: Final = 1024 * 1024
MERGE_PATCH: Final = "application/merge-patch+json"

Handler = Callable[[Call], Awaitable[Reply]]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PARAMETER: Final = re.compile(r"\{[^}]*\}")
_CONVERTOR: Final = re.compile(r":[a-z]+\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    `writes` opens a writing transaction for the handler and understands `?dry_run=true`; `store="read"` opens a reading
    one. `query` names the parameters that are understood, all others are refused. `idempotent` honours
    `Idempotency-Key`. Path parameters are keys; `{id:uuid}` narrows one further.
    """

    method: str
    path: str
    operation_id: str
    permission: str
    handler: Handler
    writes: bool = False
    idempotent: bool = False
    store: Literal["read", "write"] | None = None
    query: tuple[str, ...] = ()
    max_body: int = MIB
    media_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.permission:
            raise ValueError(f"`{self.operation_id}` declares no permission; say PUBLIC if it needs none")
        if self.method not in _METHODS:
            raise ValueError(f"`{self.operation_id}`: `{self.method}` is not one of {', '.join(_METHODS)}")
        if self.idempotent and (self.is_public or self.method != "POST"):
            raise ValueError(f"`{self.operation_id}`: only a POST with a credential can be idempotent by key")
        writes = self.writes or self.idempotent or self.store == "write"
        object.__setattr__(self, "writes", writes)
        if writes:
            object.__setattr__(self, "store", "write")
        if not self.media_types:
            object.__setattr__(self, "media_types", (MERGE_PATCH, JSON) if self.method == "PATCH" else (JSON,))

    @property
    def is_public(self) -> bool:
        return self.permission == PUBLIC

    @property
    def template(self) -> str:
        """The path as openapi.yaml writes it."""
        return _CONVERTOR.sub("}", self.path)

    @property
    def reads_body(self) -> bool:
        return self.method != "GET"

    @property
    def query_parameters(self) -> frozenset[str]:
        """Every query parameter that is understood."""
        return frozenset((*self.query, "dry_run") if self.writes else self.query)


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
