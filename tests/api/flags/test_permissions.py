"""Who may do what to what production serves, and what lies outside a token's limits, through every verb."""

from typing import Any

import httpx
import pytest
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANY = {"If-Match": "*"}
ON = {"enabled": True}


async def patch(client: Any, path: str, body: Any) -> httpx.Response:
    reply: httpx.Response = await client.patch(path, json=body, headers=ANY)
    return reply


async def test_developer_starts_nothing_in_production(stage: Stage) -> None:
    """No verb with which a developer could make production serve something else goes through."""
    developer = await stage.bearing("developer")
    await stage.made("dark", variants={"on": True, "off": False})
    on, dark = stage.flag("gift-cards", "production"), stage.flag("dark", "production")
    production = f"{stage.environments}/production"

    replies = {
        "enable": await developer.post(f"{dark}/enable"),
        "patch enabled": await patch(developer, dark, ON),
        "patch rules": await patch(developer, on, {"rules": []}),
        "dark variant": await patch(developer, dark, {"off_variant": "on"}),
        "rollout": await developer.post(f"{on}/rollout", json={"percent": 1}),
        "rollout and enable": await developer.post(f"{dark}/rollout", json={"percent": 1, "enable": True}),
        "copy": await developer.post(f"{production}/copy", json={"from": "staging"}),
        "variants": await patch(developer, stage.flag("delivery-fee"), {"variants": {"standard": 1.0}}),
        "visibility": await patch(developer, stage.flag("recommendations"), {"client_visible": True}),
        "exposures": await patch(developer, stage.flag("recommendations"), {"track_exposures": "subjects"}),
        "segment": await patch(developer, stage.segment("staff"), {"when": {"segment": "nordic-customers"}}),
        "archive": await developer.post(f"{stage.flag('recommendations')}/archive"),
    }

    assert {name: reply.status_code for name, reply in replies.items()} == dict.fromkeys(replies, 403)
    assert all("production.write" in reply.json()["detail"] for reply in replies.values())


async def test_developer_does_not_change_a_dark_value(stage: Stage) -> None:
    """The value that production serves while a flag is off is served too."""
    developer = await stage.bearing("developer")
    await stage.made("text", type="string", variants={"a": "x", "b": "y"})

    dark = await patch(developer, stage.flag("text"), {"variants": {"a": "z"}})
    live = await patch(developer, stage.flag("text"), {"variants": {"b": "z"}})

    assert (dark.status_code, live.status_code) == (403, 200)


async def test_developer_works_in_other_tiers(stage: Stage) -> None:
    """What is not production is the developers' own."""
    developer = await stage.bearing("developer")
    staging = stage.flag("gift-cards", "staging")

    for reply in (
        await developer.post(f"{staging}/enable"),
        await patch(developer, staging, {"rules": []}),
        await developer.post(f"{staging}/rollout", json={"percent": 1}),
        await developer.post(f"{stage.environments}/staging/copy", json={"from": "production"}),
    ):
        assert reply.status_code == 200, reply.text


async def test_developer_prepares_and_stops(stage: Stage) -> None:
    """In production a developer prepares what is off and may stop anything."""
    developer = await stage.bearing("developer")
    await stage.made("dark")

    prepared = await patch(developer, stage.flag("dark", "production"), {"fallthrough": {"variant": "off"}})
    stopped = await developer.post(f"{stage.flag('gift-cards', 'production')}/disable")
    by_patch = await patch(developer, stage.flag("delivery-fee", "production"), {"enabled": False})

    assert [reply.status_code for reply in (prepared, stopped, by_patch)] == [200, 200, 200]


async def test_stopping_may_start_another(stage: Stage) -> None:
    """Who waits for a flag to be off is started by switching it off, so that takes the right to start."""
    waits = {**ON, "prerequisites": [{"flag": "gift-cards", "variants": ["off"]}]}
    await stage.made("waiting")
    await stage.patched(stage.flag("waiting", "production"), waits)
    disable = f"{stage.flag('gift-cards', 'production')}/disable"

    refused = await (await stage.bearing("developer")).post(disable)
    done = await (await stage.bearing("manager")).post(disable)

    assert (refused.status_code, done.status_code) == (403, 200)


