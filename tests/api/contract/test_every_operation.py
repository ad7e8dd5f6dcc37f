"""Every operation succeeds once, in the order of a flag's life, as the contract says it answers."""

import hashlib
import hmac
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text
from tests.api.contract.client import ContractClient
from tests.api.contract.document import the_contract
from tests.api.store import DEAD_DELIVERY, database, put_dead_delivery

from greenroom_server.database.engine import Database
from greenroom_server.flags.service_gate import Look

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
    ("GET", "/release-policy.schema.json", None),
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


PLACE = {
    "project": "shop",
    "service": "checkout",
    "environment": "production",
    "story": "SHOP-117",
    "person": "bo@shop.example",
    "producer": "ci",
}
STAGED = {"digest": "sha256:" + "1" * 64, "environment": "staging"}
ENDS = (
    ("parity", "parities", "revoke"),
    ("demo", "demos", "revoke"),
    ("obstacle", "obstacles", "close"),
    ("incident", "incidents", "resolve"),
    ("approval", "approvals", "withdraw"),
    ("veto", "vetoes", "withdraw"),
    ("waiver", "waivers", "withdraw"),
)
RELEASES = (
    *("create_service", "list_services", "read_service", "update_service", "put_mode", "read_mode"),
    *("put_person", "list_people", "put_producer", "list_producers", "put_release_settings", "read_release_settings"),
    *("put_story", "read_story", "list_stories", "reopen_story"),
    *("register_build", "declare_digest", "read_registered_build", "list_registered_builds"),
    *("start_deployment", "finish_deployment", "make_live", "read_deployment", "list_deployments"),
    *("add_evidence", "read_evidence", "list_evidence", "revoke_evidence"),
    *("create_provenance", "list_provenances", "create_health", "list_health", "take_in_events"),
    *(
        name
        for kind, plural, end in ENDS
        for name in (f"create_{kind}", f"list_{plural}", *(["accept_demo"] if kind == "demo" else []), f"{end}_{kind}")
    ),
)


