"""Reading a request on the hot paths: who asks, and the evaluation context that they send."""

import asyncio
from time import monotonic
from typing import Any, Final, cast

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from greenroom_server.access.principal import Principal
from greenroom_server.delivery.sources import Authenticator
from greenroom_server.errors import (
    FieldError,
    Forbidden,
    Invalid,
    LimitExceeded,
    PayloadTooLarge,
    Unauthenticated,
    Unsupported,
)
from greenroom_server.web.codec import MAX_CONTEXT_NODES, MAX_INTEGER, MAX_STRING_BYTES, read_json
from greenroom_server.web.problems import RequestTimeout
from greenroom_server.web.scope import credential_of

MAX_CONTEXT_BYTES: Final = 64 * 1024

Headers = dict[bytes, bytes]

NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_BODY_IS_READ: Final = "greenroom.body_is_read"


def authenticate(authenticator: Authenticator, scope: Scope, headers: Headers, permission: str) -> Principal:
    """The SDK key that asks; raises `Unauthenticated` or `Forbidden`."""
    bearer = headers.get(b"authorization")
    if bearer is None or bearer[:7] != b"Bearer " or b"x-api-key" in headers or len(headers) != len(scope["headers"]):
        token = credential_of(scope)  # the exact reader: other spellings, several credentials
    else:
        token = bearer[7:].decode("latin-1").strip()
    principal = authenticator.principal(token) if token else None
    if principal is None:
        raise Unauthenticated
    if permission not in principal.permissions:
        raise Forbidden(f"a token of kind `{principal.kind}` lacks the permission `{permission}`")
    if principal.environment_id is None:
        raise Forbidden("this takes an SDK key, which belongs to one environment")
    return principal


class BodyReader:
    """Reads evaluation contexts, and gives up on bodies that do not arrive.

    One sweep a second does what a timer for every request would do at ten times the cost.
    """

    def __init__(self, *, limit_s: float = 10.0) -> None:
        self._limit_s = limit_s
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

    async def read_context(self, scope: Scope, headers: Headers, receive: Receive) -> dict[str, Any]:
        """The evaluation context of a request; `{}` and a missing context are the empty one."""
        content_type = headers.get(b"content-type")
        if content_type != b"application/json" or b"content-encoding" in headers:
            _check_media_type(content_type, headers.get(b"content-encoding"))
        declared = headers.get(b"content-length")
        if declared is not None and (len(declared) > 9 or not declared.isdigit() or int(declared) > MAX_CONTEXT_BYTES):
            raise _too_large()
        body = await self._read(receive)
        scope[_BODY_IS_READ] = True
        return context_of(body)

    def sweep(self) -> None:
        """Give up on who is too late; to be called about once a second."""
        too_old = monotonic() - self._limit_s
        for task in [task for task, since in self._waiting.items() if since < too_old]:
            self._late.add(task)
            task.cancel()

    async def _read(self, receive: Receive) -> bytes:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine always runs in one)
        self._waiting[task] = monotonic()
        try:
            message = await receive()
            if not message.get("more_body", False) and message["type"] == "http.request":
                body: bytes = message.get("body", b"")
                if len(body) > MAX_CONTEXT_BYTES:
                    raise _too_large()
                return body
            return await _read_on(message, receive)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise RequestTimeout from None
        finally:
            del self._waiting[task]
            self._late.discard(task)


def is_body_read(scope: Scope) -> bool:
    """Whether nothing more of the request's body is to come."""
    return _BODY_IS_READ in scope


def context_of(body: bytes) -> dict[str, Any]:
    """The context in an OFREP request's body.

    Raises `Invalid` with the code `parse_error` if it is no JSON, `Invalid` or `LimitExceeded` if it is no context.
    """
    try:
        request = orjson.loads(body)
        if _is_surely_harmless(body, request):
            return cast("dict[str, Any]", request["context"])
    except orjson.JSONDecodeError:
        pass  # the exact reader says what is wrong
    return _context_of(body)


def _is_surely_harmless(body: bytes, request: Any) -> bool:
    # The common context, proven cheaply: flat, short, no escapes, and a colon for each key, so nothing came twice.
    if type(request) is not dict or len(request) != 1 or len(body) > MAX_STRING_BYTES or b"\\" in body:
        return False
    context = request.get("context")
    if type(context) is not dict or body.count(b":") != 1 + len(context):
        return False
    for value in context.values():
        kind = type(value)
        if kind is str:
            continue
        if kind is int or kind is float:
            # The parser makes floats of integers past 64 bits; the exact reader can tell.
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                return False
        elif kind is not bool:
            return False
    return type(context.get("targetingKey", "")) is str


def _context_of(body: bytes) -> dict[str, Any]:
    try:
        request = read_json(body, nodes=MAX_CONTEXT_NODES)
    except LimitExceeded:
        raise
    except Invalid as error:
        if not error.errors:
            error.code = "parse_error"
        raise
    if type(request) is not dict:
        raise _not_a_context("", "the body must be an object with a `context`")
    context = request.get("context")
    if context is None:
        return {}
    if type(context) is not dict:
        raise _not_a_context("/context", "`context` must be an object")
    if not isinstance(context.get("targetingKey", ""), str | None):
        raise _not_a_context("/context/targetingKey", "`targetingKey` must be a string")
    return context


async def _read_on(message: Any, receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_CONTEXT_BYTES:
            raise _too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()


def _check_media_type(content_type: bytes | None, encoding: bytes | None) -> None:
    if encoding is not None and encoding.strip().lower() != b"identity":
        raise Unsupported("compressed bodies are not read here")
    if content_type is None:
        return
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        raise Unsupported("the body must be `application/json`")


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge("evaluation_context_bytes", MAX_CONTEXT_BYTES)


def _not_a_context(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, detail)], code="invalid_context")
