"""Remote evaluation after the OpenFeature protocol (OFREP 0.3): one flag, or all flags for one context."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from starlette.types import Receive, Scope, Send

from greenroom.evaluation import evaluate, evaluate_all
from greenroom_server.access.principal import Principal
from greenroom_server.delivery.answers import failed_evaluation, flag_not_found
from greenroom_server.delivery.cors import CrossOrigin
from greenroom_server.delivery.counters import Counters
from greenroom_server.delivery.environments import EnvironmentCache
from greenroom_server.delivery.live import LiveEnvironment, Served, View
from greenroom_server.delivery.requests import NOSNIFF, BodyReader, Headers, authenticate
from greenroom_server.delivery.sources import Authenticator
from greenroom_server.delivery.tickets import TicketOffice
from greenroom_server.web.conditional import is_unchanged

SINGLE_PREFIX: Final = "/ofrep/v1/evaluate/flags/"
BULK_PATH: Final = "/ofrep/v1/evaluate/flags"
STREAM_PATH: Final = "/ofrep/v1/stream"
INACTIVITY_DELAY_S: Final = 120

_JSON: Final = (b"content-type", b"application/json")
_CACHE_CONTROL: Final = (b"cache-control", b"private, no-cache")
_VARY: Final = (b"vary", b"Authorization, X-API-Key")


@dataclass(frozen=True, slots=True)
class Remote:
    """What remote evaluation works with. `now_ms` tells the time; `public_url` is put before announced streams."""

    authenticator: Authenticator
    environments: EnvironmentCache
    tickets: TicketOffice
    cross_origin: CrossOrigin
    bodies: BodyReader
    counters: Counters
    now_ms: Callable[[], int]
    public_url: str | None = None


class RemoteEvaluation:
    """The two evaluation endpoints as ASGI callables. They raise domain errors before they send anything."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._announcement = _announcement(remote.public_url)

    async def evaluate_flag(self, scope: Scope, receive: Receive, send: Send) -> None:
        remote = self._remote
        headers: Headers = dict(scope["headers"])
        principal = authenticate(remote.authenticator, scope, headers, "evaluate")
        live = remote.environments.find(principal.environment_id) or await self._load(principal)
        context = await remote.bodies.read_context(scope, headers, receive)
        served = live.served
        key = scope["path"][len(SINGLE_PREFIX) :]
        view = served.view_of(principal.kind)
        if key not in view.keys:
            raise flag_not_found()
        snapshot = served.snapshot
        evaluation = evaluate(snapshot, key, context, remote.now_ms() if snapshot.is_clock_dependent else 0)
        remote.counters.evaluations += 1
        added = remote.cross_origin.headers(headers)
        if evaluation.error_code is None:
            body = view.items[evaluation]
            start = [_JSON, (b"content-length", b"%d" % len(body)), NOSNIFF, *added]
            await send({"type": "http.response.start", "status": 200, "headers": start})
            await send({"type": "http.response.body", "body": body})
            return
        reply = failed_evaluation(evaluation, is_for_clients=view is served.client).encoded()
        start_message = reply.start()
        start_message["headers"].extend(added)
        await send(start_message)
        await send({"type": "http.response.body", "body": reply.body})

    async def evaluate_flags(self, scope: Scope, receive: Receive, send: Send) -> None:
        remote = self._remote
        headers: Headers = dict(scope["headers"])
        principal = authenticate(remote.authenticator, scope, headers, "evaluate")
        live = remote.environments.find(principal.environment_id) or await self._load(principal)
        context = await remote.bodies.read_context(scope, headers, receive)
        if scope["query_string"]:
            await self._reach(live, principal, scope["query_string"])
        answer = self._bulk_answer(live, principal, context)
        start = [(b"etag", answer.etag), _CACHE_CONTROL, _VARY, *remote.cross_origin.headers(headers)]
        wanted = headers.get(b"if-none-match")
        if wanted is not None and (
            wanted == answer.etag or is_unchanged(wanted.decode("latin-1"), answer.etag.decode())
        ):
            remote.counters.unchanged += 1
            await send({"type": "http.response.start", "status": 304, "headers": start})
            await send({"type": "http.response.body", "body": b""})
            return
        remote.counters.bulk_evaluations += 1
        body = answer.body()
        start += (_JSON, (b"content-length", b"%d" % len(body)), NOSNIFF)
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await send({"type": "http.response.body", "body": body})

    def _bulk_answer(self, live: LiveEnvironment, principal: Principal, context: dict[str, Any]) -> "_BulkAnswer":
        served = live.served
        view = served.view_of(principal.kind)
        now_ms = self._remote.now_ms()
        tail = b'],%b,"eventStreams":%b}' % (view.metadata, self._streams(principal, now_ms))

        def body() -> bytes:
            return b'{"flags":[' + _flags(served, view, context, now_ms) + tail

        if served.snapshot.is_clock_dependent:
            whole = body()
            return _BulkAnswer(_etag_of(live, principal, whole), lambda: whole)
        canonical = orjson.dumps(context, option=orjson.OPT_SORT_KEYS)
        return _BulkAnswer(_etag_of(live, principal, view.tag.encode(), tail, canonical), body)

    async def _load(self, principal: Principal) -> LiveEnvironment:
        assert principal.environment_id is not None  # noqa: S101 (authenticate has seen to it)
        return await self._remote.environments.get(principal.environment_id)

    async def _reach(self, live: LiveEnvironment, principal: Principal, query: bytes) -> None:
        # An event told the client of a configuration; another server may have sent it, and we may be behind.
        if b"flagConfigEtag" not in query:
            return
        for tag in parse_qs(query.decode("latin-1")).get("flagConfigEtag", ())[:1]:
            if not live.has_reached(principal.kind, tag):
                await self._remote.environments.catch_up()

    def _streams(self, principal: Principal, now_ms: int) -> bytes:
        assert principal.environment_id is not None  # noqa: S101
        token = self._remote.tickets.issue(principal.environment_id, principal.token_id, now_ms / 1000)
        return self._announcement % token


@dataclass(frozen=True, slots=True)
class _BulkAnswer:
    """The tag comes first: when it is known already, the body is never made."""

    etag: bytes
    body: Callable[[], bytes]


def _flags(served: Served, view: View, context: dict[str, Any], now_ms: int) -> bytes:
    snapshot = served.snapshot
    if view is served.server:
        evaluations = evaluate_all(snapshot, context, now_ms)
    else:
        evaluations = [evaluate(snapshot, key, context, now_ms) for key in view.sorted_keys]
    return b",".join(map(view.items.__getitem__, evaluations))


def _announcement(public_url: str | None) -> bytes:
    # The `eventStreams` member, with a hole for the token. Without a URL of our own, clients take the origin they use.
    target = f"{STREAM_PATH}?token=%b"
    place: dict[str, Any] = {"endpoint": {"requestUri": target}}
    if public_url is not None:
        place = {"url": public_url.rstrip("/").replace("%", "%%") + target}
    return orjson.dumps([{"type": "sse", **place, "inactivityDelaySec": INACTIVITY_DELAY_S}])


def _etag_of(live: LiveEnvironment, principal: Principal, *parts: bytes) -> bytes:
    # Whatever the answer depends on goes in, so that no two contexts, keys or environments ever share a tag.
    tag = blake2b(live.id.bytes + principal.token_id.bytes, digest_size=16)
    for part in parts:
        tag.update(b"%d:" % len(part))
        tag.update(part)
    return b'"' + tag.hexdigest().encode() + b'"'