# What they publish is dark, or goes: new flags and segments, and a segment that nothing uses.
PUBLISHES_NOTHING_LIT: Final = {"create_flag", "create_segment", "delete_segment"}


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows whenever a change asks the release gate, whatever the gate makes of it."""
    asked: list[str] = []
    for name in ("settle", "settle_place"):
        monkeypatch.setattr(Look, name, _telling(asked, getattr(Look, name)))
    return asked


def _telling(asked: list[str], settle: Any) -> Any:
    def told(look: Look, *arguments: Any) -> Any:
        asked.append(look.project.key)
        return settle(look, *arguments)

    return told


@pytest.mark.asyncio
async def test_every_operation_answers_as_documented(
    admin: ContractClient, tokens: dict[str, str], example_url: str, settled: list[str]
) -> None:
    """Reads, the life of one of each thing with a dry run before each step, tokens, import, evaluation, snapshot.

    And no side door: whichever operation moves what an environment serves has asked the release gate.
    """
    async with database(example_url, pool_size=1) as store:
        seen = Seen(store, settled)
        await _everything(seen, admin, tokens, example_url)
    assert seen.operations == {one.id for one in the_contract().operations} - NOT_HERE
    assert seen.unasked == PUBLISHES_NOTHING_LIT


async def _everything(seen: "Seen", admin: ContractClient, tokens: dict[str, str], example_url: str) -> None:
    for method, url, body in READS:
        await seen.step(admin, method, url, body)
    for method, url, body in LIFE:
        tried = await seen.step(admin, method, url, body, dry_run=True)
        assert tried["dry_run"] is True
        await seen.step(admin, method, url, body)
    await _webhooks(seen, admin, example_url)
    await _guardrails(seen, admin)
    await _tokens_and_import(seen, admin)
    await _releases(seen, admin, tokens)
    await _named_releases(seen, admin)
    await _policies_and_decisions(seen, admin)
    await _permits(seen, admin)
    await _change_requests(seen, admin)
    await _integrations(seen, admin)
    await _evaluation(seen, admin, tokens)


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


async def _integrations(seen: "Seen", admin: ContractClient) -> None:
    place, secret = f"{SHOP}/integrations", "0123456789abcdef"
    kinds = {
        "github": {"account": "1", "secret": secret, "credential": "a key", "url": "https://github.invalid"},
        "gitlab": {"account": "shop", "secret": secret, "credential": "a token", "url": "https://gitlab.invalid"},
        "azure": {"url": "https://azure.invalid/shop"},
        "flagger": {"secret": secret},
    }
    for kind, members in kinds.items():
        wanted = {"key": kind, "kind": kind, "service": "checkout", **members}
        await seen.step(admin, "POST", place, wanted, dry_run=True)
        await seen.step(admin, "POST", place, wanted)
    canary = {"name": "checkout", "namespace": "shop", "metadata": {"token": secret, "environment": "staging"}}
    canary["metadata"] |= {"digest": STAGED["digest"]}  # type: ignore[operator]
    ping = {"zen": "Keep it logically awesome."}
    signed = {"X-Hub-Signature-256": github_signature(secret, ping), "X-GitHub-Event": "ping"}
    asked = the_contract().operation("POST", "/api/v1/projects/{project}/integrations/{integration}/azure")
    assert asked is not None
    check = asked.request_body["content"]["application/json"]["example"] | {"PlanUrl": "https://azure.invalid/shop"}  # type: ignore[index]
    for path, body, headers in (
        ("github", ping, signed),
        ("gitlab", {"object_kind": "deployment"}, {"X-Gitlab-Token": secret}),
        ("azure", check, {}),
    ):
        for dry_run in ("true", "false"):
            reply = await admin.post(f"{place}/{path}/{path}", json=body, headers=headers, params={"dry_run": dry_run})
            assert reply.status_code == (200 if dry_run == "true" else 202), reply.text
        seen.operations.add({"gitlab": "poke_from_gitlab"}.get(path, f"ask_from_{path}"))
    for path, operation_id in (("confirm", "confirm_to_flagger"), ("rollback", "roll_back_by_flagger")):
        reply = await admin.post(f"{place}/flagger/flagger/{path}", json=canary)
        assert reply.status_code == (403 if path == "confirm" else 200), reply.text  # nobody knows this digest
        seen.operations.add(operation_id)
    measured = {"service": "checkout", "environment": "staging", "digest": STAGED["digest"]}
    steps: list[Step] = [
        ("POST", f"{SHOP}/adapters/argo", measured),
        ("GET", place, None),
        ("GET", f"{place}/azure", None),
        ("GET", f"{place}/azure/requests?limit=1", None),
        ("PATCH", f"{place}/azure", {"enabled": False}),
        ("DELETE", f"{place}/azure", None),
    ]
    for method, url, body in steps:
        if method != "GET":
            await seen.step(admin, method, url, body, dry_run=True)
        await seen.step(admin, method, url, body)


def github_signature(secret: str, body: Any) -> str:
    """As GitHub signs what httpx sends as JSON."""
    sent = httpx.Request("POST", "https://greenroom.invalid", json=body).content
    return "sha256=" + hmac.new(secret.encode(), sent, hashlib.sha256).hexdigest()


async def _guardrails(seen: "Seen", admin: ContractClient) -> None:
    """The examples of openapi.yaml; alerts come from somebody who holds the secret and no token."""
    pages, errors = f"{SHOP}/guardrails/pages", f"{SHOP}/guardrails/checkout-errors"
    operation = the_contract().operation("POST", "/api/v1/projects/{project}/guardrails")
    assert operation is not None
    assert operation.request_body is not None
    wanted = operation.request_body["content"]["application/json"]["example"]
    await seen.step(admin, "POST", f"{SHOP}/guardrails", wanted, dry_run=True)
    assert (await seen.step(admin, "POST", f"{SHOP}/guardrails", wanted))["secret"] is None
    alerts = {"key": "pages", "source": {"kind": "alert"}, "action": "hold"}
    secret = (await seen.step(admin, "POST", f"{SHOP}/guardrails", alerts))["secret"]
    sent = the_contract().operation("POST", "/api/v1/projects/{project}/guardrails/{guardrail}/alerts")
    assert sent is not None
    assert sent.request_body is not None
    message = sent.request_body["content"]["application/json"]["examples"]["alertmanager"]["value"]
    async with admin.bearing(secret) as alertmanager:
        assert (await seen.step(alertmanager, "POST", f"{pages}/alerts", message))["firing"] == 1
    await seen.step(admin, "GET", f"{SHOP}/guardrails", None)
    assert (await seen.step(admin, "GET", pages, None))["is_tripped"] is True
    for dry_run in (True, False):
        await seen.step(admin, "PATCH", errors, {"condition": {"value": 0.5}}, dry_run=dry_run)
    assert (await seen.step(admin, "POST", f"{pages}/test", None))["outcome"] == "hold"
    for dry_run in (True, False):
        await seen.step(admin, "DELETE", errors, None, dry_run=dry_run)


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


async def _releases(seen: "Seen", admin: ContractClient, tokens: dict[str, str]) -> None:
    """The examples of openapi.yaml, in the order of a build's life, each tried first as a dry run."""
    wanted = {"name": "Ada", "kind": "admin", "person": "ada@shop.example", "roles": ["product"]}
    ada = admin.bearing((await seen.step(admin, "POST", "/api/v1/tokens", wanted))["token"])
    ids: dict[str, str] = {"digest": "sha256:" + "0" * 64}
    for operation_id in RELEASES:
        operation = next(one for one in the_contract().operations if one.id == operation_id)
        path = operation.path.format(**{**ids, **PLACE})
        body = None
        if operation.request_body is not None:
            body = operation.request_body["content"]["application/json"]["example"]
            if operation_id == "take_in_events":
                media_type = "application/cloudevents+json"
                body = operation.request_body["content"][media_type]["example"]
                reply = await ada.post(path, json=body, headers={"Content-Type": media_type})
                assert reply.json()["items"][0]["status"] == "accepted", reply.text
                seen.operations.add(operation_id)
                continue
            if isinstance(body, dict) and "at" in body:
                body = {**body, "at": "2026-01-01T00:00:00Z"}
            if isinstance(body, dict) and "until" in body:
                body = {**body, "until": "2999-01-01T00:00:00Z"}
            if operation_id == "register_build":
                ids["digest"] = body["digests"][0]
            await seen.step(ada, operation.method, path, body, dry_run=True)
        made = await seen.step(ada, operation.method, path, body)
        if operation_id == "add_evidence":
            ids["evidence"] = made["items"][0]["id"]
        elif operation_id.startswith(("create_", "start_")):
            ids[operation_id.partition("_")[2]] = made.get("id", "")
        if operation_id == "finish_deployment":
            again = await seen.step(ada, "POST", f"{SHOP}/services/checkout/deployments", STAGED)
            await seen.step(ada, "POST", f"{SHOP}/deployments/{again['id']}/fail", {})


