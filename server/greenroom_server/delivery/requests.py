"""Reading a request on the hot paths: who asks, and the evaluation context that they send."""

import asyncio
from typing import Any, Final

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
from greenroom_server.web.codec import MAX_CONTEXT_NODES, read_json
from greenroom_server.web.problems import RequestTimeout
from greenroom_server.web.scope import credential_of

MAX_CONTEXT_BYTES: Final = 64 * 1024
_BODY_TIMEOUT_S: Final = 10.0

Headers = dict[bytes, bytes]

_BODY_IS_READ: Final = "greenroom.body_is_read"


def authenticate(authenticator: Authenticator, scope: Scope, permission: str) -> Principal:
    """The SDK key that asks; raises `Unauthenticated` or `Forbidden`."""
    token = credential_of(scope)
    principal = authenticator.principal(token) if token else None
    if principal is None:
        raise Unauthenticated
    if permission not in principal.permissions:
        raise Forbidden(f"a token of kind `{principal.kind}` lacks the permission `{permission}`")
    if principal.environment_id is None:
        raise Forbidden("this takes an SDK key, which belongs to one environment")
    return principal


async def read_context(scope: Scope, headers: Headers, receive: Receive) -> dict[str, Any]:
    """The evaluation context of a request; `{}` and a missing context are the empty one."""
    content_type = headers.get(b"content-type")
    if content_type != b"application/json" or b"content-encoding" in headers:
        _check_media_type(content_type, headers.get(b"content-encoding"))
    body = await _read_body(headers, receive)
    scope[_BODY_IS_READ] = True
    return context_of(body)


def is_body_read(scope: Scope) -> bool:
    """Whether nothing more of the request's body is to come."""
    return _BODY_IS_READ in scope


def context_of(body: bytes) -> dict[str, Any]:
    """The context in an OFREP request's body.

    Raises `Invalid` with the code `parse_error` if it is no JSON, `Invalid` or `LimitExceeded` if it is no context.
    """
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


async def _read_body(headers: Headers, receive: Receive) -> bytes:
    declared = headers.get(b"content-length")
    if declared is not None and (len(declared) > 9 or not declared.isdigit() or int(declared) > MAX_CONTEXT_BYTES):
        raise PayloadTooLarge("evaluation_context_bytes", MAX_CONTEXT_BYTES)
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            message = await receive()
            if not message.get("more_body", False) and message["type"] == "http.request":
                body: bytes = message.get("body", b"")
                if len(body) > MAX_CONTEXT_BYTES:
                    raise PayloadTooLarge("evaluation_context_bytes", MAX_CONTEXT_BYTES)
                return body
            return await _read_on(message, receive)
    except TimeoutError:
        raise RequestTimeout from None


async def _read_on(message: Any, receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_CONTEXT_BYTES:
            raise PayloadTooLarge("evaluation_context_bytes", MAX_CONTEXT_BYTES)
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


def _not_a_context(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, detail)], code="invalid_context")
