"""The server as a source for asyncio. Each request has a connection of its own."""

import asyncio
from collections.abc import Callable
from typing import Final

from greenroom.errors import NotConnected, SourceError
from greenroom.exchange import Exchange
from greenroom.http_routes import CHUNK_BYTES, Route, cause_of, check_tunnel
from greenroom.steps import Answer


class AsyncHttpSource:
    """A server as an `AsyncSource`. It connects to nothing before it is asked."""

    def __init__(self, route: Route) -> None:
        self._route = route

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
                    check_tunnel(tunnel)
                    await writer.start_tls(route.tls, server_hostname=route.server.host)
        except (OSError, UnicodeError) as error:
            _abort(writer)
            raise NotConnected(f"no connection to {route.first.address}: {cause_of(error)}") from error
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
            raise SourceError(f"no answer: {cause_of(error)}") from error


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
            raise SourceError(f"the stream broke: {cause_of(error)}") from error
        self._exchange.feed(received)
        return self._exchange.take_body() or (b"" if self._exchange.is_done or not received else None)

    def close(self) -> None:
        """End the connection."""
        self._writer.transport.abort()


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.transport.abort()
