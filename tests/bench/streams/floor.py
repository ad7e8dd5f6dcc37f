"""The floor of delivery: a raw ASGI app that holds streams open and writes the same prebuilt bytes to all of them.

    python -m tests.bench.streams.floor

`GET /events` is a stream, `POST /publish` sends its body down all of them, `GET /ping` answers. It runs on the same
uvicorn with the settings of `greenroom-server serve`, knows nobody, checks nothing and beats no heart.
"""

import gc

from starlette.types import Receive, Scope, Send
from tests.bench.http import floors
from tests.bench.streams.listeners import allow_many_files

_EVENTS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
_EMPTY = [(b"content-length", b"0")]
_streams: set[Send] = set()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams and what goes down them."""
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
        _streams.add(send)
        while (await receive())["type"] != "http.disconnect":
            pass
        _streams.discard(send)
        return
    if scope["path"] == "/publish":
        body, message = b"", await receive()
        while message.get("more_body", False):
            body += message["body"]
            message = await receive()
        event = {"type": "http.response.body", "body": body + message["body"], "more_body": True}
        for write in list(_streams):
            await write(event)
    await send({"type": "http.response.start", "status": 200, "headers": _EMPTY})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    allow_many_files()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    floors.serve(app)
