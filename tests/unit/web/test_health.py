"""Probes and the scrape."""

import httpx
import pytest
from tests.unit.web.rig import GOOD, Rig, client_of

from greenroom_server.web.health import Check, State, health_routes

pytestmark = pytest.mark.asyncio


def app_with(*checks: Check, rig: Rig | None = None) -> httpx.AsyncClient:
    routes = health_routes(readiness=lambda: checks, scrape=lambda accept: (b"# metrics", accept or "text/plain"))
    return client_of((rig or Rig()).app(*routes))


async def test_alive_is_answered_without_touching_anything() -> None:
    """`/livez` says only that the process answers, even if all else has failed."""
    rig = Rig()
    async with app_with(Check("database", "failed"), rig=rig) as client:
        reply = await client.get("/livez")

    assert (reply.status_code, reply.json()) == (200, {"state": "ok"})
    assert (rig.ledger.opened, rig.authorizer.asked) == ([], [])


@pytest.mark.parametrize(
    ("states", "status", "state"),
    [
        ([], 200, "ok"),
        (["ok", "ok"], 200, "ok"),
        (["ok", "degraded"], 200, "degraded"),
        (["degraded", "failed", "ok"], 503, "failed"),
    ],
)
async def test_readiness_is_that_of_the_worst_check(states: list[State], status: int, state: State) -> None:
    """Degraded still takes traffic, failed does not."""
    checks = [Check(f"check-{index}", one) for index, one in enumerate(states)]
    async with app_with(*checks) as client:
        reply = await client.get("/readyz")

    assert reply.status_code == status
    assert reply.json() == {
        "state": state,
        "checks": [{"name": check.name, "state": check.state} for check in checks],
    }


@pytest.mark.parametrize(("headers", "status"), [(GOOD, 200), ({}, 401)])
async def test_metrics_need_a_credential(headers: dict[str, str], status: int) -> None:
    """How busy a server is concerns its operators."""
    async with app_with() as client:
        reply = await client.get("/metrics", headers=headers)

    assert reply.status_code == status


async def test_metrics_come_in_the_format_asked_for() -> None:
    """The scraper's Accept reaches the registry, and its media type comes back."""
    async with app_with() as client:
        reply = await client.get("/metrics", headers={**GOOD, "Accept": "application/openmetrics-text"})

    assert (reply.text, reply.headers["content-type"]) == ("# metrics", "application/openmetrics-text")
