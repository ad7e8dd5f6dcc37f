"""Making, showing and revoking tokens."""

import asyncio
from typing import Any

import pytest
from tests.api.conftest import serving
from tests.api.contract.client import ContractClient
from tests.api.stage import Shared, Stage
from tests.api.store import count, database

from greenroom_server.access import secrets

pytestmark = pytest.mark.asyncio(loop_scope="session")
TOKENS = "/api/v1/tokens"


def body(stage: Stage, **members: Any) -> dict[str, Any]:
    return {"name": "new", "kind": "developer", **members}


async def made(stage: Stage, **members: Any) -> dict[str, Any]:
    reply = await stage.admin.post(TOKENS, json=body(stage, **members))
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def test_text_is_shown_once(stage: Stage) -> None:
    """The answer to making it has the text; reading and listing it do not."""
    created = await made(stage)

    read = await stage.got(f"{TOKENS}/{created['id']}")
    listed = await stage.admin.get(TOKENS, params={"limit": 200})

    assert secrets.kind_of(created["token"]) == "developer"
    assert read == {name: value for name, value in created.items() if name != "token"}
    assert created["token"] not in listed.text


async def test_text_is_not_stored(stage: Stage) -> None:
    """Neither the token's row, nor the log, nor the stored answer to its `Idempotency-Key` has it."""
    reply = await stage.admin.post(TOKENS, json=body(stage), headers={"Idempotency-Key": f"k-{stage.key}"})
    secret = reply.json()["token"][7:]

    async with database(stage.url) as opened:
        assert await count(opened, f"token t WHERE t::text LIKE '%{secret}%'") == 0
        assert await count(opened, f"audit_event t WHERE t::text LIKE '%{secret}%'") == 0
        stored = f"idempotency_key t WHERE convert_from(t.body, 'utf8') LIKE '%{secret}%'"
        assert await count(opened, stored) == 0


async def test_repeated_key_gets_no_text(stage: Stage) -> None:
    """The same `Idempotency-Key` makes no second token, and the text was shown already."""
    headers = {"Idempotency-Key": f"again-{stage.key}"}
    first = await stage.admin.post(TOKENS, json=body(stage), headers=headers)

    second = await stage.admin.post(TOKENS, json=body(stage), headers=headers)

    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json() == {**first.json(), "token": ""}


async def test_sdk_key_belongs_to_an_environment(stage: Stage) -> None:
    """It says which, and evaluates there."""
    created = await made(stage, kind="server", project=stage.key, environment="production")

    snapshot = await stage.admin.bearing(created["token"]).get("/api/v1/sdk/snapshot")

    assert (created["project"], created["environment"]) == (stage.key, "production")
    assert snapshot.json()["environment"] == "production"


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"kind": "server"}, ["/project", "/environment"]),
        ({"kind": "client", "project": "{key}"}, ["/environment"]),
        ({"kind": "client", "project": "{key}", "environment": "nowhere"}, ["/environment"]),
        ({"kind": "client", "project": "nowhere", "environment": "production"}, ["/environment"]),
        ({"kind": "server", "project": "{key}", "environment": "staging", "projects": ["x"]}, ["/projects"]),
        ({"kind": "manager", "project": "{key}"}, ["/project"]),
        ({"kind": "admin", "environments": ["staging"]}, ["/environments"]),
        ({"projects": []}, ["/projects"]),
        ({"projects": ["NO"]}, ["/projects/0"]),
        ({"expires_at": "2020-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"expires_at": "2030-01-01T00:00:00"}, ["/expires_at"]),
        ({"expires_at": "2030-01-01"}, ["/expires_at"]),
        ({"expires_at": 1900000000}, ["/expires_at"]),
        ({"expires_at": "1900000000"}, ["/expires_at"]),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, ["/expires_at"]),
        ({"kind": "root"}, ["/kind"]),
        ({"kind": "setup"}, ["/kind"]),
        ({"name": ""}, ["/name"]),
        ({"name": "x" * 201}, ["/name"]),
        ({"permissions": ["x"]}, ["/permissions"]),
    ],
    ids=str,
)
async def test_refused(members: dict[str, Any], pointers: list[str], stage: Stage) -> None:
    """What is wrong is named, and no token is made."""
    given = {name: stage.key if value == "{key}" else value for name, value in members.items()}

    reply = await stage.admin.post(TOKENS, json=body(stage, **given))

    assert (reply.status_code, [error["pointer"] for error in reply.json()["errors"]]) == (400, pointers)


