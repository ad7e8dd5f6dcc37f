"""The one way out: what goes to an address that a user chose goes through `Client`, and nothing else connects there.

The name is resolved once, every address it stands for is checked, and the connection goes to a checked address, with
the name in SNI, in the certificate's check and in `Host`. Redirects are not followed, proxies of the environment are
not used, and connections are not kept. `post` tells and throws the answer's body away; `ask` reads it, within a bound.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal

import certifi
import httpcore

from greenroom_server.webhooks.address import Egress, Refused
from greenroom_server.webhooks.names import Lookups
from greenroom_server.webhooks.schedule import Problem, Tried, retry_after_of, tried

# The addresses, as texts, that a name stands for; raises OSError.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_JSON: Final = {"Content-Type": "application/json"}
_MAX_BODY_READ: Final = 4096
_BODY_READ_S: Final = 1.0
_ADDRESSES_TRIED: Final = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a sending may take: until connected, and in all."""

    connect_s: float = 5.0
    total_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose answer is wanted: of at most `most` bytes, as they come, never unpacked."""

    method: Literal["GET", "POST"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    most: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, whatever its status; or, with a `problem`, why nothing whole did."""

    status: int | None = None
    body: bytes = b""
    problem: Problem | None = None
    retry_after: timedelta | None = None


class Client:
    """Sends messages. `resolve` and `tls` are for tests."""

    def __init__(
        self,
        egress: Egress,
        *,
        user_agent: str,
        limits: Limits | None = None,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._egress = egress
        self._limits = limits or Limits()
        self._user_agent = user_agent
        self._resolve = resolve or Lookups()
        self._tls = tls

    @cached_property
    def _pool(self) -> httpcore.AsyncConnectionPool:
        """Made with the first message: the certificates that it trusts take time and memory."""
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls or _default_tls(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=_CheckedBackend(self._egress, self._resolve),
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes, now: datetime) -> Tried:
        """One try. Never raises but for cancellation: what goes wrong is the answer."""
        question = Question("POST", url, _JSON | headers, body)
        try:
            async with self._asking(question) as response:
                # A little of it is taken, so that an ordinary receiver is not cut off in the middle of its answer.
                with suppress(Exception):
                    async with asyncio.timeout(_BODY_READ_S):
                        await _drain(response)
                return tried(response.status, _retry_after(response, now))
        except Exception as error:
            return Tried(problem=_problem_of(error))

    async def ask(self, question: Question, now: datetime) -> Answered:
        """One try, whose answer is read; never raises but for cancellation. Too long an answer is `protocol`."""
        try:
            async with self._asking(question) as response:
                body = await _read(response, question.most)
                return Answered(response.status, body, retry_after=_retry_after(response, now))
        except Exception as error:
            return Answered(problem=_problem_of(error))

    async def close(self) -> None:
        if "_pool" in self.__dict__:
            await self._pool.aclose()

    @asynccontextmanager
    async def _asking(self, question: Question) -> AsyncIterator[httpcore.Response]:
        target = self._egress.target_of(question.url)
        sent = [
            (b"Host", target.authority.encode()),
            (b"User-Agent", self._user_agent.encode()),
            (b"Content-Length", str(len(question.body)).encode()),
            (b"Connection", b"close"),
            *((name.encode(), value.encode()) for name, value in question.headers.items()),
        ]
        place = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        timeouts = {"connect": self._limits.connect_s, "read": self._limits.total_s, "write": self._limits.total_s}
        async with (
            asyncio.timeout(self._limits.total_s),
            self._pool.stream(
                question.method, place, headers=sent, content=question.body, extensions={"timeout": timeouts}
            ) as response,
        ):
            yield response


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to none else."""

    def __init__(self, egress: Egress, resolve: Resolve) -> None:
        self._egress = egress
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async with asyncio.timeout(timeout):
            addresses = list(dict.fromkeys(await self._resolve(host, port)))
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for address in addresses:
            self._egress.check_address(address, host)
        first, *others = addresses[:_ADDRESSES_TRIED]
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._network.connect_tcp(first, port, timeout, local_address, socket_options)
            first = address
        return await self._network.connect_tcp(first, port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise Refused("only TCP")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def _problem_of(error: Exception) -> Problem:
    """What is told of an error: its class and never its text."""
    if isinstance(error, Refused):
        return "refused"
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, (TimeoutError, httpcore.TimeoutException)):
        return "timeout"
    if isinstance(error, httpcore.ConnectError):
        return "tls" if _is_about_tls(error) else "connect"
    if isinstance(error, OSError):
        return "connect"
    return "protocol"


def _is_about_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(response: httpcore.Response, now: datetime) -> timedelta | None:
    found = {name.lower(): value for name, value in response.headers}
    return retry_after_of(found.get(b"retry-after", b"").decode("latin-1") or None, now)


async def _read(response: httpcore.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > most:
            raise ValueError("the answer is too long")
    return bytes(body)


async def _drain(response: httpcore.Response) -> None:
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read >= _MAX_BODY_READ:
            return


def _default_tls() -> ssl.SSLContext:
    """What the machine trusts (`SSL_CERT_FILE` works), and the public authorities where it has no list of its own."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
