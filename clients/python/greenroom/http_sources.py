"""The server as a source: one for threads, on sockets, and one for asyncio. Each request has a connection of its own.

What is said on a connection is in `exchange.py`; here are only connections, TLS, proxies and timeouts (ADR 0008).
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from greenroom.endpoints import Endpoint, Transport, check_key, proxy_for
from greenroom.errors import SourceError
from greenroom.exchange import Exchange, Headers, request_headers
from greenroom.steps import Answer

SNAPSHOT_PATH: Final = "/api/v1/sdk/snapshot"
STREAM_PATH: Final = "/api/v1/sdk/stream"
CHUNK_BYTES: Final = 64 * 1024


class _Route:
    """The way to the server, and what is asked there."""

    def __init__(self, url: str, key: str, transport: Transport) -> None:
        self.server = Endpoint.of_server(url)
        self.proxy = proxy_for(self.server, transport.proxy)
        self.transport = transport
        self.tls = (transport.tls or ssl.create_default_context()) if self.server.is_tls else None
        self._key = check_key(key)

    @property
    def first(self) -> Endpoint:
        """What a connection is made to."""
        return self.proxy or self.server

    def fetching(self, etag: str | None) -> Exchange:
        headers = request_headers(self._key, ("If-None-Match", etag), is_stream=False)
        return self._asking(SNAPSHOT_PATH, headers, is_stream=False)

    def streaming(self, last_event_id: str | None) -> Exchange:
        headers = request_headers(self._key, ("Last-Event-ID", last_event_id), is_stream=True)
        return self._asking(STREAM_PATH, headers, is_stream=True)

    def tunnelling(self) -> Exchange | None:
        """The request for a tunnel, if the way leads through a proxy and TLS."""
        if self.proxy is None or not self.server.is_tls:
            return None
        return Exchange(
            self.server.address, [("Host", self.server.address), *_authorization(self.proxy)], method="CONNECT"
        )

    def _asking(self, path: str, headers: Headers, *, is_stream: bool) -> Exchange:
        target = self.server.path + path
        headers = [("Host", self.server.authority), *headers]
        if self.proxy is not None and not self.server.is_tls:
            target = f"http://{self.server.authority}{target}"
            headers += _authorization(self.proxy)
        return Exchange(target, headers, is_stream=is_stream)


class HttpSource:
    """A server as a `Source`. Raises ConfigurationError; connects to nothing before it is asked."""

    def __init__(self, url: str, key: str, transport: Transport | None = None) -> None:
        self._route = _Route(url, key, transport or Transport())
        self._socket: socket.socket | None = None
        self._is_closed = False

    def fetch(self, etag: str | None) -> Answer:
        """The snapshot, whole, or whatever else the server answers."""
        exchange = self._route.fetching(etag)
        connection = self._connect()
        try:
            self._talk(connection, exchange, lambda: exchange.is_done)
        finally:
            _shut(connection)
        return exchange.whole_answer()

    def stream(self, last_event_id: str | None) -> "HttpStream":
        """The stream, once the head of its answer is there."""
        exchange = self._route.streaming(last_event_id)
        connection = self._connect()
        try:
            self._talk(connection, exchange, lambda: exchange.answer is not None)
        except BaseException:
            _shut(connection)
            raise
        return HttpStream(connection, exchange)

    def close(self) -> None:
        """End what is under way."""
        self._is_closed = True
        if self._socket is not None:
            _shut(self._socket)

    def leave_to_parent(self) -> None:
        """In a child after a fork: drop the connection without ending it, since it is the parent's."""
        connection, self._socket = self._socket, None
        if connection is not None:
            with suppress(OSError):
                os.close(connection.detach())

    def _connect(self) -> socket.socket:
        route, deadline = self._route, monotonic() + self._route.transport.connect_timeout_s
        if self._is_closed:
            raise SourceError("the source was closed")
        try:
            connection = socket.create_connection((route.first.host, route.first.port), _left(deadline))
        except (OSError, UnicodeError) as error:
            raise SourceError(f"no connection to {route.first.address}: {_said(error)}") from error
        self._socket = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tunnel = route.tunnelling()
            if tunnel is not None:
                self._talk(connection, tunnel, lambda: tunnel.is_done)
                _check_tunnel(tunnel)
            if route.tls is not None:
                connection.settimeout(_left(deadline))
                connection = self._socket = route.tls.wrap_socket(connection, server_hostname=route.server.host)
        except OSError as error:
            _shut(connection)
            raise SourceError(f"no connection to {route.server.address}: {_said(error)}") from error
        except BaseException:
            _shut(connection)
            raise
        return connection

    def _talk(self, connection: socket.socket, exchange: Exchange, is_over: Callable[[], bool]) -> None:
        deadline = monotonic() + self._route.transport.answer_timeout_s
        try:
            connection.settimeout(_left(deadline))
            connection.sendall(exchange.request)
            while not is_over():
                if self._is_closed:
                    raise SourceError("the source was closed")
                connection.settimeout(_left(deadline))
                exchange.feed(connection.recv(CHUNK_BYTES))
        except OSError as error:
            raise SourceError(f"no answer: {_said(error)}") from error


