"""The floors: one Starlette route, and raw ASGI, that read the same requests and write the same bytes as our server.

    python -m tests.bench.http.floors starlette|raw <file with the answer>

They run on the same uvicorn with the settings of `greenroom-server serve`. They check nothing and decide nothing.
"""

import base64
import json
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.bench.http.wire import Answer

from greenroom_server.serve import UVICORN

KINDS = ("starlette", "raw")


def save(answer: Answer, method: str, path: str, file: Path) -> None:
    """Write down what a floor is to answer, for its process to read."""
    headers = [(name.decode(), value.decode()) for name, value in answer.headers]
    body = base64.b64encode(answer.body).decode()
    file.write_text(
        json.dumps({"method": method, "path": path, "status": answer.status, "headers": headers, "body": body})
    )


def starlette_floor(method: str, path: str, status: int, headers: list[tuple[str, str]], body: bytes) -> ASGIApp:
    """One route; it reads the body of a POST."""
    fixed = {name: value for name, value in headers if name != "content-length"}

    async def read_and_answer(request: Request) -> Response:
        await request.body()
        return Response(body, status, fixed)

    async def answer(request: Request) -> Response:
        return Response(body, status, fixed)

    return Starlette(routes=[Route(path, read_and_answer if method == "POST" else answer, methods=[method])])


def raw_floor(method: str, path: str, status: int, headers: list[tuple[str, str]], body: bytes) -> ASGIApp:
    """No route at all."""
    fixed = [(name.encode(), value.encode()) for name, value in headers]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if method == "POST":
            while (await receive()).get("more_body", False):
                pass
        await send({"type": "http.response.start", "status": status, "headers": fixed})
        await send({"type": "http.response.body", "body": body})

    return app


def serve(app: ASGIApp) -> None:
    """On a free port, which is said on standard output."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    server = uvicorn.Server(uvicorn.Config(app, **(UVICORN | {"lifespan": "off"})))
    sys.stdout.write(f"listening on http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


def main() -> None:
    """Serve one floor until SIGTERM."""
    kind, file = sys.argv[1:3]
    saved = json.loads(Path(file).read_text())
    make = starlette_floor if kind == "starlette" else raw_floor
    headers = [(name, value) for name, value in saved["headers"]]
    serve(make(saved["method"], saved["path"], saved["status"], headers, base64.b64decode(saved["body"])))


if __name__ == "__main__":
    main()
