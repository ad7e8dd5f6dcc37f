"""Destinations: made, changed, rotated and deleted, with an audit event each, and secrets that are shown once."""

from typing import Any, Final

import pytest
from sqlalchemy import text
from tests.api.contract.client import ContractClient
from tests.api.stage import Stage
from tests.api.store import contents, database, put_dead_delivery, statement

from greenroom_server.webhooks.service import MAX_WEBHOOKS

pytestmark = pytest.mark.asyncio(loop_scope="session")

# `.invalid` is no host of anybody's.
URL: Final = "https://hooks.invalid/services/T0/B0/very-secret"
ANY: Final = {"If-Match": "*"}


def wanted(key: str = "ops", **members: Any) -> dict[str, Any]:
    return {"key": key, "url": URL, "events": ["flag.*"], **members}


async def made(stage: Stage, key: str = "ops", **members: Any) -> dict[str, Any]:
    reply = await stage.admin.post(f"{stage.project}/webhooks", json=wanted(key, **members))
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def refused(stage: Stage, **members: Any) -> dict[str, Any]:
    """The problem that a webhook like this gives."""
    reply = await stage.admin.post(f"{stage.project}/webhooks", json={**wanted(), **members})
    assert reply.status_code == 400, reply.text
    problem: dict[str, Any] = reply.json()
    return problem


async def events(stage: Stage) -> list[dict[str, Any]]:
    return [one for one in (await stage.got(stage.audit))["items"] if one["action"].startswith("webhook.")]


async def test_a_webhook_s_life(stage: Stage) -> None:
    """Made, read, listed, changed by whoever read it last, deleted; its key is free again."""
    ops = f"{stage.project}/webhooks/ops"
    created = await made(stage, environments=["production"])
    read = await stage.admin.get(ops)
    assert created == {**read.json(), "secret": created["secret"]}
    assert (await stage.got(f"{stage.project}/webhooks"))["items"] == [read.json()]

    patch = {"events": ["*"], "environments": None, "enabled": False}
    changed = await stage.admin.patch(ops, json=patch, headers={"If-Match": read.headers["etag"]})
    late = await stage.admin.patch(ops, json={"enabled": True}, headers={"If-Match": read.headers["etag"]})
    assert (changed.status_code, late.status_code) == (200, 412)
    assert {name: changed.json()[name] for name in patch} == patch

    assert (await stage.admin.delete(ops, headers=ANY)).status_code == 204
    assert (await stage.admin.get(ops)).status_code == 404
    assert [one["action"] for one in await events(stage)] == ["webhook.delete", "webhook.update", "webhook.create"]
    await made(stage)


async def test_the_secret_is_shown_once(stage: Stage) -> None:
    """In the answer that makes it and in no other, however the request is repeated; a dry run's never was."""
    headers = {"Idempotency-Key": f"once-{stage.key}"}
    tried = await stage.admin.post(f"{stage.project}/webhooks?dry_run=true", json=wanted())
    first = await stage.admin.post(f"{stage.project}/webhooks", json=wanted(), headers=headers)
    again = await stage.admin.post(f"{stage.project}/webhooks", json=wanted(), headers=headers)
    rotated = await stage.admin.post(f"{stage.project}/webhooks/ops/rotate-secret")

    secrets = [first.json()["secret"], rotated.json()["secret"]]
    assert all(secret.startswith("whsec_") for secret in secrets)
    assert secrets[0] != secrets[1]
    assert (tried.json()["result"]["secret"], again.json()["secret"], again.status_code) == ("", "", 201)
    shown = await _everything_shown(stage)
    assert [secret for secret in secrets if secret.removeprefix("whsec_") in shown] == []


async def test_of_a_url_others_see_the_origin_only(stage: Stage) -> None:
    """Developers read the audit log, and receivers hide secrets in paths; a change of the path alone is still told."""
    await made(stage)
    await stage.patched(f"{stage.project}/webhooks/ops", {"url": f"{URL}-2"})
    await stage.admin.delete(f"{stage.project}/webhooks/ops", headers=ANY)

    told = await events(stage)
    assert "very-secret" not in str(told)
    origin = "https://hooks.invalid/…"
    assert told[1]["changes"] == [{"path": "/url", "op": "replace", "from": origin, "to": origin}]
    assert (told[0]["changes"][0]["from"]["url"], told[2]["changes"][0]["to"]["url"]) == (origin, origin)


