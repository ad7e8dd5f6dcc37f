"""One operation as the route table lists it.

A route without a permission does not exist: it cannot be constructed. `PUBLIC` says aloud that none is needed, and
`SIGNED` that what comes is no token of ours but a proof that the handler itself verifies before anything else.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from greenroom_server.web.call import Call
from greenroom_server.web.reply import JSON, Reply

PUBLIC: Final = "(public)"
SIGNED: Final = "(signed)"
MIB: Final = 1024 * 1024
MERGE_PATCH: Final = "application/merge-patch+json"

Handler = Callable[[Call], Awaitable[Reply]]
Look = Callable[[Call], Awaitable[Any]]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CONVERTOR: Final = re.compile(r":[a-z]+\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    `writes` opens a writing transaction for the handler and understands `?dry_run=true`; `store="read"` opens a reading
    one. `looks` comes before the handler, in a reading transaction of its own: for what a write is based on and must be
    one state of the store; what it returns is `Call.seen`. `glances` comes before that, without a session: unless it
    returns None, there is no need to look. `query` names the parameters that are understood, all others
    are refused. `idempotent` honours `Idempotency-Key`. Path parameters are keys, save those that
    `scope.OTHER_PATTERNS` names; `{id:uuid}` narrows one further. With `takes_gzip` the body may come
    packed, as `Content-Encoding: gzip` says; unpacking it within limits is the handler's.
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
    takes_gzip: bool = False
    looks: Look | None = None
    glances: Look | None = None

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
        """Whether the kit asks for no token."""
        return self.permission in (PUBLIC, SIGNED)

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
