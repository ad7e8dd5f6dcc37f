"""A forge on the loopback: it has the API that the server answers to, and remembers what came."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson

WITHIN_S = 20.0

# Gets method, path, headers (names in small letters) and the JSON, or what else was sent as text; gives the status and
# the JSON of the answer.
Api = Callable[[str, str, dict[str, str], Any], tuple[int, Any]]


class Forge:
    """Listens while the block lasts; `calls` are (method, path, headers, JSON) of all that came."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def wait_for(self, number: int, ending: str) -> list[tuple[str, str, dict[str, str], Any]]:
        """So many calls, or more, of paths that end so; within some seconds."""
        deadline = time.monotonic() + WITHIN_S
        while len(found := [call for call in self.calls if call[1].endswith(ending)]) < number:
            assert time.monotonic() < deadline, f"{len(found)} of {number} calls came: {self.calls}"
            time.sleep(0.01)
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler_of(forge: Forge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = WITHIN_S

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_json = headers.get("content-type", "").startswith("application/json")
            document = orjson.loads(body) if body and is_json else body.decode()
            status, answer = forge.api(self.command, self.path, headers, document)
            forge.calls.append((self.command, self.path, headers, document))
            sent = b"" if answer is None else orjson.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    return Handler
