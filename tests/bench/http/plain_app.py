"""A raw ASGI app to compare HTTP servers with, and the two servers that can run it or our own app.

python -m tests.bench.http.plain_app uvicorn|granian|granian-greenroom
"""

import socket
import sys

import orjson
from starlette.types import Receive, Scope, Send
from tests.bench.http import floors

from greenroom_server.app import Server, create_app
from greenroom_server.observability.logs import configure_logging
from greenroom_server.settings import Settings

SMALL = b"x" * 300
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(SMALL)).encode())]
_EVENTS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`GET /small` answers 300 bytes, `POST /json` parses its body first, `GET /events` is a stream without events."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if scope["method"] == "POST":
        body, message = b"", await receive()
        while message.get("more_body", False):
            body += message["body"]
            message = await receive()
        orjson.loads(body + message["body"])
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": SMALL})


def greenroom() -> Server:
    """Our app without what `serve` adds for uvicorn: limits on heads, and the goodbye to streams at a signal."""
    settings = Settings()
    configure_logging(settings.log_format, settings.log_level)
    return create_app(settings)


def _serve_on_granian(target: str, *, is_factory: bool) -> None:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops

    with socket.socket() as probe:  # granian cannot take a socket that is open already
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Granian(
        target,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=4096,
        log_enabled=False,
        factory=is_factory,
    )
    sys.stdout.write(f"listening on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    server.serve()


def main() -> None:
    """Serve until SIGTERM."""
    kind = sys.argv[1]
    if kind == "uvicorn":
        floors.serve(app)
    elif kind == "granian":
        _serve_on_granian(f"{__spec__.name}:app", is_factory=False)
    else:
        _serve_on_granian(f"{__spec__.name}:greenroom", is_factory=True)


if __name__ == "__main__":
    main()
