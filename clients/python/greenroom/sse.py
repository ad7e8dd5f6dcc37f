"""Server-sent events out of bytes that arrive in any pieces. Pure, and bounded in memory."""

from dataclasses import dataclass
from typing import Final

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """an event is larger than anything that could be meant"""


@dataclass(frozen=True, slots=True)
class Event:
    """One whole event. `name` is `message` if it says none."""

    name: str
    data: bytes
    id: str | None = None


class EventParser:
    """Keeps what has arrived of the event that is not whole yet, up to `max_bytes` of it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []  # of the line that is not whole yet
        self._size = 0  # of the pieces, and of the lines that wait for the end of their event
        self._data: list[bytes] = []
        self._name = ""
        self._id: str | None = None
        self._is_first_line = True
        self._had_return = False

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished event is kept."""
        return self._size

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete; raises EventTooLarge, after which nothing more can be read."""
        if self._had_return and data.startswith(b"\n"):
            data = data[1:]  # the second half of a line end
            self._had_return = False
        if not data:
            return []
        self._had_return = data.endswith(b"\r")
        events = []
        for line in data.splitlines(keepends=True):
            self._size += len(line)
            if self._size > self._max_bytes:
                raise EventTooLarge(f"an event of more than {self._max_bytes} bytes")
            self._pieces.append(line)
            if line.endswith((b"\n", b"\r")):
                event = self._take(b"".join(self._pieces))
                if event is not None:
                    events.append(event)
        return events

    def _take(self, line: bytes) -> Event | None:
        self._pieces.clear()
        text = line.rstrip(b"\r\n")
        if self._is_first_line:
            self._is_first_line = False
            text = text.removeprefix(_BYTE_ORDER_MARK)
        if not text:
            return self._finish()
        name, colon, value = text.partition(b":")
        if not name or not self._note(name, value.removeprefix(b" ") if colon else b""):
            self._size -= len(line)  # a comment, or a field that nobody keeps
        return None

    def _note(self, name: bytes, value: bytes) -> bool:
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._name = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
            case _:
                return False
        return True

    def _finish(self) -> Event | None:
        event = Event(self._name or "message", b"\n".join(self._data), self._id) if self._data else None
        self._data, self._name, self._id, self._size = [], "", None, 0
        return event
