"""A real receiver of webhooks on the loopback: it remembers what came, verifies it, and answers as it is told."""

import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson
from standardwebhooks import Webhook

WITHIN_S = 20.0


class Message:
    """One request, as it came."""

    def __init__(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.path = path
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.body)
        return document

    def verified_by(self, secret: str) -> dict[str, Any]:
        """The message, as the specification's own library takes it; raises if the signature does not fit."""
        document: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return document


class Answer:
    """What a request gets: a status and headers, or, with `hangs`, nothing until the receiver is told to let go."""

    def __init__(
        self, status: int = 204, *, hangs: bool = False, drips: bool = False, body: bytes = b"", **headers: str
    ) -> None:
        self.status = status
        self.body = body
        self.hangs = hangs
        self.drips = drips
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Receiver:
    """Listens while the block lasts. `plan` are the answers to come; when it is used up, `usual` is."""

    def __init__(self, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> None:
        self.plan: list[Answer] = []
        self.usual = Answer()
        self.messages: list[Message] = []
        self.connections = 0
        self.let_go = threading.Event()
        self._host = host
        self._server = _Server((host, 0), _handler_of(self))
        self._server.receiver = self
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}/in"

    def wait_for(self, number: int) -> list[Message]:
        """So many messages, or more; within some seconds."""
        deadline = time.monotonic() + WITHIN_S
        while len(self.messages) < number:
            assert time.monotonic() < deadline, f"{len(self.messages)} of {number} messages came"
            time.sleep(0.01)
        return self.messages

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    receiver: Receiver

    def get_request(self) -> tuple[Any, Any]:
        request = super().get_request()
        self.receiver.connections += 1
        return request

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


def _handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = WITHIN_S

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = receiver.plan.pop(0) if receiver.plan else receiver.usual
            receiver.messages.append(Message(self.path, dict(self.headers), body))
            if answer.hangs:
                receiver.let_go.wait(WITHIN_S)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.body:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            while answer.drips and not receiver.let_go.wait(0.001):
                self.wfile.write(b"x" * 1024)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    return Handler
