"""What the routes of the area read alike from a request: where a page goes on, and filters."""

from typing import Any

from greenroom_server.releases.service_facts import FactFilter
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.pagination import PageRequest

FACT_FILTERS = ("service", "environment", "digest", "open")


def by_seq(call: Call) -> tuple[PageRequest, int | None]:
    """The page asked for of a list whose newest come first, and the number that it goes on below."""
    request = pagination.page_request(call, int)
    return request, None if request.after is None else request.after[0]


def by_key(call: Call) -> tuple[PageRequest, str | None]:
    """The page asked for of a list in the order of keys, and the key that it goes on after."""
    request = pagination.page_request(call, str)
    return request, None if request.after is None else request.after[0]


def fact_filter(call: Call) -> FactFilter:
    """Which facts of a kind to list."""
    query: Any = call.query
    return FactFilter(query.get("service"), query.get("environment"), query.get("digest"), is_open=call.flag("open"))
