"""The last administrator cannot be locked out."""

import pytest
from tests.api.contract.client import ContractClient

pytestmark = pytest.mark.asyncio
TOKENS = "/api/v1/tokens"


async def admins(admin: ContractClient) -> list[str]:
    items = (await admin.get(TOKENS, params={"limit": 200})).json()["items"]
    return [one["id"] for one in items if one["kind"] == "admin" and one["state"] == "active" and not one["projects"]]


async def test_last_one_stays(admin: ContractClient) -> None:
    """All but one can be revoked; neither limited administrators nor revoked ones count."""
    own = (await admin.get("/api/v1/whoami")).json()["token_id"]
    for one in await admins(admin):
        if one != own:
            assert (await admin.delete(f"{TOKENS}/{one}")).status_code == 200

    last = await admin.delete(f"{TOKENS}/{own}")

    assert (last.status_code, last.json()["code"]) == (409, "last_admin")
    assert (await admin.get("/api/v1/whoami")).status_code == 200
