"""Every operation succeeds once, in the order of a flag's life, as the contract says it answers."""

from typing import Any

import pytest
from tests.api.contract.client import ContractClient
from tests.api.contract.document import the_contract
from tests.api.store import DEAD_DELIVERY, put_dead_delivery

SHOP = "/api/v1/projects/shop"
PRODUCTION = f"{SHOP}/environments/production"
ANY = {"If-Match": "*"}
# Their answers do not end (tests/api/delivery holds them), or they happen once in the life of an installation.
NOT_HERE = {"stream_refetches", "stream_snapshot", "set_up"}

Step = tuple[str, str, Any]

READS: list[Step] = [
    ("GET", "/livez", None),
    ("GET", "/readyz", None),
    ("GET", "/metrics", None),
    ("GET", "/openapi.yaml", None),
    ("GET", "/api/v1/whoami", None),
    ("GET", "/api/v1/tokens?limit=3", None),
    ("GET", "/api/v1/projects", None),
    ("GET", SHOP, None),
    ("GET", f"{SHOP}/export", None),
    ("GET", f"{SHOP}/export?format=yaml", None),
    ("GET", f"{SHOP}/environments", None),
    ("GET", f"{SHOP}/environments/production", None),
    ("GET", f"{SHOP}/environments/production/compare?from=staging", None),
    ("GET", f"{SHOP}/flags?tag=checkout&tag=web&lifecycle=rolling_out&text=checkout&limit=1", None),
    ("GET", f"{SHOP}/flags/new-checkout", None),
    ("GET", f"{SHOP}/flags/new-checkout/usage", None),
    ("GET", f"{SHOP}/environments/production/flags/checkout-button", None),
    ("GET", f"{PRODUCTION}/flags/checkout-button/exposures?step=day&since=2026-11-01T00:00:00Z", None),
    ("GET", f"{PRODUCTION}/exposures?flag=new-checkout&limit=5", None),
    ("GET", f"{PRODUCTION}/outcomes", None),
    ("GET", f"{PRODUCTION}/propagation", None),
    ("GET", f"{PRODUCTION}/builds", None),
    ("GET", f"{PRODUCTION}/coverage", None),
    ("GET", f"{SHOP}/darkness-alerts", None),
    ("GET", f"{SHOP}/segments", None),
    ("GET", f"{SHOP}/segments/staff", None),
    ("GET", f"{SHOP}/segments/staff/usage", None),
    ("GET", "/api/v1/audit?limit=2", None),
    ("GET", f"{SHOP}/audit?action=project.import", None),
]
LIFE: list[Step] = [
    ("POST", "/api/v1/projects", {"key": "another", "name": "Another"}),
    ("PATCH", "/api/v1/projects/another", {"description": None}),
    ("POST", f"{SHOP}/environments", {"key": "canary", "name": "Canary", "tier": "production", "position": 2}),
    ("PATCH", f"{SHOP}/environments/canary", {"production_like": True}),
    (
        "POST",
        f"{SHOP}/segments",
        {
            "key": "night",
            "when": {"op": "within", "values": [{"zone": "Europe/Stockholm", "from": "22:00", "to": "06:00"}]},
        },
    ),
    ("PATCH", f"{SHOP}/segments/night", {"name": "At night"}),
    (
        "POST",
        f"{SHOP}/flags",
        {"key": "theme", "purpose": "operational", "type": "string", "variants": {"light": "#fff", "dark": "#000"}},
    ),
    ("PATCH", f"{SHOP}/flags/theme", {"variants": {"dim": "#888"}, "client_visible": True}),
    (
        "PATCH",
        f"{SHOP}/environments/canary/flags/theme",
        {
            "rules": [{"id": "night", "when": {"not": {"segment": "night"}}, "serve": {"variant": "light"}}],
            "fallthrough": {"variant": None, "split": [{"variant": "dark", "weight": 100000}]},
        },
    ),
    ("POST", f"{SHOP}/environments/canary/flags/theme/enable", None),
    ("POST", f"{SHOP}/environments/canary/flags/theme/rollout", {"percent": 12.5}),
    ("POST", f"{SHOP}/environments/staging/copy", {"from": "canary", "flags": ["theme"], "include_enabled": True}),
    ("POST", f"{SHOP}/environments/canary/flags/theme/disable", None),
    ("POST", f"{SHOP}/environments/staging/flags/theme/disable", None),
    ("POST", f"{SHOP}/subjects/erase", {"targeting_key": "user-1"}),
    ("POST", f"{SHOP}/flags/theme/archive", None),
    ("POST", f"{SHOP}/flags/theme/restore", None),
    ("POST", f"{SHOP}/flags/theme/archive", None),
    ("DELETE", f"{SHOP}/flags/theme", None),
    ("DELETE", f"{SHOP}/segments/night", None),
    ("DELETE", f"{SHOP}/environments/canary", None),
    ("DELETE", "/api/v1/projects/another", None),
]


