"""How a client is doing, in words for people and for health checks."""

from dataclasses import dataclass
from typing import Literal

State = Literal["starting", "ready", "stale", "error", "closed"]
"""`starting`: nothing yet, and nothing has failed. `ready`: current. `stale`: the last good flags, not known to be
current. `error`: no flags, so every evaluation gives the caller's default. `closed`: no more updates; flags stay."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state and why it is not `ready`; `is_refused` if the server does not take the key."""

    state: State
    cause: str | None = None
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """A client's health, and which revision of which environment it evaluates.

    `origin` is where that came from: `server`, `disk` or `bootstrap`. `warnings` are flags that cannot be used here,
    local copies and overrides that were refused, and what cannot be reported. `overrides` are the keys of the flags
    that are forced locally. `unreported` are the rows that the server has not confirmed yet, `dropped` those that were
    given up since the start.
    """

    state: State
    cause: str | None = None
    is_refused: bool = False
    project: str | None = None
    environment: str | None = None
    epoch: str | None = None
    revision: int | None = None
    published_at: str | None = None
    origin: str | None = None
    warnings: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    unreported: int = 0
    dropped: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether there are flags to evaluate."""
        return self.revision is not None
