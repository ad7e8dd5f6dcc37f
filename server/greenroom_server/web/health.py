"""For load balancers and Prometheus: is the process alive, may it get traffic, how is it doing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from greenroom_server.web.routing import PUBLIC, Call, Reply, Route

State = Literal["ok", "degraded", "failed"]

Readiness = Callable[[], Sequence["Check"]]
# The value of `Accept` -> the text and its media type.
Scrape = Callable[[str | None], tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that readiness depends on. `degraded` still takes traffic; `failed` does not."""

    name: str
    state: State


def health_routes(*, readiness: Readiness, scrape: Scrape) -> list[Route]:
    """`/livez`, `/readyz`, `/metrics`; `readiness` answers from memory, so that a probe never waits for the store."""

    async def live(call: Call) -> Reply:
        return Reply(200, {"state": "ok"})

    async def ready(call: Call) -> Reply:
        checks = readiness()
        state = _worst(checks)
        body = {"state": state, "checks": [{"name": check.name, "state": check.state} for check in checks]}
        return Reply(503 if state == "failed" else 200, body)

    async def read_metrics(call: Call) -> Reply:
        text, media_type = scrape(call.request.headers.get("accept"))
        return Reply(200, text, media_type=media_type)

    return [
        Route("GET", "/livez", "live", PUBLIC, live),
        Route("GET", "/readyz", "ready", PUBLIC, ready),
        Route("GET", "/metrics", "read_metrics", "metrics.read", read_metrics),
    ]


def _worst(checks: Sequence[Check]) -> State:
    states = {check.state for check in checks}
    if "failed" in states:
        return "failed"
    return "degraded" if "degraded" in states else "ok"