async def _named_releases(seen: "Seen", admin: ContractClient) -> None:
    """One of two flags in staging: planned, scheduled, approved, started, held, taken back, ended and forgotten."""
    wanted = {"name": "Cleo", "kind": "admin", "person": "cleo@shop.example", "roles": ["product"]}
    cleo = admin.bearing((await admin.post("/api/v1/tokens", json=wanted)).json()["token"])
    releases, spring = f"{SHOP}/releases", f"{SHOP}/releases/spring"
    plan = {
        "key": "spring",
        "environment": "staging",
        "flags": [{"flag": "gift-cards"}, {"flag": "max-cart-items", "variant": "large"}],
        "steps": [
            {"audience": {"percent": 5}, "flags": {"gift-cards": {"segment": "staff"}}},
            {"audience": {"percent": 25.5}, "advance": {"after": "1h", "guardrails": ["errors"]}},
        ],
        "start_approval": {"role": "product"},
    }
    await seen.step(admin, "POST", releases, plan, dry_run=True)
    digest = (await seen.step(admin, "POST", releases, plan))["digest"]
    steps: list[tuple[ContractClient, str, str, Any]] = [
        (admin, "PATCH", spring, {"name": "Spring"}),
        (admin, "POST", f"{spring}/schedule", {"local": "2027-01-04T09:00", "zone": "Europe/Berlin"}),
        (cleo, "POST", f"{spring}/approve", {"digest": digest}),
        (admin, "POST", f"{spring}/go", {}),
        (admin, "POST", f"{spring}/hold", {"reason": "lunch"}),
        (admin, "POST", f"{spring}/resume", None),
        (admin, "POST", f"{spring}/go", {"force": True}),
        (admin, "POST", f"{spring}/undo", {"to": "previous"}),
        (admin, "POST", f"{spring}/abort", None),
        (admin, "POST", f"{spring}/undo", None),
    ]
    for client, method, url, body in steps:
        await seen.step(client, method, url, body, dry_run=True)
        await seen.step(client, method, url, body)
    assert len((await seen.step(admin, "GET", f"{spring}/moves", None))["items"]) == 4
    await seen.step(admin, "GET", spring, None)
    await seen.step(admin, "GET", f"{releases}?state=undone&environment=staging&limit=1", None)
    await seen.step(admin, "DELETE", spring, None, dry_run=True)
    await seen.step(admin, "DELETE", spring, None)


