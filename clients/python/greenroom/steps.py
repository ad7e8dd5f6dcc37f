"""What the state machine of `updates.py` and its drivers say to each other."""

from dataclasses import dataclass

from greenroom.held import Held
from greenroom.status import Health


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for the snapshot, unless it is still `etag`; tell `fetched` or `failed`."""

    etag: str | None


@dataclass(frozen=True, slots=True)
class Open:
    """Open the stream after this event; tell `opened` or `failed`. The body is read only if `Read` comes next."""

    last_event_id: str | None


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for bytes of the stream; tell `received` (nothing at its end), `failed`, or nothing after the timeout.

    Any other step means: close the stream.
    """

    timeout_s: float


Step = Wait | Fetch | Open | Read


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP answer came to. `body` is unpacked; a stream's is empty. `retry_after_s` is 0 if not said."""

    status: int
    content_type: str = ""
    retry_after_s: float = 0.0
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Swap:
    """Evaluate with this from now on; `changed` are the flags that may answer otherwise."""

    held: Held
    changed: frozenset[str]


News = Swap | Health