class HttpStream:
    """An open stream on a socket."""

    def __init__(self, connection: socket.socket, exchange: Exchange) -> None:
        assert exchange.answer is not None  # noqa: S101 (made only then)
        self._connection = connection
        self._exchange = exchange
        self.answer: Final = exchange.answer

    def read(self, timeout_s: float) -> bytes | None:
        """What comes next."""
        data = self._exchange.take_body()
        if data or self._exchange.is_done:
            return data
        try:
            self._connection.settimeout(max(timeout_s, 0.001))
            received = self._connection.recv(CHUNK_BYTES)
        except TimeoutError:
            return None
        except OSError as error:
            raise SourceError(f"the stream broke: {_said(error)}") from error
        self._exchange.feed(received)
        return self._exchange.take_body() or (b"" if self._exchange.is_done or not received else None)

    def close(self) -> None:
        """End the connection."""
        _shut(self._connection)


class AsyncHttpSource:
    """A server as an `AsyncSource`. Raises ConfigurationError; connects to nothing before it is asked."""

    def __init__(self, url: str, key: str, transport: Transport | None = None) -> None:
        self._route = _Route(url, key, transport or Transport())

    async def fetch(self, etag: str | None) -> Answer:
        """The snapshot, whole, or whatever else the server answers."""
        exchange = self._route.fetching(etag)
        reader, writer = await self._connect()
        try:
            await self._talk(reader, writer, exchange, lambda: exchange.is_done)
        finally:
            writer.transport.abort()
        return exchange.whole_answer()

    async def stream(self, last_event_id: str | None) -> "AsyncHttpStream":
        """The stream, once the head of its answer is there."""
        exchange = self._route.streaming(last_event_id)
        reader, writer = await self._connect()
        try:
            await self._talk(reader, writer, exchange, lambda: exchange.answer is not None)
        except BaseException:
            writer.transport.abort()
            raise
        return AsyncHttpStream(reader, writer, exchange)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        route, writer = self._route, None
        tunnel = route.tunnelling()
        direct_tls = route.tls if tunnel is None else None
        name = None if direct_tls is None else route.server.host
        try:
            async with asyncio.timeout(route.transport.connect_timeout_s):
                reader, writer = await asyncio.open_connection(
                    route.first.host, route.first.port, ssl=direct_tls, server_hostname=name
                )
                if tunnel is not None and route.tls is not None:
                    await self._talk(reader, writer, tunnel, lambda: tunnel.is_done)
                    _check_tunnel(tunnel)
                    await writer.start_tls(route.tls, server_hostname=route.server.host)
        except (OSError, UnicodeError) as error:
            _abort(writer)
            raise SourceError(f"no connection to {route.first.address}: {_said(error)}") from error
        except BaseException:
            _abort(writer)
            raise
        return reader, writer

    async def _talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        exchange: Exchange,
        is_over: Callable[[], bool],
    ) -> None:
        try:
            async with asyncio.timeout(self._route.transport.answer_timeout_s):
                writer.write(exchange.request)
                while not is_over():
                    exchange.feed(await reader.read(CHUNK_BYTES))
        except OSError as error:
            raise SourceError(f"no answer: {_said(error)}") from error


class AsyncHttpStream:
    """An open stream of asyncio."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange) -> None:
        assert exchange.answer is not None  # noqa: S101 (made only then)
        self._reader, self._writer, self._exchange = reader, writer, exchange
        self.answer: Final = exchange.answer

    async def read(self, timeout_s: float) -> bytes | None:
        """What comes next."""
        data = self._exchange.take_body()
        if data or self._exchange.is_done:
            return data
        try:
            async with asyncio.timeout(timeout_s):
                received = await self._reader.read(CHUNK_BYTES)
        except TimeoutError:
            return None
        except OSError as error:
            raise SourceError(f"the stream broke: {_said(error)}") from error
        self._exchange.feed(received)
        return self._exchange.take_body() or (b"" if self._exchange.is_done or not received else None)

    def close(self) -> None:
        """End the connection."""
        self._writer.transport.abort()


def _authorization(proxy: Endpoint) -> Headers:
    return [] if proxy.authorization is None else [("Proxy-Authorization", proxy.authorization)]


def _check_tunnel(tunnel: Exchange) -> None:
    status = tunnel.whole_answer().status
    if not 200 <= status < 300:
        raise SourceError(f"the proxy answered {status}")


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads from it
    with suppress(OSError):
        connection.close()


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.transport.abort()
