"""One HTTP request and its answer over one connection, as bytes; who moves the bytes is not known here.

h11 reads and writes HTTP/1.1. Bodies are unpacked while they arrive and never grow past a limit.
"""

import re
import zlib
from datetime import UTC, datetime
from typing import Final

import h11

from greenroom.errors import SourceError
from greenroom.held import MAX_DOCUMENT_BYTES
from greenroom.steps import Answer
from greenroom.version import VERSION

MAX_ANSWER_BYTES: Final = MAX_DOCUMENT_BYTES
_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE_BYTES: Final = 1024 * 1024

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE: Final = re.compile(
    r"\w{3}, (?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) GMT",
    re.ASCII,
)

Headers = list[tuple[str, str]]


def request_headers(key: str, condition: tuple[str, str | None], *, is_stream: bool) -> Headers:
    """The headers of a request; `condition` is the header that names what the client has, if it has something."""
    headers = [
        ("Authorization", f"Bearer {key}"),
        ("User-Agent", f"greenroom-python/{VERSION}"),
        ("Accept", "text/event-stream" if is_stream else "application/json"),
        ("Accept-Encoding", "identity" if is_stream else "gzip"),
        ("Cache-Control", "no-cache"),
        ("Connection", "close"),
    ]
    name, value = condition
    return headers if value is None else [*headers, (name, value)]


def report_headers(key: str, size: int) -> Headers:
    """The headers of a report whose packed body has this size."""
    return [
        *request_headers(key, ("Content-Length", str(size)), is_stream=False),
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
    ]


class Exchange:
    """Send `request`, feed what comes; `answer` has the head once it is there, `take_body` what came since."""

    def __init__(
        self, target: str, headers: Headers, *, method: str = "GET", body: bytes = b"", is_stream: bool = False
    ) -> None:
        self._connection = h11.Connection(h11.CLIENT)
        request = h11.Request(method=method, target=target, headers=headers)
        parts = [request, h11.Data(data=body), h11.EndOfMessage()] if body else [request, h11.EndOfMessage()]
        self.request: Final = b"".join(self._connection.send(part) or b"" for part in parts)
        self.answer: Answer | None = None
        self.is_done = False
        self._is_stream = is_stream
        self._body: list[bytes] = []
        self._size = 0
        self._unpacker: zlib._Decompress | None = None

    def feed(self, data: bytes) -> None:
        """Bytes of the answer, none at the end of the connection; raises SourceError if they are no answer."""
        try:
            self._connection.receive_data(data)
            while not self.is_done:
                event = self._connection.next_event()
                if isinstance(event, h11.Response):
                    self._begin(event)
                elif isinstance(event, h11.Data):
                    self._keep(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self._end()
                elif event is h11.PAUSED:  # a tunnel begins
                    self.is_done = True
                elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                    break
        except (h11.ProtocolError, zlib.error) as error:
            raise SourceError(f"the answer is no HTTP: {error}" if data else "the answer broke off") from error

    def take_body(self) -> bytes:
        """What came of the body since this was last asked."""
        body = b"".join(self._body)
        self._body.clear()
        return body

    def whole_answer(self) -> Answer:
        """The finished answer with its body."""
        head = self.answer
        assert head is not None and self.is_done  # noqa: S101, PT018 (asked only then)
        return Answer(head.status, head.content_type, head.retry_after_s, self.take_body())

    def _begin(self, response: h11.Response) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding == "gzip":
            self._unpacker = zlib.decompressobj(_GZIP)
        elif coding != "identity":
            raise SourceError(f"the answer is packed as `{coding[:50]}`, which nobody asked for")
        content_type = headers.get("content-type", "").strip().lower()
        retry_after_s = _retry_after_s(headers.get("retry-after", ""), headers.get("date", ""))
        self.answer = Answer(response.status_code, content_type, retry_after_s)

    def _keep(self, data: bytes) -> None:
        if self._unpacker is None:
            self._append(data)
            return
        while data:
            self._append(self._unpacker.decompress(data, _PIECE_BYTES))
            data = self._unpacker.unconsumed_tail

    def _append(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_ANSWER_BYTES and not self._is_stream:
            raise SourceError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        self._body.append(data)

    def _end(self) -> None:
        if self._unpacker is not None and not self._unpacker.eof and self._size:
            raise SourceError("the packed answer broke off")
        self.is_done = True


def _retry_after_s(text: str, date: str) -> float:
    """Seconds, said as such or as a date; a date counts from the server's own, whatever the clock says here."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    then, now = _moment_of(text), _moment_of(date.strip())
    return 0.0 if then is None or now is None else max(0.0, (then - now).total_seconds())


def _moment_of(text: str) -> datetime | None:
    found = _HTTP_DATE.fullmatch(text)
    if found is None or found["month"] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[name]) for name in ("day", "year", "hour", "minute", "second"))
    try:
        return datetime(year, _MONTHS.index(found["month"]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
