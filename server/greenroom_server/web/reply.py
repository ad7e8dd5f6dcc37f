"""What a handler answers, and how it is put on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Send

from greenroom_server.web.codec import write_json

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `body` becomes JSON unless it is bytes already; None is no body at all.

    A GET whose `If-None-Match` names `etag` is answered 304 by the kit, unless `etag_covers_body` says that the body
    also shows what moves without the tag (which then is for `If-Match` only). `replay_body` is for secrets shown once:
    it is what a repeated `Idempotency-Key` gets instead of `body`, and the only one of the two that is ever stored.
    """

    status: int = 200
    body: Any = None
    etag: str | None = None
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON
    replay_body: Any = None
    etag_covers_body: bool = True

    def encoded(self) -> "Encoded":
        """The bytes; raises TypeError if the body has no JSON form, so do it before the commit."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers.setdefault("cache-control", "no-store")
        if self.etag is not None:
            headers["etag"] = self.etag
        if self.location is not None:
            headers["location"] = self.location
        if self.body is None:
            return Encoded(self.status, headers, b"")
        revalidates = self.etag is not None and self.etag_covers_body
        headers["content-type"] = self.media_type
        stored = self.body if self.replay_body is None else self.replay_body
        return Encoded(self.status, headers, _bytes_of(self.body), _bytes_of(stored), revalidates)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A reply as bytes; `stored_body` is what an idempotent replay will say, `revalidates` whether it may be a 304."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    stored_body: bytes = b""
    revalidates: bool = False

    async def send(self, send: Send, *, head: bool = False) -> None:
        await send(self.start())
        await send({"type": "http.response.body", "body": b"" if head else self.body})

    def start(self) -> dict[str, Any]:
        """The ASGI message that opens the response."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        if self.status != 304 and self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        return {"type": "http.response.start", "status": self.status, "headers": headers}


def _bytes_of(body: Any) -> bytes:
    return body if isinstance(body, bytes) else write_json(body)