async def test_restoring_what_was_on(stage: Stage) -> None:
    """A flag that was archived while on is on again when restored."""
    await stage.admin.post(f"{stage.flag('recommendations')}/archive")
    restore = f"{stage.flag('recommendations')}/restore"

    refused = await (await stage.bearing("developer")).post(restore)
    done = await (await stage.bearing("manager")).post(restore)

    assert (refused.status_code, done.status_code) == (403, 200)


async def test_segment_through_another(stage: Stage) -> None:
    """A segment that production uses through another one is production's too; one that nothing uses is free."""
    developer = await stage.bearing("developer")
    for key, when in (("inner", {"attribute": "a", "op": "exists"}), ("outer", {"segment": "inner"})):
        await developer.post(stage.segments, json={"key": key, "when": when})
    assert (await patch(developer, stage.segment("inner"), {"when": {"op": "exists", "attribute": "b"}})).is_success
    rule = {"id": "outer", "when": {"segment": "outer"}, "serve": {"variant": "on"}}
    await stage.patched(stage.flag("gift-cards", "production"), {"rules": [rule]})

    reply = await patch(developer, stage.segment("inner"), {"when": {"op": "exists", "attribute": "c"}})

    assert reply.status_code == 403


async def test_words_about_things_are_free(stage: Stage) -> None:
    """Names, owners and tags change nothing that is served."""
    developer = await stage.bearing("developer")

    flag = await patch(developer, stage.flag("delivery-fee"), {"name": "New", "tags": ["x"], "owner": "me"})
    segment = await patch(developer, stage.segment("staff"), {"description": "New"})

    assert (flag.status_code, segment.status_code) == (200, 200)


@pytest.mark.parametrize("kind", ["manager", "developer", "pipeline"])
async def test_houses_are_built_by_administrators(kind: str, stage: Stage) -> None:
    """Projects, environments, tiers, tokens and imports are not for others."""
    client = await stage.bearing(kind)
    staging = f"{stage.environments}/staging"

    for reply in (
        await client.post("/api/v1/projects", json={"key": "x", "name": "X"}),
        await patch(client, stage.project, {"name": "X"}),
        await client.delete(stage.project, headers=ANY),
        await client.post(stage.environments, json={"key": "x", "name": "X", "tier": "staging"}),
        await patch(client, staging, {"tier": "production"}),
        await client.delete(staging, headers=ANY),
        await client.post("/api/v1/import", json=stage.document()),
        await client.get("/api/v1/tokens"),
        await client.post("/api/v1/tokens", json={"name": "x", "kind": "pipeline"}),
    ):
        assert reply.status_code == 403


async def test_pipeline_only_reads(stage: Stage) -> None:
    """A pipeline sees flags and changes none."""
    pipeline = await stage.bearing("pipeline")

    assert (await pipeline.get(stage.flags)).status_code == 200
    for reply in (
        await pipeline.post(f"{stage.flag('gift-cards', 'staging')}/disable"),
        await patch(pipeline, stage.flag("gift-cards"), {"name": "x"}),
        await pipeline.post(stage.segments, json={"key": "x", "when": {"segment": "staff"}}),
    ):
        assert reply.status_code == 403


async def test_outside_the_projects(stage: Stage) -> None:
    """Another project is not there, whatever is asked of it; one cannot be made outside the limits either."""
    stranger = await stage.bearing("admin", projects=["elsewhere"])
    paths = [
        stage.project,
        stage.environments,
        stage.flags,
        stage.flag("gift-cards"),
        stage.flag("gift-cards", "staging"),
        stage.segments,
        stage.audit,
        f"{stage.project}/export",
        f"{stage.flag('gift-cards')}/usage",
        f"{stage.environments}/staging/compare?from=production",
    ]

    assert {(await stranger.get(path)).status_code for path in paths} == {404}
    assert (await stranger.post(f"{stage.flag('gift-cards', 'staging')}/evaluate", json={})).status_code == 404
    assert (await stranger.post(f"{stage.flag('gift-cards', 'staging')}/enable")).status_code == 404
    assert (await stranger.post("/api/v1/projects", json={"key": "new", "name": "x"})).status_code == 403
    assert (await stranger.post("/api/v1/import", json=stage.document())).status_code == 403
    listed = (await stranger.get("/api/v1/projects?limit=200")).json()["items"]
    assert listed == []


