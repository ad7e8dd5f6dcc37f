"""An open event stream, read in a thread."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it came; `name` is `message` if it says none."""

    name: str
    data: str
    id: str
    at: float


class EventStream:
    """Reads from the start of the block until the server ends the stream or the block does."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url = url
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._http = httpx.Client(timeout=httpx.Timeout(10, read=30))
        self.events: list[Event] = []
        self.status = 0
        self.has_ended = False

    def wait(self, condition: Callable[[Self], bool], within_s: float = 10) -> None:
        """Wait until the condition holds; asked again at each event and at the end of the stream."""
        with self._news:
            assert self._news.wait_for(lambda: condition(self), within_s), f"not within {within_s:g} s: {self.events}"

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join(0 if not self.has_ended else 5)
        self._http.close()

    def _read(self) -> None:
        try:
            with self._http.stream("GET", self._url, headers=self._headers) as response:
                self.status = response.status_code
                fields: dict[str, str] = {}
                for line in response.iter_lines():
                    name, _, value = line.partition(":")
                    if line and name:
                        fields[name] = fields.get(name, "") + value.removeprefix(" ")
                    elif not line and fields:
                        self._take(fields)
                        fields = {}
        except (httpx.HTTPError, OSError):
            pass
        finally:
            with self._news:
                self.has_ended = True
                self._news.notify_all()

    def _take(self, fields: dict[str, str]) -> None:
        if "data" not in fields:
            return
        event = Event(fields.get("event", "message"), fields["data"], fields.get("id", ""), time.monotonic())
        with self._news:
            self.events.append(event)
            self._news.notify_all()
