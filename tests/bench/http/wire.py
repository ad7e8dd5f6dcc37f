"""One HTTP exchange over a plain socket, byte by byte: for verification and for latencies."""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response. `size` counts every byte of it, the head too."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    size: int

    def header(self, name: bytes) -> bytes:
        return dict(self.headers).get(name, b"")

    @property
    def content(self) -> tuple[int, list[tuple[bytes, bytes]], bytes, int]:
        """Equal for two answers of the same bytes, whatever the order of their headers."""
        return self.status, sorted(self.headers), self.body, self.size


class Connection:
    """A keep-alive connection that asks one thing after the other."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> Answer:
        """Send the request and read the whole response; raises ConnectionError if it is cut off."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        pairs = [line.partition(b":") for line in lines[1:]]
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        expected = int(dict(headers).get(b"content-length", b"0"))
        while len(body) < expected:
            body += self._more()
        return Answer(int(lines[0].split()[1]), headers, body, len(head) + 4 + len(body))

    def begin(self, request: bytes) -> None:
        """Send the request and wait for the beginning of an answer that may never end."""
        self._socket.sendall(request)
        self._more()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _more(self) -> bytes:
        data = self._socket.recv(_PIECE)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def ask_once(port: int, request: bytes) -> Answer:
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.ask(request)