async def test_outside_the_environments(stage: Stage) -> None:
    """Other environments are not there, through any verb that takes one."""
    limited = await stage.bearing("manager", environments=["development"])
    staging, development = f"{stage.environments}/staging", f"{stage.environments}/development"

    for reply in (
        await limited.get(staging),
        await limited.get(stage.flag("gift-cards", "staging")),
        await limited.get(f"{development}/compare?from=staging"),
        await limited.get(f"{staging}/compare?from=development"),
        await limited.post(f"{development}/copy", json={"from": "staging"}),
        await limited.post(f"{staging}/copy", json={"from": "development"}),
        await limited.post(f"{stage.flag('gift-cards', 'staging')}/evaluate", json={}),
        await limited.post(f"{stage.flag('gift-cards', 'staging')}/disable"),
        await limited.post(f"{stage.flag('gift-cards', 'staging')}/rollout", json={"percent": 1}),
        await patch(limited, stage.flag("gift-cards", "staging"), {}),
    ):
        assert reply.status_code == 404
        assert "gift-cards" not in reply.text
    assert (await limited.get(f"{stage.project}/export")).status_code == 403


async def test_lists_within_the_environments(stage: Stage) -> None:
    """Lists, flags and usage show the token's environments only."""
    limited = await stage.bearing("manager", environments=["development", "staging"])

    environments = (await limited.get(stage.environments)).json()["items"]
    flag = (await limited.get(stage.flag("gift-cards"))).json()
    flag_usage = (await limited.get(f"{stage.flag('new-checkout')}/usage")).json()["items"]
    segment_usage = (await limited.get(f"{stage.segment('staff')}/usage")).json()["items"]

    assert [one["key"] for one in environments] == ["development", "staging"]
    assert [one["environment"] for one in flag["environments"]] == ["development", "staging"]
    assert [one["environment"] for one in flag_usage] == ["staging"]
    assert {one["environment"] for one in segment_usage} == {None}


async def test_side_effects_outside_the_environments(stage: Stage) -> None:
    """What would change another environment is refused, and no refusal names it."""
    limited = await stage.bearing("manager", environments=["development"])

    for reply in (
        await patch(limited, stage.flag("delivery-fee"), {"variants": {"standard": 1.0}}),
        await patch(limited, stage.flag("gift-cards"), {"client_visible": False}),
        await patch(limited, stage.segment("staff"), {"when": {"segment": "nordic-customers"}}),
        await limited.post(f"{stage.flag('gift-cards')}/archive"),
        await limited.post(f"{stage.flag('new-checkout')}/archive"),
    ):
        assert reply.status_code in (403, 409)
        assert "production" not in reply.text
        assert "staging" not in reply.text


async def test_within_the_environments(stage: Stage) -> None:
    """In its own environment such a token does what its kind does."""
    limited = await stage.bearing("developer", environments=["development"])

    reply = await limited.post(f"{stage.flag('gift-cards', 'development')}/enable")
    created = await limited.post(stage.flags, json={"key": "mine", "purpose": "operational", "type": "boolean"})

    assert (reply.status_code, created.status_code) == (200, 201)


async def test_tier_decides(stage: Stage) -> None:
    """An environment that becomes production is production from then on."""
    developer = await stage.bearing("developer")
    await stage.patched(f"{stage.environments}/staging", {"tier": "production"})

    reply = await developer.post(f"{stage.flag('gift-cards', 'staging')}/enable")

    assert reply.status_code == 403
