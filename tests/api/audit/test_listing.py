"""Reading the log: order, pages, filters, and who may."""

import base64
import json
from typing import Any

import pytest
from tests.api.stage import Stage
from tests.api.verbs import named

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOGS = ("/api/v1/audit", "/api/v1/projects/{key}/audit")


async def switched(stage: Stage, times: int) -> None:
    for at in range(times):
        await stage.admin.post(f"{stage.flag('gift-cards', 'production')}/{'enable' if at % 2 else 'disable'}")


@pytest.mark.parametrize("path", LOGS)
async def test_pages_are_the_list(path: str, stage: Stage) -> None:
    """Pages of two, one after the other, are the list, newest first, nothing twice."""
    await switched(stage, 5)
    path = path.replace("{key}", stage.key)
    whole = (await stage.got(path, limit=200))["items"]

    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while len(items) < min(len(whole), 20):
        page = await stage.got(path, **query)
        items, query = items + page["items"], {"limit": 2, "cursor": page["next_cursor"]}

    assert items == whole[: len(items)]
    assert [one["at"] for one in items] == sorted((one["at"] for one in items), reverse=True)


@pytest.mark.parametrize("path", LOGS)
@pytest.mark.parametrize(
    ("name", "value"), [("action", "flag.disable"), ("target", "{switch}"), ("actor", "setup"), ("action", "none")]
)
async def test_filters(name: str, value: str, path: str, stage: Stage) -> None:
    """A filter takes the events of this value and no others."""
    await switched(stage, 2)
    path = path.replace("{key}", stage.key)
    whole = (await stage.got(path, limit=200))["items"]

    value = value.replace("{switch}", stage.flag("gift-cards", "production"))
    items = (await stage.got(path, **{name: value, "limit": 200}))["items"]

    expected = [one for one in whole if one[name] == value]
    assert items[: len(expected)] == expected
    assert all(one[name] == value for one in items)


async def test_event_names_who_and_what(stage: Stage) -> None:
    """The actor is the token, the target the path, the changes the differences."""
    whoami = await stage.got("/api/v1/whoami")
    switch = stage.flag("gift-cards", "production")
    await stage.admin.post(f"{switch}/disable")

    event = (await stage.got(stage.audit, limit=1))["items"][0]

    assert (event["actor"], event["target"]) == (f"admin:{whoami['token_id']}", switch)
    assert event["changes"] == [{"path": "/enabled", "op": "replace", "from": True, "to": False}]


async def test_deleted_project_keeps_its_log(stage: Stage) -> None:
    """What happened to a project can be read when it is gone."""
    await named("project.delete").do(stage)

    items = (await stage.got(stage.audit))["items"]

    assert items[0]["action"] == "project.delete"


async def test_project_that_never_was(stage: Stage) -> None:
    """A mistyped key is told, not answered with an empty list."""
    assert (await stage.admin.get("/api/v1/projects/shup/audit")).status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        ["2026-01-01T00:00:00", "shop", 1],
        ["0001-01-01T00:00:00+14:00", "shop", 1],
        ["nonsense", "shop", 1],
        [1, "shop", 1],
        ["2026-01-01T00:00:00+00:00", "shop"],
    ],
    ids=str,
)
async def test_forged_cursor(key: list[Any], stage: Stage) -> None:
    """A cursor that this list did not give out is refused, whatever it holds."""
    cursor = base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")

    reply = await stage.admin.get("/api/v1/audit", params={"cursor": cursor})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "cursor")


async def test_token_limited_to_projects(stage: Stage) -> None:
    """It sees the events of its projects, and neither those of others nor those of tokens."""
    limited = await stage.bearing("admin")

    items = (await limited.get("/api/v1/audit?limit=200")).json()["items"]

    assert {one["project"] for one in items} == {stage.key}
    assert (await limited.get("/api/v1/projects/shop/audit")).status_code == 404


@pytest.mark.parametrize("path", LOGS)
async def test_token_limited_to_environments(path: str, stage: Stage) -> None:
    """The log names all environments, so such a token cannot read it."""
    limited = await stage.bearing("developer", environments=["development"])

    reply = await limited.get(path.replace("{key}", stage.key))

    assert reply.status_code == 403