async def _policies_and_decisions(seen: "Seen", admin: ContractClient) -> None:
    """A template becomes the policy, and decides; what it decided is read, listed, replayed and waited for."""
    policies, decisions = f"{SHOP}/policies", f"{SHOP}/decisions"
    await seen.step(admin, "GET", f"{SHOP}/policy-templates/business-release?time_zone=Europe/Berlin", None)
    operation = next(one for one in the_contract().operations if one.id == "create_policy")
    assert operation.request_body is not None
    document = operation.request_body["content"]["application/json"]["example"]
    assert (await seen.step(admin, "POST", f"{policies}/check", document))["is_ready"] is True
    await seen.step(admin, "POST", policies, document, dry_run=True)
    made = await seen.step(admin, "POST", policies, document)
    version = f"{policies}/{made['name']}/versions/{made['version']}"
    await seen.step(admin, "GET", version, None)
    await seen.step(admin, "GET", policies, None)
    gate = f"{SHOP}/environments/production/release-gate"
    await seen.step(admin, "GET", gate, None)
    for dry_run in (True, False):
        await seen.step(admin, "PUT", gate, {"mode": "observe", "reason": "we look first"}, dry_run=dry_run)
    await seen.step(admin, "GET", f"{SHOP}/policy-settings", None)
    for dry_run in (True, False):
        await seen.step(admin, "PATCH", f"{SHOP}/policy-settings", {"four_eyes": False}, dry_run=dry_run)
    for dry_run in (True, False):
        await seen.step(admin, "POST", f"{version}/activate", {"reason": "alone"}, dry_run=dry_run)
    asked = {"action": "deploy", "service": "checkout", "environment": "production", "digest": "sha256:" + "f" * 64}
    await seen.step(admin, "POST", decisions, asked, dry_run=True)
    decision = await seen.step(admin, "POST", decisions, asked)
    assert decision["decision"] == "deny"
    await seen.step(admin, "POST", f"{decisions}/simulate", {**asked, "at": "2026-12-24T09:00:00Z"})
    await seen.step(admin, "GET", f"{decisions}?service=checkout&verdict=deny", None)
    await seen.step(admin, "GET", f"{decisions}/{decision['id']}", None)
    assert (await seen.step(admin, "POST", f"{decisions}/{decision['id']}/replay", None))["same"] is True
    await seen.step(admin, "GET", f"{decisions}/{decision['id']}/news?wait=1", None)
    await seen.step(admin, "GET", f"{version}/comparison?last=10", None)
    web = f"{SHOP}/services/checkout"
    await seen.step(admin, "GET", f"{web}/readiness?environment=production", None)
    wanted = {"environment": "production", "thresholds": {"auto_ready_percent": 90}}
    await seen.step(admin, "POST", f"{web}/readiness", wanted, dry_run=True)
    report = await seen.step(admin, "POST", f"{web}/readiness", wanted)
    await seen.step(admin, "GET", f"{SHOP}/readiness/{report['id']}", None)
    await seen.step(admin, "GET", f"{web}/figures?environment=production&days=7", None)
    await seen.step(admin, "GET", f"{SHOP}/stories:board?environment=production", None)
    await seen.step(admin, "GET", f"{SHOP}/stories/SHOP-117/done?environment=production", None)
    assert await seen.step(admin, "POST", f"{policies}/compare", document) == {"replayed": 1, "changed": []}


