"""Every route with every kind of credential: who is let in, who is told what.

The rows come from the route tables, so a new route has its row from the start. Whatever would write is a dry run.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from tests.api.conftest import TOKENS, Example
from tests.api.contract.client import ContractClient
from tests.api.contract.tables import all_routes, template_of
from tests.api.store import DEAD_DELIVERY, put_dead_delivery

from greenroom_server.access.permissions import PERMISSIONS, SDK_KINDS
from greenroom_server.access.secrets import mint
from greenroom_server.app import Server
from greenroom_server.delivery.hot_paths import STREAM_TOKEN
from greenroom_server.releases.nouns import NOUNS
from greenroom_server.releases.routes_facts import ROUTES as FACT_ROUTES
from greenroom_server.web.routing import PUBLIC, SIGNED, Route

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Off everywhere, so that archiving it starts and ends nothing.
DARK_FLAG: Final = "still-dark"
DIGEST: Final = "sha256:" + "a" * 64
COMMIT: Final = "b" * 40
PLACE: Final = {
    "project": "shop",
    "environment": "staging",
    "flag": DARK_FLAG,
    "segment": "staff",
    "key": "gift-cards",
    "service": "web",
    "digest": DIGEST,
    "story": "SHOP-117",
    "person": "bo@shop.example",
    "producer": "ci",
    "webhook": "alerts",
    "integration": "azure",
    "delivery": DEAD_DELIVERY,
    "guardrail": "pages",
    "policy": "small",
    "version": "1",
    "template": "regulated",
    "change_request": "1",
}
INTEGRATION: Final = {"key": "azure", "kind": "azure", "service": "web", "url": "https://dev.azure.com/acme"}
CHECK: Final = {
    "PlanUrl": "https://dev.azure.com/acme/",
    **dict.fromkeys(("ProjectId", "PlanId", "JobId", "TaskInstanceId"), "3a7e60dc-c5b0-5009-86eb-0f217c12e2ea"),
    "HubName": "checks",
    "AuthToken": "secret",
    "Environment": "development",
    "Commit": COMMIT,
}
WEBHOOK: Final = {"key": "alerts", "url": "https://hooks.invalid/alerts", "events": ["flag.served_while_dark"]}
GUARDRAIL: Final = {"key": "pages", "source": {"kind": "alert"}, "action": "hold"}
BODIES: Final[dict[str, Any]] = {
    "create_guardrail": {**GUARDRAIL, "key": "another"},
    "take_guardrail_alerts": {"version": "4", "alerts": []},
    "erase_subject": {"targeting_key": "user-1"},
    "report_exposures": {"instance": {"id": "one", "sdk": "test", "sdk_version": "1"}},
    "create_token": {"name": "another", "kind": "pipeline"},
    "create_project": {"key": "another", "name": "Another"},
    "create_webhook": {**WEBHOOK, "key": "another"},
    "create_integration": {**INTEGRATION, "key": "another"},
    "ask_from_azure": CHECK,
    "measure_for_argo": {"service": "web", "environment": "development", "digest": DIGEST},
    "roll_out_flag": {"percent": 1},
    "copy_configurations": {"from": "staging"},
    "evaluate_flag": {"context": {"targetingKey": "user-1"}},
    "evaluate_flags": {"context": {"targetingKey": "user-1"}},
}
RELEASE_BODIES: Final[dict[str, Any]] = {
    "create_service": {"key": "another", "name": "Another"},
    "put_mode": {"mode": "hold"},
    "put_story": {"title": "Another"},
    "reopen_story": {},
    "put_person": {},
    "put_producer": {},
    "put_release_settings": {},
    "register_build": {"digests": ["sha256:" + "c" * 64], "commit": COMMIT},
    "declare_digest": {"digest": "sha256:" + "d" * 64},
    "start_deployment": {"digest": DIGEST, "environment": "development"},
    "finish_deployment": {},
    "fail_deployment": {},
    "make_live": {},
    "add_evidence": {
        "kind": "test.unit",
        "subject": {"digest": DIGEST},
        "outcome": "pass",
        "run": {"id": "2"},
        "finished_at": "2026-01-01T00:00:00Z",
    },
    "revoke_evidence": {"reason": "wrong"},
    "create_parity": {"environment": "development", "of": "development"},
    "create_provenance": {"digest": DIGEST, "builder": "ci://main"},
    "create_health": {"environment": "production", "source": "errors", "is_healthy": True},
    "create_demo": {"stories": ["SHOP-117"], "environment": "development"},
    "create_obstacle": {"environment": "development", "text": "in the way"},
    "create_incident": {"environment": "development", "text": "on fire"},
    "create_approval": {"verdict": "approve", "action": "deploy", "environment": "development", "digest": DIGEST},
    "create_veto": {"environment": "development", "reason": "no"},
    "create_waiver": {
        "rule": "soak",
        "environment": "development",
        "service": "web",
        "until": "2999-01-01T00:00:00Z",
        "reason": "it is urgent",
    },
    "accept_demo": {"role": "product"},
    "take_in_events": {},
    **{
        name: {"reason": "over"}
        for name in (
            *("revoke_parity", "revoke_demo", "close_obstacle", "resolve_incident"),
            *("withdraw_approval", "withdraw_veto", "withdraw_waiver"),
        )
    },
}
POLICY: Final = {
    "schema": "release-policy/v1",
    "name": "small",
    "time_zone": "Europe/Berlin",
    "environments": {"development": {"order": 10, "tier": "development"}},
    "rules": [{"id": "veto", "kind": "veto", "actions": ["deploy"], "environments": ["development"]}],
    "break_glass": {"roles": ["product"]},
}
DECISION: Final = {"action": "deploy", "service": "web", "environment": "development", "digest": DIGEST}
PERMIT: Final = {"service": "web", "environment": "development", "digest": DIGEST}
DECISION_BODIES: Final[dict[str, Any]] = {
    "create_policy": {**POLICY, "name": "another"},
    "check_policy": POLICY,
    "compare_policy_document": POLICY,
    "activate_policy": {},
    "make_decision": DECISION,
    "simulate_decision": DECISION,
    "issue_permit": PERMIT,
    "release_permit": {},
    "open_break_glass": {**PERMIT, "reason": "it burns", "ticket": "INC-1"},
    "confirm_break_glass": {},
    "withdraw_break_glass": {},
    "review_break_glass": {"findings": "it burnt"},
}
NAMED_RELEASE: Final = {
    "key": "quiet",
    "environment": "development",
    "flags": [{"flag": DARK_FLAG}],
    "steps": [{"audience": "everyone"}],
}
NAMED_RELEASE_BODIES: Final[dict[str, Any]] = {
    "create_release": {**NAMED_RELEASE, "key": "another", "flags": [{"flag": "new-checkout"}]},
    "schedule_release": {},
    "approve_release": {"digest": DIGEST},
}
CHANGE_REQUEST: Final = {"title": "A change", "changes": [{"op": "enable", "flag": DARK_FLAG}]}
CHANGE_REQUEST_BODIES: Final[dict[str, Any]] = {
    "create_change_request": CHANGE_REQUEST,
    "approve_change_request": {"hash": DIGEST},
    "reject_change_request": {"reason": "no"},
    "schedule_change_request": {"apply_at": None},
}
ALL_BODIES: Final = {**BODIES, **RELEASE_BODIES, **DECISION_BODIES, **NAMED_RELEASE_BODIES, **CHANGE_REQUEST_BODIES}
# Somebody's word: a token that names nobody, as all of these, has none to give. Another's is not theirs to take back.
SOMEBODYS: Final = {
    "create_approval",
    "create_veto",
    "create_waiver",
    "accept_demo",
    "withdraw_approval",
    "withdraw_veto",
    "approve_release",
    "open_break_glass",
    "confirm_break_glass",
    "withdraw_break_glass",
    "review_break_glass",
    "create_change_request",
    "update_change_request",
    "approve_change_request",
    "reject_change_request",
    "retract_change_request_word",
}
# ... of which a pipeline may have these all the same.
MACHINES_TOO: Final = {"create_change_request", "update_change_request", "retract_change_request_word"}
PLURALS: Final = {noun.plural: noun.kind for noun in NOUNS}
ADDING: Final = [route for route in FACT_ROUTES if route.method == "POST" and route.path.rpartition("/")[2] in PLURALS]
IDS: Final[dict[str, str]] = {}
FALLEN: Final = {"no token", "garbage", "never made", "revoked", "expired"}
# Beside permission and place, these look at whether the token has limits at all.
UNLIMITED_ONLY: Final = {"list_tokens", "create_token", "read_token", "revoke_token"}
# These watch all environments unless they name some.
WATCHING: Final = {"create_guardrail", "delete_guardrail"}
ALL_ENVIRONMENTS_ONLY: Final = {"export_project", "list_audit_events", "list_project_audit_events"}
LET_IN: Final = 200

CREDENTIALS: Final = [*TOKENS, *sorted(FALLEN - set(TOKENS))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_dark_flag(shared_server: Server, shared_url: str, example: Example) -> AsyncIterator[Server]:
    """The shared server with one more flag in it, and a webhook with a delivery."""
    async with ContractClient(shared_server).bearing(example.tokens["admin"]) as admin:
        flag = {"key": DARK_FLAG, "purpose": "operational", "type": "boolean"}
        made = await admin.post("/api/v1/projects/shop/flags", json=flag)
        assert made.status_code == 201
        assert (await admin.post("/api/v1/projects/shop/webhooks", json=WEBHOOK)).status_code == 201
        assert (await admin.post("/api/v1/projects/shop/guardrails", json=GUARDRAIL)).status_code == 201
        IDS.update(await facts_of(admin))
        assert (await admin.post("/api/v1/projects/shop/integrations", json=INTEGRATION)).status_code == 201
    await put_dead_delivery(shared_url, "alerts")
    yield shared_server


async def facts_of(admin: ContractClient) -> dict[str, str]:
    """One of each fact, said by somebody, in the environment `development`; their ids by the names of parameters."""
    shop = "/api/v1/projects/shop"
    wanted = {"name": "ada", "kind": "admin", "person": "ada@shop.example", "roles": ["product"]}
    ada = admin.bearing((await admin.post("/api/v1/tokens", json=wanted)).json()["token"])
    steps = [
        ("POST", "services", {"key": "web", "name": "Web"}),
        ("PUT", "stories/SHOP-117", {}),
        ("POST", "services/web/builds", {"digests": [DIGEST], "commit": COMMIT}),
        ("POST", "policies", POLICY),
        ("PATCH", "policy-settings", {"four_eyes": False}),
        ("POST", "policies/small/versions/1/activate", {}),
        ("POST", "permits", PERMIT),
        ("POST", "break-glass", DECISION_BODIES["open_break_glass"]),
        ("POST", "services/web/deployments", RELEASE_BODIES["start_deployment"]),
        ("POST", "evidence", {**RELEASE_BODIES["add_evidence"], "environment": "development"}),
        *(("POST", f"{route.path.rpartition('/')[2]}", RELEASE_BODIES[route.operation_id]) for route in ADDING),
        ("POST", "decisions", DECISION),
        ("POST", "services/web/readiness", {"environment": "development"}),
        ("POST", "releases", NAMED_RELEASE),
        ("POST", "environments/staging/change-requests", CHANGE_REQUEST),
    ]
    ids = {}
    for method, path, body in steps:
        reply = await ada.request(method, f"{shop}/{path}", json=body, headers={"If-Match": "*"})
        assert reply.is_success, reply.text
        kind = {
            "services/web/deployments": "deployment",
            "evidence": "evidence",
            "decisions": "decision",
            "services/web/readiness": "report",
            "releases": "release",
            "permits": "permit",
            "break-glass": "break_glass",
        }.get(path, PLURALS.get(path, ""))
        made = reply.json()["permit"] if path == "permits" else reply.json()
        ids[kind] = made.get("id") or made.get("items", [{}])[0].get("id") or made.get("key", "")
    return ids


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("route", all_routes(), ids=lambda route: route.operation_id)
async def test_route_lets_in_whom_it_should(
    with_dark_flag: Server, example: Example, route: Any, credential: str
) -> None:
    """The answer is 401, 403 or 404 by the rules, and something else for whoever is let in."""
    async with ContractClient(with_dark_flag).bearing(text_of(credential, example)) as client:
        answer = await client.request(**request_of(route, example))
    expected = verdict(route, credential)
    if expected == LET_IN:
        assert answer.status_code not in (401, 403, 404, 405), answer.text
    else:
        assert answer.status_code == expected, answer.text


def verdict(route: Any, credential: str) -> int:
    """What the rules say: LET_IN, or the status of the refusal."""
    if route.permission == PUBLIC:
        return LET_IN
    if route.permission in (SIGNED, STREAM_TOKEN) or credential in FALLEN:
        return 401
    token = TOKENS[credential]
    if route.permission not in PERMISSIONS[token.kind]:
        return 403
    for limits, name in ((token.projects, "project"), (token.environments, "environment")):
        if limits is not None and f"{{{name}}}" in route.path and PLACE[name] not in limits:
            return 404
    return verdict_of_the_verb(route, token)


def verdict_of_the_verb(route: Any, token: Any) -> int:
    """What verbs look at beside permission and place."""
    if token.environments and "development" not in token.environments and IDS.keys() & parameters_of(route):
        return 404
    if route.operation_id in SOMEBODYS and (token.kind != "pipeline" or route.operation_id not in MACHINES_TOO):
        return 403
    if route.operation_id in UNLIMITED_ONLY and (token.projects or token.environments):
        return 403
    if route.operation_id in ALL_ENVIRONMENTS_ONLY | WATCHING and token.environments:
        return 403
    if route.operation_id == "create_project" and token.projects:
        return 403
    return LET_IN


def parameters_of(route: Any) -> set[str]:
    """The names of the path's parameters."""
    return {part[1:-1] for part in template_of(route).split("/") if part[:1] == "{"}


