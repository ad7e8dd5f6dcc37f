"""Pages of a list: an opaque cursor that says where to go on, and the shape of the answer.

A cursor is the sort key of the last item, so a page is found by an index and never by counting rows.
It holds nothing secret and grants nothing: what a caller may see is asked anew for each page.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from starlette.datastructures import QueryParams

from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.web.codec import read_json, write_json

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_CURSOR_LENGTH: Final = 1024
QUERY: Final = ("limit", "cursor")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What the caller asked for; `after` is the sort key given to `cursor_of`, or None for the first page."""

    limit: int
    after: tuple[Any, ...] | None


class _HasQuery(Protocol):
    @property
    def query(self) -> QueryParams: ...


def page_request(call: _HasQuery, *kinds: type) -> PageRequest:
    """Reads `limit` and `cursor`; `kinds` are the types of the sort key's parts, so that no other cursor is taken."""
    cursor = call.query.get("cursor")
    return PageRequest(_limit_of(call.query.get("limit")), None if cursor is None else _key_of(cursor, kinds))


def cursor_of(*sort_key: Any) -> str:
    """The cursor that goes on after the item with this sort key (texts, integers, booleans)."""
    return base64.urlsafe_b64encode(write_json(sort_key)).rstrip(b"=").decode()


def page(
    rows: Sequence[T], request: PageRequest, *, item: Callable[[T], Any], sort_key: Callable[[T], tuple[Any, ...]]
) -> dict[str, Any]:
    """The body of a list's answer. Ask the store for `limit + 1` rows: the extra one proves that there is more."""
    shown = rows[: request.limit]
    has_more = len(rows) > request.limit
    return {
        "items": [item(row) for row in shown],
        "next_cursor": cursor_of(*sort_key(shown[-1])) if has_more else None,
    }


def _limit_of(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise _wrong("limit", f"`limit` must be a whole number from 1 to {MAX_LIMIT}")
    if len(text) > 6 or int(text) > MAX_LIMIT:
        raise LimitExceeded("limit", MAX_LIMIT, field="limit")
    return int(text)


def _key_of(cursor: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    refused = _wrong("cursor", "`cursor` is not one that this list gave out")
    if not cursor.isascii() or len(cursor) > MAX_CURSOR_LENGTH:
        raise refused
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = read_json(data, depth=1)
    except (binascii.Error, Invalid):
        raise refused from None
    if not isinstance(key, list) or tuple(type(part) for part in key) != kinds:
        raise refused
    return tuple(key)


def _wrong(name: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(name, detail)])
