"""uvicorn's HTTP protocol with limits on what an app never sees: a request's head, and a body that nobody reads.

uvicorn alone waits for a head for ever and keeps all of it in memory, however long it grows.
Give the class to `uvicorn.Config(http=…)`.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S: Final = 10.0
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 100

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes connections that take their time with a head, or with the rest of a body after the answer."""

    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._messages = 0
        self._is_in_message = False
        self._is_in_head = False
        self._head_bytes = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # What comes with the end of another request is not counted: how much of it is head, the parser does not tell.
        is_head_only = not self._is_in_message or self._is_in_head
        messages = self._messages + (not self._is_in_message)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_in_message and self._is_in_head and is_head_only and self._messages == messages:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse()
                return
        if self._is_more_due():
            self._begin_waiting()

    def on_message_begin(self) -> None:
        self._messages += 1
        self._is_in_message = self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            raise ValueError("too many headers")  # the parser hands it on as a malformed request: 400
        self._is_in_head = False
        self._end_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_message = False
        self._end_waiting()
        super().on_message_complete()

    def _is_more_due(self) -> bool:
        is_answered = self.cycle is None or self.cycle.response_complete
        if self._is_in_message:
            return self._is_in_head or is_answered
        # uvicorn keeps time for a connection at rest, but not for one on which something came that begins no request.
        return is_answered and self.timeout_keep_alive_task is None

    def _begin_waiting(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _end_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self.cycle is None or self.cycle.response_complete:  # else an answer is under way: let it be
            self.transport.close()

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOO_LARGE)
        self.transport.close()
