"""The server as a source for threads, on sockets. Each request has a connection of its own."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from greenroom.errors import NotConnected, SourceError
from greenroom.exchange import Exchange
from greenroom.http_routes import CHUNK_BYTES, Route, cause_of, check_tunnel
from greenroom.steps import Answer


class HttpSource:
    """A server as a `Source`. It connects to nothing before it is asked."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._socket: socket.socket | None = None
        self._is_closed = False

    def fetch(self, etag: str | None) -> Answer:
        """The snapshot, whole, or whatever else the server answers."""
        return self._whole(self._route.fetching(etag))

    def report(self, body: bytes) -> Answer:
        """What the server says to a report, which is packed with gzip; raises SourceError."""
        return self._whole(self._route.reporting(body))

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

    def _whole(self, exchange: Exchange) -> Answer:
        connection = self._connect()
        try:
            self._talk(connection, exchange, lambda: exchange.is_done)
        finally:
            _shut(connection)
        return exchange.whole_answer()

    def _connect(self) -> socket.socket:
        route, deadline = self._route, monotonic() + self._route.transport.connect_timeout_s
        if self._is_closed:
            raise SourceError("the source was closed")
        try:
            connection = socket.create_connection((route.first.host, route.first.port), _left(deadline))
        except (OSError, UnicodeError) as error:
            raise NotConnected(f"no connection to {route.first.address}: {cause_of(error)}") from error
        self._socket = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tunnel = route.tunnelling()
            if tunnel is not None:
                self._talk(connection, tunnel, lambda: tunnel.is_done)
                check_tunnel(tunnel)
            if route.tls is not None:
                connection.settimeout(_left(deadline))
                connection = self._socket = route.tls.wrap_socket(connection, server_hostname=route.server.host)
        except OSError as error:
            _shut(connection)
            raise NotConnected(f"no connection to {route.server.address}: {cause_of(error)}") from error
        except BaseException:
            _shut(connection)
            raise
        return connection

    def _talk(self, connection: socket.socket, exchange: Exchange, is_over: Callable[[], bool]) -> None:
        deadline = monotonic() + self._route.transport.answer_timeout_s
        try:
            connection.settimeout(_left(deadline))
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(exchange.request)  # who refuses a request may do so, and close, before its end
            while not is_over():
                if self._is_closed:
                    raise SourceError("the source was closed")
                connection.settimeout(_left(deadline))
                exchange.feed(connection.recv(CHUNK_BYTES))
        except OSError as error:
            raise SourceError(f"no answer: {cause_of(error)}") from error


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
            raise SourceError(f"the stream broke: {cause_of(error)}") from error
        self._exchange.feed(received)
        return self._exchange.take_body() or (b"" if self._exchange.is_done or not received else None)

    def close(self) -> None:
        """End the connection."""
        _shut(self._connection)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads from it
    with suppress(OSError):
        connection.close()
