"""The route tables of the server, as one list."""

from typing import Any
from uuid import UUID

from greenroom_server.app import Parts, routes
from greenroom_server.core import desk_of, permits_of
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.delivery.hot_paths import ROUTES as HOT_ROUTES
from greenroom_server.settings import Settings


def all_routes() -> list[Any]:
    """Every `Route` and every `HotRoute`; they share method, path, operation_id and permission."""
    desk = desk_of(Settings())
    nothing: Any = None  # no request is made here
    parts = Parts(
        readiness=lambda: (),
        scrape=lambda _: (b"", "text/plain"),
        take_in=_take_in,
        desk=desk,
        waiting=nothing,
        listener=nothing,
        permits=permits_of(Settings(), UUID(int=0), Shelves(nothing)),
        guardrail_desk=desk,
        guardrail_tester=nothing,
    )
    return [*routes(parts), *HOT_ROUTES]


async def _take_in(*_: Any) -> Any:
    raise NotImplementedError


def template_of(route: Any) -> str:
    """The path as openapi.yaml writes it."""
    return str(getattr(route, "template", route.path))
