"""A server on a real socket that answers as a test says, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Said:
    """One answer; `hangs_up` closes the connection instead."""

    status: int = 200
    body: Any = field(default_factory=dict)
    media_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    hangs_up: bool = False

    @classmethod
    def problem(cls, status: int, code: str, detail: str = "no", **members: Any) -> Self:
        body = {"type": f"/problems/{code}", "status": status, "code": code, "detail": detail, **members}
        return cls(status, body, "application/problem+json")

    @property
    def content(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """Gives the answers in order, the last one again and again."""

    def __init__(self, answers: Iterable[Said]) -> None:
        self._answers = list(answers)
        self.asked: list[Asked] = []
        self.url = ""

    def next_answer(self, asked: Asked) -> Said:
        self.asked.append(asked)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


@contextmanager
def serving(*answers: Said) -> Iterator[Scripted]:
    """A server for the length of the block."""
    script = Scripted(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = script.next_answer(Asked(self.command, self.path, headers, body))
            if said.hangs_up:
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in (("Content-Type", said.media_type), *said.headers):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.content)))
            self.end_headers()
            self.wfile.write(said.content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 (as http.server calls them)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
