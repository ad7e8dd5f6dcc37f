"""Plain integers that the hot paths count up; they reach Prometheus when somebody looks."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from greenroom_server.delivery.hub import Hub

_TEXTS: Final = {
    "evaluations": "Single remote evaluations answered.",
    "bulk_evaluations": "Bulk remote evaluations answered with a body.",
    "snapshots": "Snapshots sent.",
    "unchanged": "Snapshots and bulk evaluations answered `304 Not Modified`.",
    "refusals": "Requests on the delivery paths answered with a client error.",
    "failures": "Requests on the delivery paths answered with a server error.",
}


class Registry(Protocol):
    """Where metrics are made; `observability.metrics.Metrics` is one."""

    def counter(self, name: str, text: str) -> Any: ...

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None: ...


class Counters:
    """What happened on the delivery paths since the start."""

    __slots__ = ("_bound", "bulk_evaluations", "evaluations", "failures", "refusals", "snapshots", "unchanged")

    def __init__(self) -> None:
        self.evaluations = 0
        self.bulk_evaluations = 0
        self.snapshots = 0
        self.unchanged = 0
        self.refusals = 0
        self.failures = 0
        self._bound: list[tuple[Any, Callable[[], int], int]] = []

    def bind(self, registry: Registry, hub: Hub) -> None:
        """Show these counts, and the hub's, in a metrics registry."""
        for name, text in _TEXTS.items():
            self._bind(registry, f"delivery_{name}_total", text, lambda name=name: getattr(self, name))  # type: ignore[misc]
        self._bind(registry, "streams_refused_total", "Streams refused for a cap or a rate.", lambda: hub.refused)
        self._bind(registry, "streams_dropped_total", "Streams cut because they read too slowly.", lambda: hub.dropped)
        self._bind(registry, "stream_events_total", "Events written to streams.", lambda: hub.events_sent)

        def open_streams() -> float:
            self.flush()  # gauges are read at every scrape
            return hub.count

        registry.watch("streams_open", "Open event streams.", open_streams)

    def flush(self) -> None:
        """Pass on what was counted since the last time."""
        for index, (counter, read, seen) in enumerate(self._bound):
            now = read()
            if now != seen:
                counter.inc(now - seen)
                self._bound[index] = (counter, read, now)

    def _bind(self, registry: Registry, name: str, text: str, read: Callable[[], int]) -> None:
        self._bound.append((registry.counter(name, text), read, 0))
