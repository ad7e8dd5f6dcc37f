"""Cross-origin rules of the OFREP paths: browsers may call them with a client key, never with cookies."""

from collections.abc import Iterable
from typing import Final

from greenroom_server.delivery.requests import Headers

RawHeaders = list[tuple[bytes, bytes]]

_EXPOSED: Final = (b"access-control-expose-headers", b"ETag, Retry-After")
_METHODS: Final = (b"access-control-allow-methods", b"GET, POST, OPTIONS")
_ALLOWED: Final = (
    b"access-control-allow-headers",
    b"Content-Type, Authorization, X-API-Key, If-None-Match, Accept, Cache-Control, Last-Event-ID, X-Request-Id, "
    b"traceparent, tracestate, baggage",
)
_MAX_AGE: Final = (b"access-control-max-age", b"7200")
_VARY: Final = (b"vary", b"Origin")


class CrossOrigin:
    """Which origins may read the answers; `*` among them means any."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)
        self._is_open = b"*" in self._origins

    def headers(self, request: Headers) -> RawHeaders:
        """What to add to an answer, an error's too."""
        origin = request.get(b"origin")
        if origin is None:
            return [] if self._is_open else [_VARY]
        if self._is_open:
            return [(b"access-control-allow-origin", b"*"), _EXPOSED]
        if origin in self._origins:
            return [(b"access-control-allow-origin", origin), _EXPOSED, _VARY]
        return [_VARY]

    def preflight(self, request: Headers) -> RawHeaders:
        """The answer to a preflight request; it takes no credential."""
        allowed = self.headers(request)
        if len(allowed) < 2:
            return allowed
        return [header for header in allowed if header is not _EXPOSED] + [_METHODS, _ALLOWED, _MAX_AGE]