def text_of(credential: str, example: Example) -> str | None:
    """What is sent as the token."""
    return {
        "no token": None,
        "garbage": "not-a-token",
        "never made": mint("admin"),
    }.get(credential, example.tokens.get(credential))


def request_of(route: Any, example: Example) -> dict[str, Any]:
    """A request that gets as far as its verb and changes nothing."""
    path = template_of(route).format(**PLACE, **IDS, token=example.token_ids["pipeline"])
    request: dict[str, Any] = {"method": route.method, "url": path, "params": {}, "headers": {}}
    if isinstance(route, Route):
        if route.writes:
            request["params"]["dry_run"] = "true"
        if route.method in ("PATCH", "DELETE"):
            request["headers"]["If-Match"] = "*"
        if route.method == "PATCH":
            request["json"] = {}
    elif template_of(route).endswith("/stream"):
        request["method"] = "HEAD"  # the head of a stream, not the stream
    if route.operation_id == "compare_environments":
        request["params"]["from"] = PLACE["environment"]
    if route.operation_id in ALL_BODIES:
        request["json"] = ALL_BODIES[route.operation_id]
    return request


@pytest.mark.parametrize("verb", ["enable", "rollout"])
@pytest.mark.parametrize("credential", [name for name in TOKENS if name not in FALLEN])
async def test_only_the_business_starts_production(
    shared_server: Server, example: Example, verb: str, credential: str
) -> None:
    """Starting something in production takes `production.write` beside the permission to change configurations."""
    token = TOKENS[credential]
    path = f"/api/v1/projects/shop/environments/production/flags/express-delivery/{verb}?dry_run=true"
    async with ContractClient(shared_server).bearing(example.tokens[credential]) as client:
        answer = await client.post(path, json={"percent": 5, "enable": True} if verb == "rollout" else None)
    permissions = PERMISSIONS[token.kind]
    if "configurations.write" not in permissions:
        expected = 403
    elif any(
        limits and sought not in limits
        for limits, sought in ((token.projects, "shop"), (token.environments, "production"))
    ):
        expected = 404
    else:
        expected = 200 if "production.write" in permissions else 403
    assert answer.status_code == expected, answer.text


