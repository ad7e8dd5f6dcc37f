"""Prometheus metrics in a registry of their own, handed around; works for one process and for several.

Several processes share their numbers through the files in PROMETHEUS_MULTIPROC_DIR, which `cli` must set before
this module is imported. Labels are operation ids and classes of status, never a flag, an environment or a user.
"""

import os
from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from greenroom_server.web.middleware import Finished

MULTIPROCESS_DIR: Final = "PROMETHEUS_MULTIPROC_DIR"

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LABELS: Final = ("operation", "method", "status")

# How one number is made of the processes' numbers.
Across = Literal["sum", "max", "min"]
_MODES: Final[dict[Across, Literal["livesum", "livemax", "livemin"]]] = {
    "sum": "livesum",
    "max": "livemax",
    "min": "livemin",
}


class Metrics:
    """The server's metrics; call it as an observer of requests."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "greenroom_http_requests_total", "HTTP requests answered.", _LABELS, registry=self.registry
        )
        self._durations = Histogram(
            "greenroom_http_request_duration_seconds",
            "Time from the request's first byte to its answer's last; of event streams, to their first.",
            _LABELS,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []

    def __call__(self, finished: Finished) -> None:
        key = (finished.operation_id, finished.method, finished.status // 100)
        children = self._children.get(key)
        if children is None:
            labels = (finished.operation_id, finished.method, f"{key[2]}xx")
            children = self._requests.labels(*labels), self._durations.labels(*labels)
            self._children[key] = children
        children[0].inc()
        children[1].observe(finished.duration_s)

    def counter(self, name: str, text: str) -> Counter:
        """A counter for somebody else to raise; `name` ends with `_total`."""
        return Counter(f"greenroom_{name}", text, registry=self.registry)

    def watch(self, name: str, text: str, read: Callable[[], float], *, across: Across = "sum") -> None:
        """A gauge that is read when somebody looks; `read` answers from memory."""
        gauge = Gauge(f"greenroom_{name}", text, registry=self.registry, multiprocess_mode=_MODES[across])
        self._watched.append((gauge, read))
        gauge.set(read())

    def sample(self) -> None:
        """Reads all watched gauges. With several processes each must do so every few seconds: only one is scraped."""
        for gauge, read in self._watched:
            gauge.set(read())

    def scrape(self, accept: str | None) -> tuple[bytes, str]:
        """The text of all metrics and its media type: Prometheus 0.0.4, or OpenMetrics if it is asked for."""
        self.sample()
        encode, media_type = choose_encoder(accept or "")
        return encode(self._collected()), media_type

    def _collected(self) -> CollectorRegistry:
        if MULTIPROCESS_DIR not in os.environ:
            return self.registry
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return everybody


def forget_process(pid: int) -> None:
    """Takes a dead process's live gauges out of the sums; its counters stay."""
    if MULTIPROCESS_DIR in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