async def test_moment_in_another_zone(stage: Stage) -> None:
    """An expiry is a moment, wherever it was written."""
    created = await made(stage, expires_at="2031-01-01T02:00:00+02:00")

    assert created["expires_at"] == "2031-01-01T00:00:00Z"


async def test_revocation(stage: Stage) -> None:
    """A revoked token opens nothing, on this server at once."""
    created = await made(stage)
    client = stage.admin.bearing(created["token"])
    assert (await client.get("/api/v1/whoami")).status_code == 200

    revoked = await stage.admin.delete(f"{TOKENS}/{created['id']}")

    assert revoked.json()["state"] == "revoked"
    async with asyncio.timeout(5):
        while (await client.get("/api/v1/whoami")).status_code != 401:  # noqa: ASYNC110  it takes over by itself
            await asyncio.sleep(0.01)


async def test_revoking_twice(stage: Stage) -> None:
    """The second time changes nothing and says so on a dry run."""
    created = await made(stage)
    first = await stage.admin.delete(f"{TOKENS}/{created['id']}")

    again = await stage.admin.delete(f"{TOKENS}/{created['id']}", params={"dry_run": "true"})
    second = await stage.admin.delete(f"{TOKENS}/{created['id']}")

    assert again.json()["changes"] == []
    assert second.json()["revoked_at"] == first.json()["revoked_at"]


async def test_token_is_felt_on_another_server(
    shared: Shared, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A token made on one server works on another from its first request."""
    async for other in serving(shared.url, tmp_path_factory.mktemp("other")):
        created = await made(stage)
        async with ContractClient(other).bearing(created["token"]) as client:
            assert (await client.get("/api/v1/whoami")).status_code == 200


@pytest.mark.parametrize("id_", ["00000000-0000-0000-0000-000000000000", "nonsense"])
async def test_no_such_token(id_: str, stage: Stage) -> None:
    """An id that names none is missing, what is no id is refused."""
    for method in ("GET", "DELETE"):
        assert (await stage.admin.request(method, f"{TOKENS}/{id_}")).status_code == (400 if id_ == "nonsense" else 404)


async def test_token_limited_to_projects_handles_no_tokens(stage: Stage) -> None:
    """Tokens reach past any limit: who is limited can make, list and revoke none."""
    limited = await stage.bearing("admin")
    created = await made(stage)

    for method, path in (
        ("GET", TOKENS),
        ("GET", f"{TOKENS}/{created['id']}"),
        ("DELETE", f"{TOKENS}/{created['id']}"),
    ):
        assert (await limited.request(method, path)).status_code == 403
    assert (await limited.post(TOKENS, json=body(stage, projects=[stage.key]))).status_code == 403


async def test_pages_of_tokens(stage: Stage) -> None:
    """Pages of one, one after the other, are the list, oldest first."""
    for _ in range(3):
        await made(stage)
    whole = (await stage.got(TOKENS, limit=200))["items"]

    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 7}
    while query.get("cursor", "") is not None:
        page = await stage.got(TOKENS, **query)
        items, query = items + page["items"], {"limit": 7, "cursor": page["next_cursor"]}

    assert items == whole
    assert [one["created_at"] for one in items] == sorted(one["created_at"] for one in items)


async def test_keys_end_with_their_environment(stage: Stage) -> None:
    """Deleting an environment revokes its SDK keys; deleting the project all that are left."""
    await stage.admin.post(stage.environments, json={"key": "qa", "name": "QA", "tier": "staging"})
    keys = [await made(stage, kind="server", project=stage.key, environment=one) for one in ("qa", "staging")]

    async def states() -> list[str]:
        return [(await stage.got(f"{TOKENS}/{key['id']}"))["state"] for key in keys]

    await stage.admin.delete(f"{stage.environments}/qa", headers={"If-Match": "*"})
    assert await states() == ["revoked", "active"]
    await stage.admin.delete(stage.project, headers={"If-Match": "*"})
    assert await states() == ["revoked", "revoked"]


async def test_key_and_deletion_at_once(stage: Stage) -> None:
    """No SDK key of a deleted environment is left active, whoever comes first."""
    for at in range(6):
        await stage.admin.post(stage.environments, json={"key": f"qa-{at}", "name": "QA", "tier": "staging"})
        wanted = body(stage, kind="server", project=stage.key, environment=f"qa-{at}")
        created, _ = await asyncio.gather(
            stage.admin.post(TOKENS, json=wanted),
            stage.admin.delete(f"{stage.environments}/qa-{at}", headers={"If-Match": "*"}),
        )
        if created.status_code == 201:
            assert (await stage.got(f"{TOKENS}/{created.json()['id']}"))["state"] == "revoked"
        else:
            assert created.status_code == 400
