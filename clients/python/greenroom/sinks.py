"""Where a client tells what it served."""

from collections.abc import Mapping
from typing import Any, Protocol

from greenroom.evaluation import Evaluation, Snapshot

Context = Mapping[str, Any]


class ExposureSink(Protocol):
    """Told of every evaluation that an application asked for; an error and an unknown flag too, bulk reads not.

    `exposed` is called within each evaluation, by any thread: it must cost nanoseconds, never block and never do I/O.
    The same evaluation object comes again for the same answer, so counting by identity is enough; `flag_key`,
    `variant` and `reason` are on it. What it raises is swallowed. `tracked` is as cheap. `swapped` tells the snapshot
    that evaluations are of from now on. `close` sends what is left within its time; it may be called more than once.
    After a fork `forked` is called in the child, before anything else: threads are gone and locks may be stuck.
    """

    def exposed(self, evaluation: Evaluation, context: Context) -> object: ...
    def tracked(self, event: str, context: Context, value: float | None) -> None: ...
    def swapped(self, snapshot: Snapshot) -> None: ...
    def forked(self) -> None: ...
    def close(self, timeout_s: float) -> None: ...