async def test_rotating_keeps_the_old_secret_for_a_while(stage: Stage) -> None:
    """A day unless said otherwise, or not at all."""
    await made(stage)
    path = f"{stage.project}/webhooks/ops"

    day = (await stage.admin.post(f"{path}/rotate-secret")).json()
    none = (await stage.admin.post(f"{path}/rotate-secret", json={"overlap_hours": 0})).json()

    assert day["previous_secret_until"] is not None
    assert (none["previous_secret_until"], none["version"]) == (None, 3)
    assert [one["action"] for one in await events(stage)][:2] == ["webhook.rotate_secret"] * 2


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"url": "http://hooks.invalid/"}, "/url"),
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "/url"),
        ({"url": "https://user:secret@hooks.invalid/"}, "/url"),
        ({"url": "https://hooks.invalid:22/"}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": "https://hooks.invalid/" + "a" * 2000}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["flag.*", "Flag"]}, "/events/1"),
        ({"events": ["*.enable"]}, "/events/0"),
        ({"environments": ["production", "nowhere"]}, "/environments/1"),
        ({"environments": []}, "/environments"),
        ({"key": "On Call"}, "/key"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_bad_webhooks_are_refused(stage: Stage, members: dict[str, Any], pointer: str) -> None:
    """The answer names the member, and quotes no user name or password of a URL."""
    problem = await refused(stage, **members)

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert "secret@" not in str(problem)


async def test_a_change_is_checked_like_a_new_one(stage: Stage) -> None:
    """No patch brings in what could not be made."""
    await made(stage)
    for patch in ({"url": "https://127.0.0.1/"}, {"environments": ["nowhere"]}, {"events": None}, {"key": "other"}):
        reply = await stage.admin.patch(f"{stage.project}/webhooks/ops", json=patch, headers=ANY)
        assert reply.status_code == 400, reply.text


async def test_a_project_has_twenty_at_most(stage: Stage) -> None:
    """The next one is past a limit that the answer names; a taken key is a conflict."""
    for number in range(MAX_WEBHOOKS):
        await made(stage, f"hook-{number}", enabled=False)
    assert (await refused(stage))["limit"] == "webhooks_per_project"
    taken = await stage.admin.post(f"{stage.project}/webhooks", json=wanted("hook-0"))
    assert (taken.status_code, taken.json()["code"]) == (409, "key_taken")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", wanted("another")),
        ("PATCH", "/ops", {"enabled": False}),
        ("DELETE", "/ops", None),
        ("POST", "/ops/rotate-secret", None),
    ],
)
async def test_a_dry_run_leaves_no_trace(stage: Stage, method: str, path: str, body: Any) -> None:
    """It tells the changes, and neither the store nor the webhook is another one afterwards."""
    await made(stage)
    before = await contents(stage.url), (await stage.got(f"{stage.project}/webhooks"))["items"]

    reply = await stage.admin.request(
        method, f"{stage.project}/webhooks{path}?dry_run=true", json=body, headers=ANY if method != "POST" else {}
    )

    assert (reply.status_code, reply.json()["dry_run"]) == (200, True)
    assert reply.json()["changes"] != []
    assert (await contents(stage.url), (await stage.got(f"{stage.project}/webhooks"))["items"]) == before


async def test_nothing_is_sent_to_what_is_off(stage: Stage) -> None:
    """Neither a test nor a replay."""
    await made(stage, enabled=False, key=f"off-{stage.key}")
    await put_dead_delivery(stage.url, f"off-{stage.key}")
    path = f"{stage.project}/webhooks/off-{stage.key}"
    delivery = (await stage.got(f"{path}/deliveries"))["items"][0]["id"]
    for verb in ("test", f"deliveries/{delivery}/replay"):
        reply = await stage.admin.post(f"{path}/{verb}")
        assert (reply.status_code, reply.json()["code"]) == (409, "webhook_disabled")
    await statement(stage.url, f"DELETE FROM webhook_delivery WHERE id = '{delivery}'")


async def test_deliveries_come_in_pages(stage: Stage) -> None:
    """Newest first, each once, by state if one is asked for; a test is one of them."""
    await made(stage)
    path = f"{stage.project}/webhooks/ops"
    made_ids = [(await stage.admin.post(f"{path}/test")).json()["id"] for _ in range(5)]

    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await stage.got(f"{path}/deliveries", **query)
        seen += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert seen == made_ids[::-1]
    assert (await stage.got(f"{path}/deliveries", state="dead"))["items"] == []
    assert (await stage.admin.get(f"{path}/deliveries?state=lost")).status_code == 400


async def test_what_waits_is_not_sent_again(stage: Stage) -> None:
    """It is under way already; a delivery of another webhook, and one that never was, are not found here."""
    await made(stage)
    await made(stage, "other")
    path = f"{stage.project}/webhooks"
    waiting = (await stage.admin.post(f"{path}/ops/test")).json()["id"]

    assert (await stage.admin.post(f"{path}/ops/deliveries/{waiting}/replay")).json()["code"] == "still_waiting"
    assert (await stage.admin.post(f"{path}/other/deliveries/{waiting}/replay")).status_code == 404


async def test_others_have_no_business_here(stage: Stage) -> None:
    """Product managers and developers neither see nor make webhooks."""
    await made(stage)
    for kind in ("manager", "developer", "pipeline"):
        client: ContractClient = await stage.bearing(kind)
        assert (await client.get(f"{stage.project}/webhooks")).status_code == 403
        assert (await client.post(f"{stage.project}/webhooks", json=wanted("mine"))).status_code == 403


async def test_webhooks_go_with_their_project(stage: Stage) -> None:
    """And so do their deliveries."""
    await made(stage)
    await stage.admin.post(f"{stage.project}/webhooks/ops/test")
    assert (await stage.admin.delete(stage.project, headers=ANY)).status_code == 204

    async with database(stage.url) as opened, opened.reading() as session:
        left = await session.scalar(text("SELECT count(*) FROM webhook WHERE project = :key"), {"key": stage.key})
    assert left == 0


async def _everything_shown(stage: Stage) -> str:
    """All answers about the webhook, and all that is stored outside of its own row."""
    paths = ["webhooks", "webhooks/ops", "webhooks/ops/deliveries", "audit"]
    texts = [(await stage.admin.get(f"{stage.project}/{path}")).text for path in paths]
    async with database(stage.url) as opened, opened.reading() as session:
        for table in ("audit_event", "idempotency_key", "webhook_delivery"):
            query = text(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            texts.append(str(await session.scalar(query)))
        bodies = text("SELECT coalesce(string_agg(convert_from(body, 'UTF8'), ' '), '') FROM idempotency_key")
        texts.append(str(await session.scalar(bodies)))
    return " ".join(texts)
