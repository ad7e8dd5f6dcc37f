"""What happens around a handler, in this order: path, credential, permission, query, body, transaction, answer.

Nothing is sent inside a transaction, so a slow client never holds a connection to the store.
"""

import logging
import re
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from greenroom_server.errors import (
    FieldError,
    GreenroomError,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from greenroom_server.web.body import media_type_of, read_body, send_and_close
from greenroom_server.web.call import Call, flag_of
from greenroom_server.web.conditional import IfMatch, is_unchanged
from greenroom_server.web.idempotency import IdempotencyKey, idempotency_key_of, replay, to_store
from greenroom_server.web.kit import Caller, WebKit
from greenroom_server.web.problems import problem_of, status_of
from greenroom_server.web.reply import Encoded
from greenroom_server.web.route import Route
from greenroom_server.web.scope import KEY_PATTERN, OTHER_PATTERNS, credential_of, mark_operation, request_id_of

log: Final = logging.getLogger(__name__)

MAX_QUERY_BYTES: Final = 8192
MAX_QUERY_PARAMETERS: Final = 50
_UNREAD: Final = (408, 413)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Endpoint:
    """One route as an ASGI app."""

    def __init__(self, route: Route, kit: WebKit) -> None:
        self._route = route
        self._kit = kit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mark_operation(scope, self._route.operation_id, self._route.template)
        try:
            reply = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return  # nobody is there to be answered, and nothing was begun
        except Exception as error:
            reply = answer_to(error, scope)
        if reply.status in _UNREAD:
            await send_and_close(reply, scope, receive, send)
        else:
            await reply.send(send, head=scope["method"] == "HEAD")

    async def _answer(self, request: Request) -> Encoded:
        call = await self._open(request)
        reply = await self._run(call)
        etag = reply.headers.get("etag")
        if self._route.method != "GET" or reply.status != 200 or etag is None or not reply.revalidates:
            return reply
        if not is_unchanged(request.headers.get("if-none-match"), etag):
            return reply
        kept = {name: value for name, value in reply.headers.items() if name != "content-type"}
        return Encoded(304, kept, b"")

    async def _open(self, request: Request) -> Call:
        route, scope = self._route, request.scope
        params = {name: str(value) for name, value in request.path_params.items()}
        if not all(OTHER_PATTERNS.get(name, KEY_PATTERN).fullmatch(value) for name, value in params.items()):
            raise NotFound
        principal = await self._authorize(scope, params)
        query = _query_of(scope, route.query_parameters)
        body, media_type = b"", None
        if route.reads_body:
            body = await read_body(scope, request.receive, limit=route.max_body, timeout_s=self._kit.body_timeout_s)
        if body:
            media_type = media_type_of(scope, route.media_types, takes_gzip=route.takes_gzip)
        return Call(
            request=request,
            principal=principal,
            params=params,
            query=query,
            body=body,
            media_type=media_type,
            if_match=_if_match_of(request),
            now=self._kit.clock.now(),
            dry_run=route.writes and flag_of(query, "dry_run"),
        )

    async def _authorize(self, scope: Scope, params: dict[str, str]) -> Caller | None:
        if self._route.is_public:
            return None
        authorizer, credential = self._kit.authorizer, credential_of(scope)
        asked = (credential, self._route.permission, params.get("project"), params.get("environment"))
        try:
            return authorizer.authorize(*asked)
        except Unauthenticated:
            if not await authorizer.catch_up(credential):
                raise
            return authorizer.authorize(*asked)

    async def _run(self, call: Call) -> Encoded:
        if self._route.store is None:
            return (await self._route.handler(call)).encoded()
        if self._route.glances is not None:
            call.seen = await self._route.glances(call)
        if self._route.looks is not None and call.seen is None:
            async with self._kit.unit_of_work(write=False, dry_run=False) as session:
                call.session = session
                call.seen = await self._route.looks(call)
        key = idempotency_key_of(call) if self._route.idempotent else None
        if key is None or call.dry_run:
            return await self._transact(call, None)
        try:
            return await self._transact(call, key)
        except (Unavailable, IdempotencyMismatch):
            raise
        except GreenroomError:
            # A twin of this request may have been first, and its effect is what we ran into: then its answer is ours.
            earlier = await self._find_earlier(key)
            if earlier is None:
                raise
            return earlier

    async def _transact(self, call: Call, key: IdempotencyKey | None) -> Encoded:
        store = self._kit.idempotency
        is_single = call.is_single and key is None and not call.dry_run
        unit = self._kit.unit_of_work(write=self._route.writes, dry_run=call.dry_run, is_single=is_single)
        async with unit as session:
            call.session = session
            if key is not None:
                stored = await store.find(session, key.scope, key.key)
                if stored is not None:
                    return replay(stored, key)
            reply = (await self._route.handler(call)).encoded()
            if key is not None and reply.status < 500:
                await store.save(session, key.scope, key.key, key.fingerprint, to_store(reply, key))
        return reply

    async def _find_earlier(self, key: IdempotencyKey) -> Encoded | None:
        async with self._kit.unit_of_work(write=True, dry_run=True) as session:
            stored = await self._kit.idempotency.find(session, key.scope, key.key)
            return None if stored is None else replay(stored, key)


def answer_to(error: Exception, scope: Scope) -> Encoded:
    """The problem document of an error; what we did not foresee goes to the log, never to the client."""
    if status_of(error) == 500:
        log.error("unhandled error", exc_info=error)
    return problem_of(error, request_id=request_id_of(scope)).encoded()


def _if_match_of(request: Request) -> IfMatch | None:
    sent = request.headers.getlist("if-match")
    return IfMatch.parse(", ".join(sent)) if sent else None


def _query_of(scope: Scope, allowed: frozenset[str]) -> QueryParams:
    raw = scope["query_string"]
    if not raw:
        return QueryParams()
    try:
        if len(raw) > MAX_QUERY_BYTES:
            raise ValueError
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_PARAMETERS
        )
    except ValueError:
        raise Invalid("the query string cannot be read") from None
    for name, value in pairs:
        if name not in allowed:
            detail = f"the query parameter `{name}` is not known here"
            raise Invalid(detail, errors=[FieldError(name, detail)])
        if _CONTROL.search(value):
            detail = f"the query parameter `{name}` holds control characters"
            raise Invalid(detail, errors=[FieldError(name, detail)])
    return QueryParams(pairs)
