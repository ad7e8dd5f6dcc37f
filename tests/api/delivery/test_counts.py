"""What is counted on the hot paths reaches Prometheus when it is scraped."""

import pytest
from tests.unit.delivery.rig import Stage, flag

from greenroom_server.observability.metrics import Metrics

pytestmark = pytest.mark.asyncio


def sample(metrics: Metrics, name: str) -> float:
    text = metrics.scrape(None)[0].decode()
    return next(float(line.split(" ")[1]) for line in text.splitlines() if line.startswith(f"greenroom_{name} "))


async def test_answers_are_counted_by_what_they_were() -> None:
    """Singles, bulks, snapshots, unchanged ones, refusals and failures."""
    stage, metrics = Stage(flag("a")), Metrics()
    stage.delivery.watch(metrics)
    await stage.evaluate("a")
    await stage.evaluate("a")
    etag = (await stage.evaluate_all()).headers["etag"]
    await stage.evaluate_all(if_none_match=etag)
    await stage.snapshot()
    await stage.evaluate("a", token="nobody")

    names = ("evaluations", "bulk_evaluations", "unchanged", "snapshots", "refusals", "failures")
    counts = {name: sample(metrics, f"delivery_{name}_total") for name in names}

    assert counts == dict(zip(names, (2, 1, 1, 1, 1, 0), strict=True))


async def test_scraping_twice_counts_once() -> None:
    """Only what is new is passed on."""
    stage, metrics = Stage(flag("a")), Metrics()
    stage.delivery.watch(metrics)
    await stage.evaluate("a")

    assert sample(metrics, "delivery_evaluations_total") == 1
    assert sample(metrics, "delivery_evaluations_total") == 1


async def test_no_label_names_a_flag_or_an_environment() -> None:
    """Metrics are for operators, and a flag's name may be a secret."""
    stage, metrics = Stage(flag("canary")), Metrics()
    stage.delivery.watch(metrics)
    await stage.evaluate("canary")

    text = metrics.scrape(None)[0].decode()

    assert "canary" not in text
    assert "production" not in text
