"""Guardrails over HTTP: made, changed and deleted by whom they should be, with secrets that are never shown again."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from sqlalchemy import text
from tests.api.contract.client import ContractClient
from tests.api.stage import Stage
from tests.api.store import contents, database

from greenroom_server.guardrails.service import MAX_GUARDRAILS
from greenroom_server.webhooks.signing import headers_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

# `.invalid` is no host of anybody's.
PROMETHEUS: Final = {"kind": "prometheus", "url": "https://prometheus.invalid/prefix", "query": "up"}
ABOVE: Final = {"kind": "threshold", "op": "gt", "value": 0.5}
ERRORS: Final = {"kind": "errors", "environment": "production", "flag": "new-checkout"}
OUTCOMES: Final = {
    "kind": "outcomes",
    "environment": "production",
    "flag": "new-checkout",
    "event": "payment-failed",
    "variant": "on",
}
WORSE: Final = {"kind": "comparison", "worse": "higher"}
SECRET: Final = "a-very-secret-token-of-prometheus"
ANY: Final = {"If-Match": "*"}


def wanted(key: str = "errors", **members: Any) -> dict[str, Any]:
    return {"key": key, "source": PROMETHEUS, "condition": ABOVE, "action": "step_back", **members}


async def made(stage: Stage, key: str = "errors", **members: Any) -> dict[str, Any]:
    reply = await stage.admin.post(f"{stage.project}/guardrails", json=wanted(key, **members))
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def alerting(stage: Stage, **members: Any) -> dict[str, Any]:
    """A guardrail `pages` that takes alerts."""
    return await made(stage, "pages", source={"kind": "alert"}, condition=None, **members)


async def refused(stage: Stage, **members: Any) -> list[str]:
    """What is wrong with a guardrail like this, as pointers."""
    reply = await stage.admin.post(f"{stage.project}/guardrails", json={**wanted(), **members})
    assert reply.status_code == 400, reply.text
    return [one["pointer"] for one in reply.json()["errors"]]


async def events(stage: Stage) -> list[dict[str, Any]]:
    return [one for one in (await stage.got(stage.audit))["items"] if one["action"].startswith("guardrail.")]


async def test_a_guardrail_s_life(stage: Stage) -> None:
    """Made, read, listed, changed by whoever read it last, deleted; its key is free again."""
    path = f"{stage.project}/guardrails/errors"
    created = await made(stage, environments=["production"], secret=SECRET)
    read = await stage.admin.get(path)
    shown = {name: value for name, value in read.json().items() if name not in ("steps", "readings")}
    assert created == {**shown, "secret": None}
    assert (await stage.got(f"{stage.project}/guardrails"))["items"] == [shown]

    patch = {"action": "darken", "condition": {"value": 0.25}, "environments": None}
    changed = await stage.admin.patch(path, json=patch, headers={"If-Match": read.headers["etag"]})
    late = await stage.admin.patch(path, json={"for_s": 5}, headers={"If-Match": read.headers["etag"]})
    assert (changed.status_code, late.status_code) == (200, 412)
    assert changed.json()["condition"] == {**ABOVE, "value": 0.25}
    assert (changed.json()["action"], changed.json()["has_secret"]) == ("darken", True)

    assert (await stage.admin.delete(path, headers=ANY)).status_code == 204
    assert (await stage.admin.get(path)).status_code == 404
    told = ["guardrail.delete", "guardrail.update", "guardrail.create"]
    assert [one["action"] for one in await events(stage)] == told
    await made(stage)


async def test_another_kind_takes_the_place_of_the_old_one(stage: Stage) -> None:
    """A patch that names another kind of source or condition leaves nothing of the old one."""
    await made(stage)
    path = f"{stage.project}/guardrails/errors"
    changed = await stage.patched(path, {"source": {**OUTCOMES, "against": "off"}, "condition": WORSE})

    assert changed["source"] == {**OUTCOMES, "against": "off", "measure": "rate", "min_subjects": 100}
    assert changed["condition"] == {**WORSE, "tolerance": 0.0, "alpha": 0.01}


async def test_no_secret_is_ever_shown_again(stage: Stage) -> None:
    """One that the server makes stands in the answer that makes it; one that is brought along in none."""
    headers = {"Idempotency-Key": f"once-{stage.key}"}
    body = wanted("pages", source={"kind": "alert"}, condition=None)
    tried = await stage.admin.post(f"{stage.project}/guardrails?dry_run=true", json=body)
    first = await stage.admin.post(f"{stage.project}/guardrails", json=body, headers=headers)
    again = await stage.admin.post(f"{stage.project}/guardrails", json=body, headers=headers)
    await made(stage, secret=SECRET)
    await stage.patched(f"{stage.project}/guardrails/errors", {"secret": f"{SECRET}-2"})

    secret = first.json()["secret"]
    assert secret.startswith("whsec_")
    assert (tried.json()["result"]["secret"], again.json()["secret"], again.status_code) == ("", "", 201)
    shown = await _everything_shown(stage)
    assert [one for one in (secret, SECRET) if one in shown] == []


async def test_a_secret_goes_only_to_where_it_was_given_for(stage: Stage) -> None:
    """Whoever changes the host must bring it again, or do without; another path of the host is no other place."""
    await made(stage, secret=SECRET)
    path = f"{stage.project}/guardrails/errors"
    elsewhere = {"source": {"url": "https://elsewhere.invalid"}}
    reply = await stage.admin.patch(path, json=elsewhere, headers=ANY)
    assert [one["pointer"] for one in reply.json()["errors"]] == ["/secret"]
    for disguised in ({"source": ERRORS}, {"source": {"kind": "alert"}, "condition": None}):
        assert (await stage.admin.patch(path, json=disguised, headers=ANY)).status_code == 400

    assert (await stage.patched(path, {"source": {"url": "https://prometheus.invalid/other"}}))["has_secret"]
    assert not (await stage.patched(path, {**elsewhere, "secret": None}))["has_secret"]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"source": {**PROMETHEUS, "url": "http://prometheus.invalid"}}, "/source/url"),
        ({"source": {**PROMETHEUS, "url": "https://127.0.0.1:9090"}}, "/source/url"),
        ({"source": {**PROMETHEUS, "url": "https://169.254.169.254"}}, "/source/url"),
        ({"source": {**PROMETHEUS, "url": "https://[::ffff:10.0.0.1]"}}, "/source/url"),
        ({"source": {**PROMETHEUS, "url": "https://user:secret@prometheus.invalid"}}, "/source/url"),
        ({"source": {**PROMETHEUS, "url": "https://prometheus.invalid:22"}}, "/source/url"),
        ({"source": {**PROMETHEUS, "url": "https://prometheus.invalid?tenant=1"}}, "/source/url"),
        ({"source": {**PROMETHEUS, "query": ""}}, "/source/query"),
        ({"source": {**PROMETHEUS, "query": "x" * 4001}}, "/source/query"),
        ({"source": {**PROMETHEUS, "series": "all"}}, "/source/series"),
        ({"source": {"kind": "graphite"}}, "/source"),
        ({"source": None}, "/source"),
        ({"source": {**ERRORS, "flag": "nobody-knows"}}, "/source"),
        ({"source": {**ERRORS, "environment": "nowhere"}}, "/source"),
        ({"source": {**ERRORS, "window_s": 59}}, "/source/window_s"),
        ({"source": OUTCOMES, "condition": WORSE}, "/source/against"),
        ({"source": {**OUTCOMES, "against": "off"}}, "/source/against"),
        ({"source": {**OUTCOMES, "against": "on"}, "condition": WORSE}, "/source/against"),
        ({"source": OUTCOMES, "condition": None}, "/condition"),
        ({"source": OUTCOMES, "always_on": True}, "/always_on"),
        ({"source": {"kind": "alert"}}, "/condition"),
        ({"condition": None}, "/condition"),
        ({"condition": WORSE}, "/condition"),
        ({"condition": {**ABOVE, "op": "eq"}}, "/condition/op"),
        ({"condition": {**ABOVE, "value": "0.5"}}, "/condition/value"),
        ({"source": {**OUTCOMES, "against": "off"}, "condition": {**WORSE, "alpha": 0.5}}, "/condition/alpha"),
        ({"action": "explode"}, "/action"),
        ({"interval_s": 4}, "/interval_s"),
        ({"interval_s": 60}, "/max_age_s"),
        ({"for_s": 3601}, "/for_s"),
        ({"environments": ["production", "nowhere"]}, "/environments/1"),
        ({"flags": []}, "/flags"),
        ({"secret": "short"}, "/secret"),
        ({"secret": "with a space in it"}, "/secret"),
        ({"source": ERRORS, "secret": SECRET}, "/secret"),
        ({"key": "On Call"}, "/key"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_bad_guardrails_are_refused(stage: Stage, members: dict[str, Any], pointer: str) -> None:
    """The answer names the member."""
    assert await refused(stage, **members) == [pointer]


async def test_yaml_will_do(stage: Stage) -> None:
    """As people write it in a repository."""
    document = f"key: pages\nsource: {{kind: alert}}\naction: hold\nsecret: {SECRET}\n"
    headers = {"Content-Type": "application/yaml"}
    reply = await stage.admin.post(f"{stage.project}/guardrails", content=document, headers=headers)

    assert (reply.status_code, reply.json()["source"]["heartbeat"]) == (201, "Watchdog")


async def test_a_project_has_fifty_at_most(stage: Stage) -> None:
    """The next one is past a limit that the answer names; a taken key is a conflict."""
    for number in range(MAX_GUARDRAILS):
        await made(stage, f"guardrail-{number}", source=ERRORS)
    reply = await stage.admin.post(f"{stage.project}/guardrails", json=wanted())
    assert (reply.status_code, reply.json()["limit"]) == (400, "guardrails_per_project")
    taken = await stage.admin.post(f"{stage.project}/guardrails", json=wanted("guardrail-0"))
    assert (taken.status_code, taken.json()["code"]) == (409, "key_taken")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "", wanted("another")), ("PATCH", "/pages", {"action": "darken"}), ("DELETE", "/pages", None)],
)
async def test_a_dry_run_leaves_no_trace(stage: Stage, method: str, path: str, body: Any) -> None:
    """It tells the changes, and the store is the same afterwards; a dry run of alerts too."""
    secret = (await alerting(stage))["secret"]
    before = await contents(stage.url), (await stage.got(f"{stage.project}/guardrails"))["items"]
    headers = ANY if method != "POST" else {}

    reply = await stage.admin.request(
        method, f"{stage.project}/guardrails{path}?dry_run=true", json=body, headers=headers
    )
    assert (reply.status_code, reply.json()["dry_run"]) == (200, True)
    assert reply.json()["changes"] != []
    alerts = await stage.admin.bearing(secret).post(
        f"{stage.project}/guardrails/pages/alerts?dry_run=true", json=_firing()
    )
    assert (alerts.status_code, alerts.json()["firing"]) == (200, 1)
    assert (await contents(stage.url), (await stage.got(f"{stage.project}/guardrails"))["items"]) == before


async def test_who_may_make_them(stage: Stage) -> None:
    """Managers, though none that make the server connect to somewhere; developers and pipelines only read."""
    manager = await stage.bearing("manager")
    path = f"{stage.project}/guardrails"
    assert (await manager.post(path, json=wanted())).status_code == 403
    assert (await manager.post(path, json=wanted("own", source=ERRORS))).status_code == 201
    turned = {"source": PROMETHEUS}
    assert (await manager.patch(f"{path}/own", json=turned, headers=ANY)).status_code == 403
    await made(stage)
    for patch, status in (({"for_s": 30}, 200), ({"secret": SECRET}, 403), ({"source": {"query": "down"}}, 403)):
        assert (await manager.patch(f"{path}/errors", json=patch, headers=ANY)).status_code == status
    for kind in ("developer", "pipeline"):
        client: ContractClient = await stage.bearing(kind)
        assert (await client.get(f"{path}/errors")).status_code == 200
        assert (await client.post(path, json=wanted("mine", source=ERRORS))).status_code == 403
        assert (await client.post(f"{path}/errors/test")).status_code == 403
        assert (await client.delete(f"{path}/errors", headers=ANY)).status_code == 403


async def test_a_limited_token_watches_no_other_environment(stage: Stage) -> None:
    """Neither by leaving the environments out, nor by a source, nor by taking over what watches others."""
    limited = await stage.bearing("manager", environments=["staging"])
    path = f"{stage.project}/guardrails"
    staged = {**ERRORS, "environment": "staging"}
    for members, status in (
        ({"source": staged}, 403),
        ({"source": ERRORS, "environments": ["staging"]}, 403),
        ({"source": staged, "environments": ["staging", "production"]}, 403),
        ({"source": staged, "environments": ["staging"]}, 201),
    ):
        assert (await limited.post(path, json=wanted("mine", **members))).status_code == status
    await made(stage, "others", source=ERRORS)
    assert (await limited.patch(f"{path}/others", json={"for_s": 5}, headers=ANY)).status_code == 403
    assert (await limited.patch(f"{path}/mine", json={"environments": None}, headers=ANY)).status_code == 403
    assert (await limited.delete(f"{path}/others", headers=ANY)).status_code == 403


async def test_alerts_come_from_who_holds_the_secret(stage: Stage) -> None:
    """With no token of this server, signed or as a bearer; anybody else is answered 401, whatever is there."""
    secret = (await alerting(stage))["secret"]
    path = f"{stage.project}/guardrails/pages/alerts"
    nobody = stage.admin.bearing(None)
    now = datetime.now(UTC)
    data = {"status": "firing", "name": "p99"}
    body = orjson.dumps({"type": "alert.firing", "timestamp": now.isoformat(), "data": data})
    signed = {**headers_of([secret], "msg_1", now, body), "Content-Type": "application/json"}

    first = await nobody.post(path, content=body, headers=signed)
    again = await nobody.post(path, content=body, headers=signed)
    assert (first.json(), again.json()) == (
        {"accepted": 1, "ignored": 0, "firing": 1},
        {"accepted": 0, "ignored": 1, "firing": 1},
    )
    for client, place in (
        (nobody, path),
        (stage.admin, path),
        (stage.admin.bearing(secret), f"{stage.project}/guardrails/errors/alerts"),
        (stage.admin.bearing(secret), "/api/v1/projects/nowhere/guardrails/pages/alerts"),
    ):
        reply = await client.post(place, json=_firing())
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")
    detail = await stage.got(f"{stage.project}/guardrails/pages")
    assert (detail["is_tripped"], detail["last_reading"]["why"]) == (True, "firing: `p99`")
    assert (await events(stage))[0]["action"] == "guardrail.tripped"


async def test_its_source_is_asked_once_for_whoever_tests_it(stage: Stage) -> None:
    """What it says, in words, and what a step would be told; nothing is kept."""
    await made(stage)
    reply = await stage.admin.post(f"{stage.project}/guardrails/errors/test")
    assert (reply.json()["outcome"], reply.json()["reading"]["state"]) == ("hold", "no_data")
    assert (await stage.got(f"{stage.project}/guardrails/errors"))["readings"] == []
    assert (await stage.admin.post(f"{stage.project}/guardrails/nobody/test")).status_code == 404


def _firing() -> dict[str, Any]:
    alert = {
        "status": "firing",
        "labels": {"alertname": "p99"},
        "startsAt": "2026-11-25T09:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    }
    return {"version": "4", "alerts": [alert]}


async def _everything_shown(stage: Stage) -> str:
    """All answers about the guardrails, and all that is stored outside of their own rows."""
    paths = ["guardrails", "guardrails/errors", "guardrails/pages", "audit"]
    texts = [(await stage.admin.get(f"{stage.project}/{path}")).text for path in paths]
    async with database(stage.url) as opened, opened.reading() as session:
        for table in ("audit_event", "webhook_delivery", "guardrail_reading"):
            query = text(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            texts.append(str(await session.scalar(query)))
        bodies = text("SELECT coalesce(string_agg(convert_from(body, 'UTF8'), ' '), '') FROM idempotency_key")
        texts.append(str(await session.scalar(bodies)))
    return " ".join(texts)
