"""The two event streams as ASGI callables: for SDKs by credential, for browsers by a token in the URL."""

import random
from typing import Final
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from greenroom_server.access.principal import Principal
from greenroom_server.delivery.hub import Hub
from greenroom_server.delivery.live import LiveEnvironment
from greenroom_server.delivery.ofrep import Remote
from greenroom_server.delivery.requests import NOSNIFF, Headers, authenticate
from greenroom_server.delivery.stream_kinds import (
    RefetchSubscriber,
    Renewal,
    SnapshotSubscriber,
    come_back_later,
)
from greenroom_server.delivery.subscriber import Subscriber, connection_of
from greenroom_server.errors import Unauthenticated, Unavailable

_EVENT_STREAM: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    NOSNIFF,
]
# A browser that was refused for want of room tries again after this.
_COME_BACK_MS: Final = (10_000, 25_000)
# After a connection that simply broke, browsers come back spread over this time.
_RETRY_MS: Final = (1_000, 5_000)


class Streams:
    """The stream endpoints. They raise domain errors before they send anything."""

    def __init__(self, remote: Remote, hub: Hub) -> None:
        self._remote = remote
        self._hub = hub

    async def stream_snapshot(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        principal = authenticate(self._remote.authenticator, scope, headers, "snapshot.read")
        assert principal.environment_id is not None  # noqa: S101 (authenticate has seen to it)
        live = await self._remote.environments.get(principal.environment_id)
        last_event_id = _last_event_id(headers)
        if last_event_id is not None and not live.has_reached("server", last_event_id):
            await self._remote.environments.catch_up()
        self._hub.admit(principal)  # last, so that nothing is awaited before the stream is counted
        subscriber = SnapshotSubscriber(live, principal, send, last_event_id)
        del headers, last_event_id  # this frame lives as long as the stream
        if await _begin(scope, send, _EVENT_STREAM):
            subscriber.connection = connection_of(scope, send)
            await self._run(subscriber, live, receive)

    async def stream_refetches(self, scope: Scope, receive: Receive, send: Send) -> None:
        remote = self._remote
        now_s = remote.now_ms() / 1000
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        ticket = remote.tickets.check(token, now_s)
        principal = None if ticket is None else remote.authenticator.by_id(ticket.credential_id)
        if (
            ticket is None
            or principal is None
            or principal.environment_id != ticket.environment_id
            or not principal.allows("evaluate")
        ):
            raise Unauthenticated("the stream token is not valid, or not any more: evaluate again to get another")
        live = await remote.environments.get(ticket.environment_id)
        headers: Headers = dict(scope["headers"])
        start = [*_EVENT_STREAM, *remote.cross_origin.headers(headers)]
        try:
            self._hub.admit(principal)
        except Unavailable:
            await self._refuse(scope, send, start, live, principal)
            return
        renewal = Renewal.before(ticket.expires_at, lambda: remote.now_ms() / 1000)
        subscriber = RefetchSubscriber(live, principal, send, _last_event_id(headers), renewal)
        del headers, token, ticket, renewal  # this frame lives as long as the stream
        if await _begin(scope, send, start):
            retry = b"retry: %d\n\n" % random.randint(*_RETRY_MS)  # noqa: S311
            await send({"type": "http.response.body", "body": retry, "more_body": True})
            subscriber.connection = connection_of(scope, send)
            await self._run(subscriber, live, receive)

    async def _run(self, subscriber: Subscriber, live: LiveEnvironment, receive: Receive) -> None:
        if live.is_removed:
            self._hub.end(subscriber)
        await self._hub.run(subscriber, receive)

    async def _refuse(
        self,
        scope: Scope,
        send: Send,
        start: list[tuple[bytes, bytes]],
        live: LiveEnvironment,
        principal: Principal,
    ) -> None:
        tag = live.served.view_of(principal.kind).tag
        if await _begin(scope, send, start):
            body = come_back_later(tag, random.randint(*_COME_BACK_MS))  # noqa: S311
            await send({"type": "http.response.body", "body": body})


async def _begin(scope: Scope, send: Send, headers: list[tuple[bytes, bytes]]) -> bool:
    """Send the head; False if that is all, since only the head was asked for."""
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return False
    return True


def _last_event_id(headers: Headers) -> str | None:
    value = headers.get(b"last-event-id")
    return None if value is None else value.decode("latin-1")