async def _permits(seen: "Seen", admin: ContractClient) -> None:
    """A permit is issued, used and released; a break-glass lets one through, and is reviewed by a third person."""
    rule = {"id": "veto", "kind": "veto", "actions": ["deploy"], "environments": ["staging"]}
    document = {
        "schema": "release-policy/v1",
        "name": "permits",
        "time_zone": "UTC",
        "environments": {"staging": {"order": 10, "tier": "staging"}},
        "rules": [rule],
        "break_glass": {"roles": ["product"]},
    }
    await seen.step(admin, "POST", f"{SHOP}/policies", document)
    await seen.step(admin, "POST", f"{SHOP}/policies/permits/versions/1/activate", {})
    people = []
    for name in ("ada", "bo", "cy"):
        wanted = {"name": name, "kind": "manager", "person": f"{name}@shop.example", "roles": ["product"]}
        people.append(admin.bearing((await seen.step(admin, "POST", "/api/v1/tokens", wanted))["token"]))
    ada, bo, cy = people
    build = {"digests": ["sha256:" + "9" * 64], "commit": "9" * 40}
    await seen.step(admin, "POST", f"{SHOP}/services/checkout/builds", build)
    place = {"service": "checkout", "environment": "staging", "digest": build["digests"][0]}
    issued = await _both(seen, admin, f"{SHOP}/permits", place)
    await seen.step(admin, "GET", f"{SHOP}/permits", None)
    permit = f"{SHOP}/permits/{issued['permit']['id']}"
    await _both(seen, admin, f"{permit}/use", None)
    await _both(seen, admin, f"{permit}/release", {"reason": "not now"})
    assert (await seen.step(admin, "GET", permit, None))["state"] == "released"
    await _both(seen, admin, f"{SHOP}/permit-keys/rotate", None)
    assert len((await seen.step(admin, "GET", f"{SHOP}/permit-keys", None))["items"]) == 2
    asked = {**place, "reason": "customers cannot pay", "ticket": "INC-1"}
    withdrawn = await _both(seen, ada, f"{SHOP}/break-glass", asked)
    await _both(seen, ada, f"{SHOP}/break-glass/{withdrawn['id']}/withdraw", {})
    glass = f"{SHOP}/break-glass/{(await seen.step(ada, 'POST', f'{SHOP}/break-glass', asked))['id']}"
    await _both(seen, bo, f"{glass}/confirm", {})
    await seen.step(ada, "POST", f"{SHOP}/vetoes", {"environment": "staging", "reason": "no"})
    assert (await seen.step(admin, "POST", f"{SHOP}/permits", place))["permit"]["break_glass"] is not None
    await _both(seen, cy, f"{glass}/review", {"findings": "it was needed"})
    assert (await seen.step(admin, "GET", glass, None))["state"] == "reviewed"
    await seen.step(admin, "GET", f"{SHOP}/break-glass?open=true", None)


async def _both(seen: "Seen", client: ContractClient, url: str, body: Any) -> Any:
    """The dry run of a step, and the step."""
    await seen.step(client, "POST", url, body, dry_run=True)
    return await seen.step(client, "POST", url, body)


