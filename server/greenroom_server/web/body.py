"""Reading a request's body: counted while it arrives, within a time, and only in a media type that the route reads."""

import asyncio
import re
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from greenroom_server.errors import PayloadTooLarge, Unsupported
from greenroom_server.web.problems import RequestTimeout
from greenroom_server.web.reply import Encoded

MAX_DISCARDED_BYTES: Final = 64 * 1024 * 1024
MAX_DISCARDING_S: Final = 2.0

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]*)", re.IGNORECASE)


async def read_body(scope: Scope, receive: Receive, *, limit: int, timeout_s: float) -> bytes:
    """All of the body. Whatever `Content-Length` says, no more than `limit` bytes and one message are ever held."""
    declared = _header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > limit:
        raise PayloadTooLarge("body_bytes", limit)
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, limit)
    except TimeoutError:
        raise RequestTimeout from None


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge("body_bytes", limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def media_type_of(scope: Scope, allowed: tuple[str, ...], *, takes_gzip: bool = False) -> str:
    """The body's media type, one of `allowed`; raises `Unsupported`."""
    header = (_header(scope, b"content-type") or b"").decode("latin-1")
    media_type = header.partition(";")[0].strip().lower()
    if media_type not in allowed:
        raise Unsupported(f"the body must be {' or '.join(f'`{name}`' for name in allowed)}")
    charset = _CHARSET.search(header)
    if charset is not None and charset.group(1).lower() not in ("utf-8", "utf8"):
        raise Unsupported("the body must be in UTF-8")
    encoding = (_header(scope, b"content-encoding") or b"identity").strip().lower()
    if takes_gzip and encoding not in (b"identity", b"gzip"):
        raise Unsupported("the body may be packed with `gzip` only")
    if not takes_gzip and encoding != b"identity":
        raise Unsupported("compressed bodies are not read here")
    return media_type


async def send_and_close(reply: Encoded, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request whose body was not read to the end, and closes the connection.

    A close with unread bytes becomes a reset that can destroy the answer on its way, so some more is taken in and
    thrown away before the answer is declared complete.
    """
    start = reply.start()
    if scope["http_version"].startswith("1"):
        start["headers"].append((b"connection", b"close"))
    await send(start)
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    try:
        async with asyncio.timeout(MAX_DISCARDING_S):
            await _discard(receive)
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: Receive) -> None:
    discarded = 0
    while discarded < MAX_DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
        discarded += len(message.get("body", b""))


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((bytes(value) for key, value in scope["headers"] if key == name), None)
