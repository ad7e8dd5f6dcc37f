"""Where a client tells what it served."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from greenroom.evaluation import Evaluation, Snapshot

Context = Mapping[str, Any]
Teller = Callable[[Context], object]
"""Told of each context for which one particular evaluation was the answer."""


class ExposureSink(Protocol):
    """Told of every evaluation that an application asked for; an error and an unknown flag too, bulk reads not.

    `exposed` is called within each evaluation, by any thread: it must cost nanoseconds, never block and never do I/O.
    The same evaluation object comes again for the same answer, so counting by identity is enough; `flag_key`,
    `variant` and `reason` are on it. What it raises is swallowed. `tracked` is as cheap. `swapped` tells the snapshot
    that evaluations are of from now on. `close` sends what is left within its time; it may be called more than once,
    and nothing is told after it. After a fork `forked` is called in the child, before anything else: threads are gone
    and locks may be stuck.

    A sink may have a method `teller(evaluation)` as well. Then it is asked once for each evaluation that served
    something, and the function that it gives is called instead of `exposed`, with the context alone.
    """

    def exposed(self, evaluation: Evaluation, context: Context) -> object: ...
    def tracked(self, event: str, context: Context, value: float | None) -> object: ...
    def swapped(self, snapshot: Snapshot) -> None: ...
    def forked(self) -> None: ...
    def close(self, timeout_s: float) -> None: ...


def teller_of(sink: ExposureSink, evaluation: Evaluation) -> Teller:
    """What is to be called whenever this evaluation is the answer."""
    own: Callable[[Evaluation], Teller] | None = getattr(sink, "teller", None)
    return partial(sink.exposed, evaluation) if own is None else own(evaluation)
