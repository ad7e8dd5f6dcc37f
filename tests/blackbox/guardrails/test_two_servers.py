"""Two real servers, a running release, and a Prometheus that changes its mind: asked once a turn, heard in time."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.webhooks.receiver import Answer, Receiver

PROJECT: Final = "/api/v1/projects/shop"
RELEASE: Final = f"{PROJECT}/releases/winter"
INTERVAL_S: Final = 5
PLAN: Final[dict[str, Any]] = {
    "key": "winter",
    "environment": "test",
    "flags": [{"flag": "lights"}],
    "steps": [
        {"audience": {"percent": 5}, "advance": {"after": "1s", "guardrails": ["errors"]}},
        {"audience": {"percent": 50}, "advance": {"after": "1h", "guardrails": ["errors"]}},
        {"audience": "everyone"},
    ],
}


@pytest.fixture
def prometheus() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def says(prometheus: Receiver, value: str) -> None:
    """What it answers from now on; its clock is ahead of the last data by nothing that matters here."""
    data = {"resultType": "scalar", "result": [time.time() + 20, value]}
    prometheus.usual = Answer(200, body=orjson.dumps({"status": "success", "data": data}))


@pytest.mark.slow
def test_a_step_back_comes_in_time_though_a_server_is_killed(
    make_database: Callable[[], str], data_dir_factory: Callable[[], Path], prometheus: Receiver
) -> None:
    """On once the source was heard, and back within half a minute of the source's change; no turn comes twice."""
    url = make_database()
    settings: dict[str, Any] = {"webhook_insecure": "true", "release_interval_s": "0.5"}
    with (
        ServerProcess(data_dir_factory(), database_url=url, **settings) as first,
        ServerProcess(data_dir_factory(), database_url=url, **settings) as second,
        Author(second.url, second.set_up()) as author,
    ):
        author.project("shop", "test")
        author.flag("shop", "lights")
        source = {"kind": "prometheus", "url": prometheus.url.removesuffix("/in"), "query": "up"}
        condition = {"kind": "threshold", "op": "gt", "value": 0.5}
        wanted = {"key": "errors", "source": source, "condition": condition, "action": "step_back"}
        author.send("POST", f"{PROJECT}/guardrails", {**wanted, "interval_s": INTERVAL_S})
        says(prometheus, "0.1")
        author.send("POST", f"{PROJECT}/releases", PLAN)
        author.send("POST", f"{RELEASE}/go")
        until(lambda: author.send("GET", RELEASE)["step"] == 2)

        first.kill()
        says(prometheus, "0.9")
        changed_at = time.monotonic()
        until(lambda: author.send("GET", RELEASE)["state"] == "held", within_s=30)
        reacted_s = time.monotonic() - changed_at
        held = author.send("GET", RELEASE)

    assert (held["step"], held["hold"]["code"]) == (1, "guardrail_stepped_back")
    assert "0.9 is > 0.5" in held["hold"]["reason"]
    assert reacted_s < 30
    moments: list[Any] = [row[0] for row in fetch(url, "SELECT at FROM guardrail_reading ORDER BY at")]
    assert all((later - earlier).total_seconds() > INTERVAL_S - 2 for earlier, later in pairwise(moments))
    assert len(prometheus.messages) >= len(moments) >= 2