async def test_whoever_may_change_configurations_may_stop_production(shared_server: Server, example: Example) -> None:
    """A developer, who may start nothing in production, switches a flag off there."""
    path = "/api/v1/projects/shop/environments/production/flags/new-checkout/disable?dry_run=true"
    async with ContractClient(shared_server).bearing(example.tokens["developer"]) as client:
        answer = await client.post(path)
    assert answer.status_code == 200, answer.text


async def test_an_sdk_key_gets_its_own_environment(shared_server: Server, example: Example) -> None:
    """The snapshot of a key is that of its environment, and nothing in the request can change that."""
    async with ContractClient(shared_server).bearing(example.tokens["server of staging"]) as client:
        answer = await client.get("/api/v1/sdk/snapshot?environment=production&project=shop")
    assert (answer.status_code, answer.json()["environment"]) == (200, "staging")


async def test_the_matrix_has_a_row_for_every_route() -> None:
    """Every kind of token is among the columns, and every permission that a route names is one that somebody has."""
    assert {token.kind for token in TOKENS.values()} == set(PERMISSIONS)
    assert set(PERMISSIONS) >= SDK_KINDS
    granted = frozenset().union(*PERMISSIONS.values())
    named = {route.permission for route in all_routes()} - {PUBLIC, SIGNED, STREAM_TOKEN}
    assert named <= granted
    assert granted - named == {"production.write", "production.subjects"}