@pytest.mark.asyncio
async def test_every_operation_answers_as_documented(
    admin: ContractClient, tokens: dict[str, str], example_url: str
) -> None:
    """Reads, the life of one of each thing with a dry run before each step, tokens, import, evaluation, snapshot."""
    seen = Seen()
    for method, url, body in READS:
        await seen.step(admin, method, url, body)
    for method, url, body in LIFE:
        tried = await seen.step(admin, method, url, body, dry_run=True)
        assert tried["dry_run"] is True
        await seen.step(admin, method, url, body)
    await _webhooks(seen, admin, example_url)
    await _tokens_and_import(seen, admin)
    await _evaluation(seen, admin, tokens)
    assert seen.operations == {one.id for one in the_contract().operations} - NOT_HERE


async def _webhooks(seen: "Seen", admin: ContractClient, database_url: str) -> None:
    night = f"{SHOP}/webhooks/night"
    wanted = {"key": "night", "url": "https://hooks.invalid/night", "events": ["flag.*"], "environments": ["staging"]}
    await seen.step(admin, "POST", f"{SHOP}/webhooks", wanted, dry_run=True)
    assert (await seen.step(admin, "POST", f"{SHOP}/webhooks", wanted))["secret"].startswith("whsec_")
    await put_dead_delivery(database_url, "night")
    await seen.step(admin, "GET", f"{SHOP}/webhooks", None)
    await seen.step(admin, "GET", night, None)
    steps: list[Step] = [
        ("PATCH", night, {"environments": None}),
        ("POST", f"{night}/rotate-secret", {"overlap_hours": 1}),
        ("POST", f"{night}/test", None),
        ("POST", f"{night}/deliveries/{DEAD_DELIVERY}/replay", None),
        ("GET", f"{night}/deliveries?state=waiting&limit=1", None),
        ("DELETE", night, None),
    ]
    for method, url, body in steps:
        if method != "GET":
            await seen.step(admin, method, url, body, dry_run=True)
        await seen.step(admin, method, url, body)


async def _tokens_and_import(seen: "Seen", admin: ContractClient) -> None:
    wanted = {"name": "night shift", "kind": "client", "project": "shop", "environment": "staging"}
    assert (await seen.step(admin, "POST", "/api/v1/tokens", wanted, dry_run=True))["result"]["token"] == ""
    made = await seen.step(admin, "POST", "/api/v1/tokens", wanted)
    await seen.step(admin, "GET", f"/api/v1/tokens/{made['id']}", None)
    await seen.step(admin, "DELETE", f"/api/v1/tokens/{made['id']}", None, dry_run=True)
    await seen.step(admin, "DELETE", f"/api/v1/tokens/{made['id']}", None)
    document = await seen.step(admin, "GET", f"{SHOP}/export", None)
    document["flags"][0]["description"] = "changed"
    await seen.step(admin, "POST", "/api/v1/import", document, dry_run=True)
    await seen.step(admin, "POST", "/api/v1/import", document)


async def _evaluation(seen: "Seen", admin: ContractClient, tokens: dict[str, str]) -> None:
    body = {"context": {"targetingKey": "user-1", "plan": "plus", "appVersion": "2.5.0", "country": ["SE"]}}
    flags = (await admin.get(f"{SHOP}/flags")).json()["items"]
    for flag in flags:
        await seen.step(admin, "POST", f"{SHOP}/environments/production/flags/{flag['key']}/evaluate", body)
    for kind in ("server", "client"):
        async with admin.bearing(tokens[kind]) as application:
            await seen.step(application, "POST", "/ofrep/v1/evaluate/flags", body)
            await seen.step(application, "POST", "/ofrep/v1/evaluate/flags", {"context": {}})
            await seen.step(application, "POST", "/ofrep/v1/evaluate/flags/delivery-fee", body)
    async with admin.bearing(tokens["server"]) as application:
        await seen.step(application, "GET", "/api/v1/sdk/snapshot", None)
        report = the_contract().operation("POST", "/api/v1/sdk/exposures")
        assert report is not None
        assert report.request_body is not None
        batch = report.request_body["content"]["application/json"]["example"]
        await seen.step(application, "POST", "/api/v1/sdk/exposures", batch)


class Seen:
    """Makes the steps, each of which must succeed, and remembers which operations they were."""

    def __init__(self) -> None:
        self.operations: set[str] = set()

    async def step(self, client: ContractClient, method: str, url: str, body: Any, *, dry_run: bool = False) -> Any:
        headers = ANY if method in ("PATCH", "DELETE") else {}
        address = f"{url}?dry_run=true" if dry_run else url
        answer = await client.request(method, address, json=body, headers=headers)
        assert 200 <= answer.status_code < 300, (method, url, answer.text)
        template = the_contract().template_of(answer.request.url.path)
        operation = the_contract().operation(method, template or "")
        assert operation is not None
        self.operations.add(operation.id)
        return answer.json() if answer.headers.get("content-type", "").endswith("json") else answer.content
