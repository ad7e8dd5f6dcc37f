"""`GET /api/v1/sdk/snapshot`: the environment's bytes, made once for this revision."""

import re
from typing import Final

from starlette.types import Receive, Scope, Send

from greenroom_server.delivery.counters import Counters
from greenroom_server.delivery.environments import EnvironmentCache
from greenroom_server.delivery.live import Served
from greenroom_server.delivery.requests import NOSNIFF, Headers, authenticate
from greenroom_server.delivery.sources import Authenticator
from greenroom_server.web.conditional import is_unchanged

_JSON: Final = (b"content-type", b"application/json")
_CACHE_CONTROL: Final = (b"cache-control", b"private, no-cache")
_VARY: Final = (b"vary", b"Authorization, X-API-Key, Accept-Encoding")
_GZIP: Final = (b"content-encoding", b"gzip")
_ZSTD: Final = (b"content-encoding", b"zstd")
# Best first, for equal weights.
_OFFERED: Final = ("zstd", "gzip", "identity")
_QUALITY: Final = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)
_REMEMBERED: Final = 1_000


class Snapshots:
    """The snapshot endpoint as an ASGI callable. It raises domain errors before it sends anything."""

    def __init__(self, authenticator: Authenticator, environments: EnvironmentCache, counters: Counters) -> None:
        self._authenticator = authenticator
        self._environments = environments
        self._counters = counters
        self._codings: dict[bytes, str] = {}

    async def read_snapshot(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        principal = authenticate(self._authenticator, scope, headers, "snapshot.read")
        live = self._environments.find(principal.environment_id)
        if live is None:
            assert principal.environment_id is not None  # noqa: S101 (authenticate has seen to it)
            live = await self._environments.get(principal.environment_id)
        served = live.served
        wanted = headers.get(b"if-none-match")
        if wanted is not None and (wanted == served.etag or _is_unchanged(wanted, served.etag)):
            self._counters.unchanged += 1
            start = [(b"etag", served.etag), _CACHE_CONTROL, _VARY]
            await send({"type": "http.response.start", "status": 304, "headers": start})
            await send({"type": "http.response.body", "body": b""})
            return
        self._counters.snapshots += 1
        accepted = headers.get(b"accept-encoding")
        coding = "identity" if accepted is None else self._coding_of(accepted)
        body = served.encodings.find(coding) or await served.encodings.get(coding)
        start = _opening(served, coding, len(body))
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _coding_of(self, accepted: bytes) -> str:
        known = self._codings.get(accepted)
        if known is None:
            known = preferred_coding(accepted.decode("latin-1"))
            if len(self._codings) < _REMEMBERED:
                self._codings[accepted] = known
        return known


def _opening(served: Served, coding: str, size: int) -> list[tuple[bytes, bytes]]:
    length = (b"content-length", b"%d" % size)
    start = [_JSON, length, (b"etag", served.etag), _CACHE_CONTROL, _VARY, NOSNIFF]
    if coding != "identity":
        start.append(_ZSTD if coding == "zstd" else _GZIP)
    return start


def preferred_coding(accept_encoding: str) -> str:
    """The offered content coding that the client likes best; identity if it likes none, since an answer beats none."""
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, _, parameter = item.partition(";")
        quality = _QUALITY.fullmatch(parameter)
        weights[name.strip()] = float(quality.group(1)) if quality else 1.0
    rest = weights.get("*", 0.0)
    # Identity is fine unless refused, but anything that was named with the same weight comes first.
    offered = {name: weights.get(name, rest) for name in _OFFERED}
    if "identity" not in weights:
        offered["identity"] = 0.0
    best = max(_OFFERED, key=lambda name: offered[name])
    return best if offered[best] > 0 else "identity"


def _is_unchanged(wanted: bytes, etag: bytes) -> bool:
    # Some proxies append the coding to the tag when they compress.
    return is_unchanged(wanted.decode("latin-1").replace('-gzip"', '"').replace('-zstd"', '"'), etag.decode())
