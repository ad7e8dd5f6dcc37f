"""What surrounds every request, in pure ASGI: an id, safe headers, a last resort for errors, a note when it is over."""

import logging
import re
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenroom_server.errors import Invalid
from greenroom_server.web.endpoint import answer_to
from greenroom_server.web.scope import mark_request, operation_of

log: Final = logging.getLogger(__name__)

NO_OPERATION: Final = ("none", "")
CLIENT_CLOSED: Final = 499  # nginx's number for a client that left before the answer began

_SANE_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WITHOUT_HOST_CHECK: Final = frozenset({"/livez", "/readyz"})  # probes call by address


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that was answered; every text in it comes from a small, fixed set, so all may become labels."""

    operation_id: str
    template: str
    method: str
    status: int
    duration_s: float


Observer = Callable[[Finished], None]


class RequestBoundary:
    """The outermost middleware.

    Observers are told once per request, when its answer is complete; for event streams when they begin, because how
    long a client stays says nothing about us.
    """

    def __init__(self, app: ASGIApp, *, observers: Sequence[Observer] = ()) -> None:
        self._app = app
        self._observers = tuple(observers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = _request_id_of(scope)
        mark_request(scope, request_id)
        answer = _Answer(scope, send, request_id, self._observers)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:
                if answer.status is not None:
                    raise  # too late to say it politely: the server cuts the connection
                await answer_to(error, scope).send(answer.send, head=scope["method"] == "HEAD")
            finally:
                answer.finish()


class _Answer:
    """Watches one answer go out."""

    def __init__(self, scope: Scope, send: Send, request_id: str, observers: tuple[Observer, ...]) -> None:
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._observers = observers
        self._started = time.perf_counter()
        self._is_told = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            headers.append((b"x-request-id", self._request_id.encode()))
            headers.append((b"x-content-type-options", b"nosniff"))
            message = {**message, "headers": headers}
            if any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers):
                self.finish()
        await self._send(message)

    def finish(self) -> None:
        if self._is_told:
            return
        self._is_told = True
        operation_id, template = operation_of(self._scope) or NO_OPERATION
        method = self._scope["method"]
        finished = Finished(
            operation_id=operation_id,
            template=template,
            method=method if method in _METHODS else "OTHER",
            status=self.status or CLIENT_CLOSED,
            duration_s=time.perf_counter() - self._started,
        )
        for observe in self._observers:
            observe(finished)


class HostAllowList:
    """Answers only to the given names: `*` is any, `*.example.com` any below, all else is exact; ports do not count."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._any = "*" in hosts
        self._exact = frozenset(host.lower() for host in hosts if not host.startswith("*."))
        self._below = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._any or scope["path"] in _WITHOUT_HOST_CHECK or self._is_ours(scope):
            return await self._app(scope, receive, send)
        await answer_to(Invalid("this `Host` is not served here"), scope).send(send)

    def _is_ours(self, scope: Scope) -> bool:
        sent = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(sent) != 1:
            return False
        host = re.sub(r":[0-9]*$", "", sent[0])
        return host in self._exact or host.endswith(self._below)


def _request_id_of(scope: Scope) -> str:
    sent = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(sent) == 1 and _SANE_REQUEST_ID.fullmatch(sent[0]):
        return bytes(sent[0]).decode()
    return uuid.uuid4().hex
