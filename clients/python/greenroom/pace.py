"""When to try again: the retry contract's numbers. Pure; chance and time are arguments.

Full jitter on 1 s, doubled up to 30 s; 2.5 to 5 minutes when the key is refused, and never the end; `Retry-After` is
kept up to five minutes; a minute of health wipes the slate clean.
"""

from collections.abc import Callable
from typing import Final

BASE_S: Final = 1.0
CAP_S: Final = 30.0
SLOW_S: Final = (150.0, 300.0)
RETRY_AFTER_CAP_S: Final = 300.0
HEALTHY_S: Final = 60.0

POLL_S: Final = 30.0
POLL_SPREAD: Final = 0.2
STREAM_FAILURES: Final = 3
"""After so many in a row the client polls."""
STREAM_AGAIN_S: Final = 300.0
SILENT_S: Final = 45.0
"""Three heartbeats: a stream without a byte for longer is dead."""

SLOW_STATUSES: Final = frozenset((401, 403, 404))
LATER_STATUSES: Final = frozenset((429, 503))
"""With `Retry-After`: the server is full just now, or takes in a storm at its own pace."""

_MAX_EXPONENT: Final = 16


class Pace:
    """Counts failures and says how long to wait. `draw` gives a number in [0, 1)."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self.draw = draw
        self._failures = 0
        self._healthy_since: float | None = None

    def succeeded(self, now: float) -> None:
        """All is well from now on, until `failed` is called."""
        if self._healthy_since is None:
            self._healthy_since = now

    def failed(self, now: float, *, is_refused: bool = False, retry_after_s: float = 0.0) -> float:
        """How long to wait before the next attempt."""
        if self._healthy_since is not None and now - self._healthy_since >= HEALTHY_S:
            self._failures = 0
        self._healthy_since = None
        ceiling = min(CAP_S, BASE_S * 2 ** min(self._failures, _MAX_EXPONENT))
        self._failures += 1
        least, most = SLOW_S if is_refused else (0.0, ceiling)
        return max(least + self.draw() * (most - least), min(retry_after_s, RETRY_AFTER_CAP_S))

    def until_poll(self, interval_s: float) -> float:
        """How long to wait between two polls: `interval_s`, spread."""
        return interval_s * (1 - POLL_SPREAD + 2 * POLL_SPREAD * self.draw())