async def _change_requests(seen: "Seen", admin: ContractClient) -> None:
    """One that is drafted, edited, disputed, agreed to and applied, and one that is withdrawn."""
    people = []
    for name in ("ida@shop.example", "jon@shop.example"):
        wanted = {"name": name, "kind": "manager", "person": name}
        people.append(admin.bearing((await seen.step(admin, "POST", "/api/v1/tokens", wanted))["token"]))
    ida, jon = people
    settings, requests = f"{PRODUCTION}/approval-settings", f"{PRODUCTION}/change-requests"
    for dry_run in (True, False):
        await seen.step(admin, "PATCH", settings, {"required": 1}, dry_run=dry_run)
    await seen.step(admin, "GET", settings, None)
    asked: dict[str, Any] = {"title": "Gift cards", "changes": [{"op": "disable", "flag": "gift-cards"}], "draft": True}
    await seen.step(ida, "POST", requests, asked, dry_run=True)
    made = await seen.step(ida, "POST", requests, asked)
    path = f"{requests}/{made['number']}"
    steps: list[tuple[ContractClient, Step]] = [
        (ida, ("PATCH", path, {"reason": "they sell badly"})),
        (ida, ("POST", f"{path}/open", None)),
        (jon, ("POST", f"{path}/reject", {"reason": "not before Christmas"})),
        (jon, ("POST", f"{path}/retract", {"reason": "it is over"})),
        (jon, ("POST", f"{path}/approve", {"hash": made["hash"]})),
        (jon, ("POST", f"{path}/schedule", {"apply_at": "2999-01-01T00:00:00Z"})),
        (jon, ("POST", f"{path}/preview", {"contexts": [{"targetingKey": "dora"}]})),
        (jon, ("POST", f"{path}/apply", None)),
    ]
    for client, (method, url, body) in steps:
        await seen.step(client, method, url, body, dry_run=True)
        await seen.step(client, method, url, body)
    await seen.step(jon, "GET", path, None)
    await seen.step(jon, "GET", f"{requests}?state=applied", None)
    other = await seen.step(ida, "POST", requests, {**asked, "changes": [{"op": "enable", "flag": "gift-cards"}]})
    await seen.step(ida, "POST", f"{requests}/{other['number']}/withdraw", {"reason": "never mind"})
    await seen.step(admin, "PATCH", settings, {"required": 0, "reason": "the test goes on alone"})


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
    """Makes the steps, each of which must succeed, and remembers which operations they were.

    `unasked` are those that moved a revision and asked no release gate.
    """

    def __init__(self, store: Database, settled: list[str]) -> None:
        self.operations: set[str] = set()
        self.unasked: set[str] = set()
        self._store = store
        self._settled = settled
        self._revisions: dict[Any, int] = {}

    async def step(self, client: ContractClient, method: str, url: str, body: Any, *, dry_run: bool = False) -> Any:
        headers = ANY if method in ("PATCH", "PUT", "DELETE") else {}
        address = f"{url}?dry_run=true" if dry_run else url
        answer = await client.request(method, address, json=body, headers=headers)
        assert 200 <= answer.status_code < 300, (method, url, answer.text)
        template = the_contract().template_of(answer.request.url.path)
        operation = the_contract().operation(method, template or "")
        assert operation is not None
        self.operations.add(operation.id)
        if method != "GET" and not dry_run:
            await self._look_for_side_doors(operation.id)
        return answer.json() if answer.headers.get("content-type", "").endswith("json") else answer.content

    async def _look_for_side_doors(self, operation: str) -> None:
        """An environment that has been there before has a new revision, and nobody was asked: note the operation."""
        async with self._store.reading() as session:
            found: dict[Any, int] = dict((await session.execute(text("SELECT id, revision FROM environment"))).all())
        has_moved = any(found.get(key, revision) != revision for key, revision in self._revisions.items())
        if has_moved and not self._settled:
            self.unasked.add(operation)
        self._revisions = found
        self._settled.clear()
