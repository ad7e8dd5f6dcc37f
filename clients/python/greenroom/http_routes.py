"""The way to the server and what is asked there, whoever moves the bytes (ADR 0008)."""

import hashlib
import ssl
from typing import Final

from greenroom.endpoints import Endpoint, Transport, check_key, proxy_for
from greenroom.errors import SourceError
from greenroom.exchange import Exchange, Headers, report_headers, request_headers

SNAPSHOT_PATH: Final = "/api/v1/sdk/snapshot"
STREAM_PATH: Final = "/api/v1/sdk/stream"
EXPOSURES_PATH: Final = "/api/v1/sdk/exposures"
CHUNK_BYTES: Final = 64 * 1024


class Route:
    """The way to the server, and what is asked there. Raises ConfigurationError; sources may share one."""

    def __init__(self, url: str, key: str, transport: Transport) -> None:
        self.url = url
        self.server = Endpoint.of_server(url)
        self.proxy = proxy_for(self.server, transport.proxy)
        self.transport = transport
        self.tls = (transport.tls or ssl.create_default_context()) if self.server.is_tls else None
        self._key = check_key(key)

    @property
    def key_name(self) -> str:
        """A name for the key that does not give it away."""
        return hashlib.sha256(self._key.encode()).hexdigest()

    @property
    def first(self) -> Endpoint:
        """What a connection is made to."""
        return self.proxy or self.server

    def fetching(self, etag: str | None) -> Exchange:
        headers = request_headers(self._key, ("If-None-Match", etag), is_stream=False)
        return self._asking(SNAPSHOT_PATH, headers)

    def streaming(self, last_event_id: str | None) -> Exchange:
        headers = request_headers(self._key, ("Last-Event-ID", last_event_id), is_stream=True)
        return self._asking(STREAM_PATH, headers, is_stream=True)

    def reporting(self, body: bytes) -> Exchange:
        return self._asking(EXPOSURES_PATH, report_headers(self._key, len(body)), method="POST", body=body)

    def tunnelling(self) -> Exchange | None:
        """The request for a tunnel, if the way leads through a proxy and TLS."""
        if self.proxy is None or not self.server.is_tls:
            return None
        return Exchange(
            self.server.address, [("Host", self.server.address), *_authorization(self.proxy)], method="CONNECT"
        )

    def _asking(
        self, path: str, headers: Headers, *, method: str = "GET", body: bytes = b"", is_stream: bool = False
    ) -> Exchange:
        target = self.server.path + path
        headers = [("Host", self.server.authority), *headers]
        if self.proxy is not None and not self.server.is_tls:
            target = f"http://{self.server.authority}{target}"
            headers += _authorization(self.proxy)
        return Exchange(target, headers, method=method, body=body, is_stream=is_stream)


def check_tunnel(tunnel: Exchange) -> None:
    """Raises SourceError unless the proxy opened the tunnel."""
    status = tunnel.whole_answer().status
    if not 200 <= status < 300:
        raise SourceError(f"the proxy answered {status}")


def cause_of(error: BaseException) -> str:
    """What an error of the network says, for people."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _authorization(proxy: Endpoint) -> Headers:
    return [] if proxy.authorization is None else [("Proxy-Authorization", proxy.authorization)]
