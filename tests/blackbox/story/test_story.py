"""From a commit to customers and back: two services, one story, and everybody's word, through real processes.

The story that the product is for. It stays dark while it is deployed, it is refused to the business as long as
something is missing, it starts at the hour that the business chose, a guardrail takes a step back, and it is undone.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.adapters.forge import Forge
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.story.shop import (
    CUSTOMERS,
    FLAG,
    PATH,
    PRODUCTION,
    PROJECT,
    RELEASE,
    SERVICES,
    STORY,
    Application,
    Shop,
    digest_of,
)

ALL = frozenset(range(CUSTOMERS))
PLAN = {
    "key": RELEASE,
    "environment": "production",
    "flags": [{"flag": FLAG}],
    "steps": [
        {"name": "a quarter", "audience": {"percent": 25}, "advance": {"after": "1s", "guardrails": ["errors"]}},
        {"name": "half", "audience": {"percent": 50}, "advance": {"after": "1h", "guardrails": ["errors"]}},
        {"name": "everyone", "audience": "everyone"},
    ],
}


class Prometheus:
    """Answers the instant query; `value` is the share of errors."""

    def __init__(self) -> None:
        self.value = 0.0

    def __call__(self, method: str, path: str, headers: dict[str, str], document: Any) -> tuple[int, Any]:
        sample = [datetime.now(UTC).timestamp(), str(self.value)]
        return 200, {
            "status": "success",
            "data": {"resultType": "vector", "result": [{"metric": {"job": "web"}, "value": sample}]},
        }


@pytest.fixture
def metrics() -> Prometheus:
    return Prometheus()


@pytest.fixture
def shop(make_database: Callable[[], str], data_dir_factory: Callable[[], Path], metrics: Prometheus) -> Iterator[Shop]:
    with (
        Forge(metrics) as forge,
        ServerProcess(
            data_dir_factory(),
            database_url=make_database(),
            workers=2,
            guardrail_http="true",
            guardrail_egress="127.0.0.1",
            guardrail_ports=forge.url.rpartition(":")[2],
            release_interval_s="0.2",
        ) as server,
    ):
        made = Shop(server)
        try:
            made.set_up(forge.url)
            yield made
        finally:
            made.close()


def codes(decision: Any) -> set[str]:
    """What held a decision up."""
    return {rule["code"] for rule in decision["rules"] if rule["outcome"] in ("pending", "fail", "error")}


@pytest.mark.timeout(240)
def test_a_story_goes_live_and_comes_back(shop: Shop, metrics: Prometheus) -> None:
    """Every refusal names its reasons, every change reaches both applications, and exposures say the same."""
    shop.rule(closed_until=datetime.now(UTC) + timedelta(days=1))
    keys = {service: shop.admin.sdk_key(PROJECT, "production") for service in SERVICES}
    with (
        Application(shop.server.url, keys["web"], "web") as web,
        Application(shop.server.url, keys["api"], "api") as api,
    ):
        _deploy_dark(shop)
        for application in (web, api):
            until(lambda application=application: application.lit == frozenset(), within_s=30, what="dark")  # type: ignore[misc]
        _is_refused_early(shop)
        nine = _everybody_gives_their_word(shop)

        quarter = _both_see(web, api, lambda lit: 20 <= len(lit) <= 80)
        assert datetime.now(UTC) >= nine
        half = _both_see(web, api, lambda lit: 70 <= len(lit) <= 130)
        assert quarter < half
        _the_guardrail_steps_back(shop, metrics, web, api, quarter)
        _everyone_gets_it(shop, metrics, web, api)
        _is_undone(shop, web, api)
    assert web.seen[-1] == api.seen[-1] == frozenset()
    _exposures_agree(shop)


def _deploy_dark(shop: Shop) -> None:
    """The unfinished story is deployed in both services, because its flag is dark; lit, it would not be."""
    for service in SERVICES:
        shop.build(service, 2, STORY)
        denied = shop.may_deploy(service, 2)
        assert denied["decision"] != "allow"
        assert {"evidence.missing", "order.not_deployed"} <= codes(denied)
        shop.tests_ran(service, 2, "unit")
        shop.deploy(service, 2, "staging")
        shop.tests_ran(service, 2, "acceptance")
        allowed = shop.may_deploy(service, 2)
        assert allowed["decision"] == "allow", codes(allowed)
        shop.deploy(service, 2, "production", "green")
    done = shop.bo.send("GET", f"{PATH}/stories/{STORY}/done?environment=production")
    assert done["decision"] != "allow"


def _is_refused_early(shop: Shop) -> None:
    """By the switch and by the plan: the answer says what is missing, and the flag stays dark."""
    reply = shop.bo.http.post(f"{PRODUCTION}/flags/{FLAG}/enable")
    assert (reply.status_code, reply.json()["code"]) == (409, "release_waits"), reply.text
    assert {"demo.missing", "approval.missing", "calendar.frozen"} <= codes(reply.json()["decision"])
    assert reply.json()["decision"]["steps"]
    shop.bo.send("POST", f"{PATH}/releases", PLAN)
    refused = shop.bo.http.post(f"{PATH}/releases/{RELEASE}/go", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "release_waits"), refused.text
    assert shop.ann.http.post(f"{PRODUCTION}/flags/{FLAG}/enable").status_code == 403


def _everybody_gives_their_word(shop: Shop) -> datetime:
    """The customer takes the story, the product manager approves, and the release waits for its hour, which comes."""
    shop.show()
    approval = {"verdict": "approve", "action": "release", "environment": "production", "flag": FLAG, "audience": "all"}
    shop.bo.send("POST", f"{PATH}/approvals", approval)
    done = shop.bo.send("GET", f"{PATH}/stories/{STORY}/done?environment=production")
    assert done["decision"] == "allow", done["rules"]
    nine = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
    shop.rule(closed_until=nine)
    early = shop.bo.http.post(f"{PRODUCTION}/flags/{FLAG}/enable")
    assert codes(early.json()["decision"]) == {"calendar.frozen"}
    local = {"local": nine.strftime("%Y-%m-%dT%H:%M:%S"), "zone": "UTC"}
    scheduled = shop.bo.send("POST", f"{PATH}/releases/{RELEASE}/schedule", local)
    assert scheduled["state"] == "scheduled"
    return nine


def _both_see(web: Application, api: Application, is_right: Callable[[frozenset[int]], bool]) -> frozenset[int]:
    """The same customers in both services."""
    until(lambda: web.sees(is_right) and web.lit == api.lit, within_s=70, what="both applications to follow")
    assert web.lit is not None
    return web.lit


def _the_guardrail_steps_back(
    shop: Shop, metrics: Prometheus, web: Application, api: Application, quarter: frozenset[int]
) -> None:
    """The share of errors rises: within half a minute the audience is what it was, and the release is held."""
    metrics.value = 0.5
    begun = datetime.now(UTC)
    _both_see(web, api, lambda lit: lit == quarter)
    assert datetime.now(UTC) - begun < timedelta(seconds=30)
    release = shop.release()
    assert (release["state"], release["step"]) == ("held", 1)
    assert "errors" in release["hold"]["reason"]


def _everyone_gets_it(shop: Shop, metrics: Prometheus, web: Application, api: Application) -> None:
    """The cause is mended, and the business goes on by hand."""
    metrics.value = 0.0
    for step in (2, 3):

        def goes_on(step: int = step) -> bool:
            shop.bo.http.post(f"{PATH}/releases/{RELEASE}/go", json={"reason": "mended"})
            return bool(shop.release()["step"] == step)

        until(goes_on, within_s=40, what=f"step {step}")
    _both_see(web, api, lambda lit: lit == ALL)
    story = shop.bo.send("GET", f"{PATH}/stories:board?environment=production")
    assert STORY in str(story)


def _is_undone(shop: Shop, web: Application, api: Application) -> None:
    """Shown first, then done, whatever the policy says: narrowing is always allowed."""
    veto = {"environment": "production", "reason": "stop everything"}
    shop.bo.send("POST", f"{PATH}/vetoes", veto)
    preview = shop.bo.send("POST", f"{PATH}/releases/{RELEASE}/undo?dry_run=true", {})
    assert preview["dry_run"] is True
    assert web.lit == ALL
    shop.bo.send("POST", f"{PATH}/releases/{RELEASE}/undo", {"reason": "the customer changed her mind"})
    _both_see(web, api, lambda lit: lit == frozenset())


def _exposures_agree(shop: Shop) -> None:
    """How many were served the new page is what the applications say they served, by the builds that really run."""

    def served() -> dict[str, int]:
        shown = shop.bo.send("GET", f"{PRODUCTION}/flags/{FLAG}/exposures")
        return {one["variant"]: one["subjects"] for one in shown["totals"]}

    until(lambda: served() == {"on": CUSTOMERS, "off": CUSTOMERS}, within_s=30, what="every exposure")
    builds = {one["build"] for one in shop.bo.send("GET", f"{PRODUCTION}/builds")["items"]}
    assert builds == {digest_of(service, 2) for service in SERVICES}
    audited = shop.admin.send("GET", f"{PATH}/audit?limit=200")["items"]
    told = {"release.started", "release.step", "release.held", "release.undone", "guardrail.tripped"}
    assert told <= {one["action"] for one in audited}
