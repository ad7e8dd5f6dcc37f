"""What an adapter is: one SDK, loaded with the workloads' flags, and how an application reads each of them."""

import asyncio
import contextlib
import json
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.bench.engine.workload import Json

# One loop for the SDKs that are asynchronous.
LOOP = asyncio.new_event_loop()


@dataclass(frozen=True, slots=True)
class Read:
    """An expression over a context `c` and `names`: what an application writes to get its value.

    `contexts` are the SDK's own objects, made beforehand; `probes` those of `workload.probes()`. `plain` makes of an
    answer the value that is verified; it is not timed.
    """

    expression: str
    names: Mapping[str, Any]
    contexts: list[Any]
    probes: list[Any] = field(default_factory=list)
    plain: Callable[[Any], Any] | None = None
    is_async: bool = False


class Peer(ABC):
    """One SDK. `packages` are named with their versions in the table.

    Without prerequisites (`has_prerequisites`) W5 is the split alone. `is_close` tells that an operator is missing, so
    that W2 asks something similar, and probes are not held against it. `omits_off`: a bulk read leaves out what is off.
    """

    packages: tuple[str, ...]
    has_prerequisites = True
    is_close = False
    omits_off = False

    @abstractmethod
    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        """Load the flags, and tell how each workload is read; W6 for the first ten people."""

    def close(self) -> None:  # noqa: B027 (most start nothing)
        """End what was started."""


def json_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


@contextlib.contextmanager
def file_of(value: Any) -> Iterator[Path]:
    """A file with this JSON, for SDKs that read one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_bytes(json_bytes(value))
        yield path


class Loopback:
    """Answers every request with the same JSON; for SDKs that only load over HTTP."""

    def __init__(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json_bytes(value)
        headers_sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                for name, text in headers_sent.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def wait_until(holds: Callable[[], Any], what: str, timeout_s: float = 60.0) -> None:
    """Wait for an SDK that loads in the background; raises TimeoutError."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)
