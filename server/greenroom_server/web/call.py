"""One request, as its handler sees it: authorised, read to the end, within limits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.web.codec import MAX_NODES, read_json
from greenroom_server.web.conditional import IfMatch
from greenroom_server.web.validation import parse

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(slots=True)
class Call:
    """What a handler is given.

    `principal` is what the `Authorizer` returned (None on a PUBLIC route) and `session` what the `UnitOfWork` opened
    (None if the route declares no store, and while it `glances`); both are Any because their types belong to layers
    that this one must not know. `query` holds only parameters that the route declares. `seen` is what the route's
    `glances` or `looks` returned; with `is_single` they say that the handler makes but one statement.
    """

    request: Request
    principal: Any
    params: dict[str, str]
    query: QueryParams
    body: bytes
    media_type: str | None
    if_match: IfMatch | None
    now: datetime
    dry_run: bool = False
    is_single: bool = False
    session: Any = None
    seen: Any = None

    def json(self, *, nodes: int = MAX_NODES) -> Any:
        """The body as JSON, read strictly and within the limits."""
        if not self.body:
            raise Invalid("the request needs a JSON body")
        return read_json(self.body, nodes=nodes)

    def parse(self, model: type[ModelT]) -> ModelT:
        """The body as `model`; raises `Invalid` with every error found."""
        return parse(model, self.json())

    def flag(self, name: str) -> bool:
        """A yes-or-no query parameter; absent means no."""
        return flag_of(self.query, name)


def flag_of(query: QueryParams, name: str) -> bool:
    values = query.getlist(name)
    if values in ([], ["false"]):
        return False
    if values == ["true"]:
        return True
    detail = f"`{name}` must be `true` or `false`"
    raise Invalid(detail, errors=[FieldError(name, detail)])
