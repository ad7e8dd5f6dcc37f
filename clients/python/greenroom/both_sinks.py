"""An application's own sink beside the one that reports."""

import logging
from collections.abc import Callable
from time import monotonic

from greenroom.evaluation import Evaluation, Snapshot
from greenroom.sinks import Context, ExposureSink, Teller, teller_of

_log = logging.getLogger("greenroom")


class BothSinks:
    """An application's own sink, and one that never raises, as one sink."""

    def __init__(self, own: ExposureSink, other: ExposureSink) -> None:
        self._own, self._other = own, other
        self._is_broken = False

    def exposed(self, evaluation: Evaluation, context: Context) -> None:
        """Tell both."""
        self._try(lambda: self._own.exposed(evaluation, context))
        self._other.exposed(evaluation, context)

    def teller(self, evaluation: Evaluation) -> Teller:
        """Tells both."""
        own, other = teller_of(self._own, evaluation), teller_of(self._other, evaluation)

        def tell(context: Context) -> None:
            try:
                own(context)
            except Exception:
                self._note_broken()
            other(context)

        return tell

    def tracked(self, event: str, context: Context, value: float | None) -> None:
        """Tell both."""
        self._try(lambda: self._own.tracked(event, context, value))
        self._other.tracked(event, context, value)

    def swapped(self, snapshot: Snapshot) -> None:
        """Tell both."""
        self._try(lambda: self._own.swapped(snapshot))
        self._other.swapped(snapshot)

    def forked(self) -> None:
        """Tell both."""
        self._try(self._own.forked)
        self._other.forked()

    def close(self, timeout_s: float) -> None:
        """Close both within this time, the application's last."""
        deadline = monotonic() + timeout_s
        self._other.close(timeout_s)
        self._try(lambda: self._own.close(max(0.0, deadline - monotonic())))

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            self._note_broken()

    def _note_broken(self) -> None:
        if not self._is_broken:
            self._is_broken = True
            _log.exception("the exposure sink raised an error; this is said once")
