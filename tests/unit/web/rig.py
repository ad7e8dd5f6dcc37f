"""What the web tests share: small in-memory stand-ins for what the kit is handed, and a real server on loopback."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from greenroom_server.errors import Conflict, Forbidden, NotFound, Unauthenticated
from greenroom_server.web.kit import StoredReply, WebKit
from greenroom_server.web.routing import Call, Reply, Route, build_router

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
GOOD = {"Authorization": "Bearer good"}


@dataclass(frozen=True)
class Holder:
    """Who holds the credential `good`."""

    token_id: uuid.UUID


class OneCredential:
    """Knows `good`, which may do everything but `forbidden.thing`, in every project but `hidden`."""

    def __init__(self) -> None:
        self.holder = Holder(uuid.uuid4())
        self.asked: list[tuple[str | None, str, str | None, str | None]] = []

    def authorize(
        self, credential: str | None, permission: str, project: str | None, environment: str | None
    ) -> Holder:
        self.asked.append((credential, permission, project, environment))
        if credential != "good":
            raise Unauthenticated
        if permission == "forbidden.thing":
            raise Forbidden
        if project == "hidden":
            raise NotFound
        return self.holder

    async def catch_up(self, credential: str | None) -> bool:
        return False


@dataclass
class Ledger:
    """A unit of work over a list: what a session appends is kept if its transaction commits."""

    kept: list[Any] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    opened: list[tuple[bool, bool]] = field(default_factory=list)
    singles: int = 0

    @asynccontextmanager
    async def __call__(self, *, write: bool, dry_run: bool, is_single: bool = False) -> AsyncIterator[list[Any]]:
        self.opened.append((write, dry_run))
        self.singles += is_single
        session: list[Any] = []
        try:
            yield session
        except BaseException:
            self.ends.append("rollback")
            raise
        self.ends.append("rollback" if dry_run else "commit")
        if not dry_run:
            for effect in session:
                effect() if callable(effect) else self.kept.append(effect)


class Remembered:
    """An idempotency store whose entries become visible with the commit, and whose keys are unique."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], StoredReply] = {}

    async def find(self, session: list[Any], scope: str, key: str) -> StoredReply | None:
        return self.replies.get((scope, key))

    async def save(self, session: list[Any], scope: str, key: str, fingerprint: str, reply: StoredReply) -> None:
        assert reply.fingerprint == fingerprint
        if (scope, key) in self.replies:
            raise Conflict
        session.append(lambda: self.replies.__setitem__((scope, key), reply))


class FixedClock:
    def now(self) -> datetime:
        return NOW


@dataclass
class Rig:
    """A kit of stand-ins."""

    authorizer: OneCredential = field(default_factory=OneCredential)
    ledger: Ledger = field(default_factory=Ledger)
    idempotency: Remembered = field(default_factory=Remembered)
    body_timeout_s: float = 5.0

    def app(self, *routes: Route) -> ASGIApp:
        kit = WebKit(self.authorizer, self.ledger, self.idempotency, FixedClock(), body_timeout_s=self.body_timeout_s)
        return build_router(routes, kit=kit)

    def client(self, *routes: Route) -> httpx.AsyncClient:
        """A client whose requests carry the good credential."""
        return client_of(self.app(*routes), headers=GOOD)


def client_of(app: ASGIApp, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server.example", headers=headers)


async def say_what_came(call: Call) -> Reply:
    """A handler that tells what it was given."""
    body = call.json() if call.body else None
    return Reply(200, {"params": call.params, "query": list(call.query.multi_items()), "body": body})


async def until(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Waits until the condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition is about another party, which sets no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def served(app: ASGIApp, http: type[HttpToolsProtocol] = HttpToolsProtocol) -> AsyncIterator[int]:
    """A real uvicorn with the app; the value is its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=http, lifespan="off", ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


def request_head(line: str, headers: Sequence[str] = ()) -> bytes:
    """The bytes of a request up to its body, with a good credential."""
    lines = [f"{line} HTTP/1.1", "Host: server.example", "Authorization: Bearer good", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def read_reply(reader: asyncio.StreamReader, *, timeout_s: float = 10.0) -> tuple[int, bytes, bytes]:
    """Status, head and body of one response that has a length."""
    async with asyncio.timeout(timeout_s):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        return int(head.split(b" ", 2)[1]), head.lower(), await reader.readexactly(length)
