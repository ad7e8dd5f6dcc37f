"""Metrics for Prometheus."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenroom_server.observability.metrics import Metrics
from greenroom_server.web.middleware import Finished

GET_FLAG = Finished("get_flag", "/flags/{flag}", "GET", 200, 0.003)


def text_of(metrics: Metrics) -> str:
    return metrics.scrape(None)[0].decode()


def test_requests_are_counted_by_operation_method_and_class_of_status() -> None:
    """The labels are those three and no others."""
    metrics = Metrics()
    for status in (200, 201, 404):
        metrics(Finished("get_flag", "/flags/{flag}", "GET", status, 0.003))

    assert 'greenroom_http_requests_total{method="GET",operation="get_flag",status="2xx"} 2.0' in text_of(metrics)
    assert 'greenroom_http_requests_total{method="GET",operation="get_flag",status="4xx"} 1.0' in text_of(metrics)


def test_durations_are_in_seconds() -> None:
    """The histogram has the base unit of Prometheus."""
    metrics = Metrics()
    metrics(GET_FLAG)

    labels = 'method="GET",operation="get_flag",status="2xx"'
    assert f"greenroom_http_request_duration_seconds_sum{{{labels}}} 0.003" in text_of(metrics)
    assert f'greenroom_http_request_duration_seconds_bucket{{le="0.005",{labels}}} 1.0' in text_of(metrics)


def test_watched_gauge_is_read_when_somebody_looks() -> None:
    """Nobody has to push the number of open streams."""
    streams, metrics = [1, 2], Metrics()
    metrics.watch("streams", "Open streams.", lambda: len(streams))
    streams.append(3)

    assert "greenroom_streams 3.0" in text_of(metrics)


def test_others_may_count() -> None:
    """An area gets a counter in the same registry and under the same prefix."""
    metrics = Metrics()
    metrics.counter("publishes_total", "Snapshots published.").inc()

    assert "greenroom_publishes_total 1.0" in text_of(metrics)


def test_registries_are_independent() -> None:
    """Nothing is global: two servers in one process do not see each other."""
    one, other = Metrics(), Metrics()
    one(GET_FLAG)

    assert "get_flag" not in text_of(other)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_format_is_negotiated(accept: str | None, expected: str) -> None:
    """Prometheus text by default, OpenMetrics if asked."""
    assert Metrics().scrape(accept)[1].startswith(expected)


WORKER = """
import sys
from greenroom_server.observability.metrics import Metrics
from greenroom_server.web.middleware import Finished
metrics = Metrics()
metrics(Finished("get_flag", "/flags/{flag}", "GET", 200, 0.003))
metrics.watch("streams", "Open streams.", lambda: 2)
metrics.watch("revision_age_seconds", "Age.", lambda: float(sys.argv[1]), across="max")
metrics.sample()
print("ready", flush=True)
sys.stdin.readline()
sys.stdout.write(metrics.scrape(None)[0].decode())
"""


def test_several_processes_answer_as_one(tmp_path: Path) -> None:
    """Whichever worker is scraped, counters and streams are summed and ages are the worst."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, age],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for age in ("1", "7")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"

    text, _ = workers[0].communicate("\n")
    workers[1].communicate("\n")

    assert 'greenroom_http_requests_total{method="GET",operation="get_flag",status="2xx"} 2.0' in text
    assert "greenroom_streams 4.0" in text
    assert "greenroom_revision_age_seconds 7.0" in text
