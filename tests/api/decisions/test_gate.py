"""The release gate: whatever lights a flag asks the policy in force, and whatever darkens one is let through."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from tests.api.contract.client import ContractClient
from tests.api.decisions.conftest import Deciding
from tests.api.releases.conftest import commit_of, done

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAG: Final = "new-page"
STORY: Final = "SHOP-1"
ANY: Final = {"If-Match": "*"}
HEADER: Final = "release-decisions"
GO: Final = {"id": "go", "kind": "approval", "actions": ["release"], "role": "product"}
NOBODY: Final[list[Any]] = []


class Gated:
    """A flag that hides a story of `web`, in a project whose production is governed."""

    def __init__(self, deciding: Deciding, manager: ContractClient) -> None:
        self.deciding = deciding
        self.releases = deciding.releases
        self.stage = deciding.releases.stage
        self.manager = manager
        self.place = self.stage.flag(FLAG, "production")
        self.gate = f"{self.stage.environments}/production/release-gate"

    async def enable(self, **params: Any) -> httpx.Response:
        return await self.manager.post(f"{self.place}/enable", params=params)

    async def patch(self, body: Any, **params: Any) -> httpx.Response:
        return await self.manager.patch(self.place, json=body, headers=ANY, params=params)

    async def served(self) -> dict[str, Any]:
        return done(await self.manager.get(self.place))

    async def kept(self, **wanted: str) -> list[dict[str, Any]]:
        """Decisions on flags, newest first."""
        found = done(await self.manager.get(self.deciding.decisions, params=wanted))["items"]
        return [one for one in found if one["action"] in ("release", "darken")]

    async def approved(self, audience: str = "all", flag: str = FLAG) -> None:
        body = {"action": "release", "environment": "production", "verdict": "approve", "flag": flag}
        client = await self.releases.person("manager", "product")
        await self.releases.said("approvals", {**body, "audience": audience}, client)

    async def ready(self) -> None:
        """The story is done, and what is live contains it."""
        await self.releases.built(1, commits=[{"id": commit_of(1), "stories": [STORY]}])
        await self.releases.checked(1, suite="unit", counts={"total": 3, "passed": 3})
        await self.releases.deployed(1, "staging")
        demo = await self.releases.said("demos", {"stories": [STORY], "environment": "staging"})
        product = await self.releases.person("manager", "product")
        done(await product.post(f"{self.stage.project}/demos/{demo['id']}/accept", json={"role": "product"}))
        await self.releases.deployed(1)


@pytest_asyncio.fixture(loop_scope="session")
async def gated(deciding: Deciding) -> AsyncIterator[Gated]:
    """The story is not done yet."""
    await deciding.releases.stage.made(FLAG, purpose="release", expires_on="2030-01-01", stories=[STORY])
    await deciding.ruled_by(GO)
    yield Gated(deciding, await deciding.releases.person("manager"))


def refused(reply: httpx.Response, verdict: str = "wait") -> dict[str, Any]:
    """The decision of a refusal."""
    assert reply.status_code == 409, reply.text
    problem = reply.json()
    assert problem["code"] == {"wait": "release_waits", "deny": "release_denied"}[verdict]
    decision: dict[str, Any] = problem["decision"]
    assert decision["decision"] == verdict
    return decision


async def test_a_story_that_is_not_done_is_not_released(gated: Gated) -> None:
    """The refusal carries the whole decision, nothing is served, and the decision is kept and audited all the same."""
    decision = refused(await gated.enable())

    assert (decision["action"], decision["subject"]["flag"], decision["subject"]["audience"]) == (
        "release",
        FLAG,
        "all",
    )
    assert decision["next"]
    assert not (await gated.served())["enabled"]
    assert done(await gated.manager.get(f"{gated.deciding.decisions}/{decision['id']}")) == decision
    audit = done(await gated.stage.admin.get(gated.stage.audit, params={"limit": 5}))["items"]
    (noted,) = (one for one in audit if one["target"].endswith(decision["id"]))
    assert noted["changes"][0]["to"]["gate"] == "enforce"


async def test_what_is_done_and_approved_is_released(gated: Gated) -> None:
    """The answer names the decision, which is kept in the transaction of the change."""
    await gated.ready()
    first = refused(await gated.enable())
    assert {one["id"] for one in first["rules"] if one["outcome"] != "pass"} == {"go"}

    await gated.approved()
    reply = await gated.enable()

    assert done(reply)["enabled"]
    (kept,) = await gated.kept(verdict="allow")
    assert reply.headers[HEADER] == f'"{kept["id"]}";verdict=allow;mode=enforce;flag="{FLAG}"'
    assert (kept["service"], kept["action"], kept["subject"]) == ("web", "release", FLAG)


async def test_an_approval_is_for_its_audience_and_smaller_ones(gated: Gated) -> None:
    """Who approved a quarter has not approved a half."""
    await gated.ready()
    await gated.approved("25%")

    async def roll_out(percent: float) -> httpx.Response:
        return await gated.manager.post(f"{gated.place}/rollout", json={"percent": percent, "enable": True})

    assert done(await roll_out(5))["enabled"]
    assert done(await roll_out(25))["reach"] == "some"
    assert refused(await roll_out(50))["subject"]["audience"] == "50%"
    assert refused(await roll_out(100))["subject"]["audience"] == "all"
    await gated.approved("all")
    assert done(await roll_out(50))["enabled"]


async def test_darkening_is_always_allowed_and_kept(gated: Gated) -> None:
    """In a freeze, with a veto, without approvals and whatever the policy says: it is let through and told."""
    await gated.deciding.gate("observe")
    done(await gated.enable())
    await gated.deciding.gate("enforce")
    await gated.releases.said(
        "vetoes", {"environment": "production", "reason": "no"}, await gated.releases.person("manager")
    )
    frozen = {"id": "frozen", "kind": "calendar", "actions": ["release", "deploy"], "use": ["always"]}
    calendars = {"always": {"type": "freeze", "from": "2020-01-01T00:00", "to": "2090-01-01T00:00"}}
    await gated.deciding.ruled_by(GO, frozen, calendars=calendars)

    fewer = await gated.patch(
        {
            "rules": [{"id": "half", "rollout": {"percent": 50000}, "serve": {"variant": "on"}}],
            "fallthrough": {"variant": "off"},
        }
    )
    off = await gated.manager.post(f"{gated.place}/disable")

    assert done(fewer)["reach"] == "some"
    assert not done(off)["enabled"]
    kept = await gated.kept(action="darken")
    assert [(one["decision"], one["subject"]) for one in kept] == [("allow", FLAG)] * 2
    for one in kept:
        assert done(await gated.manager.post(f"{gated.deciding.decisions}/{one['id']}/replay"))["same"] is True
    refused(await gated.enable(), "deny")


@pytest.mark.parametrize("mode", ["observe", "warn"])
async def test_modes_that_do_not_hold(gated: Gated, mode: str) -> None:
    """The change is made, and the decision is kept as it is; the answer names it."""
    await gated.deciding.gate(mode)

    reply = await gated.enable()

    assert done(reply)["enabled"]
    (kept,) = await gated.kept()
    assert kept["decision"] == "wait"
    told = f'"{kept["id"]}";verdict=wait;mode=warn;flag="{FLAG}"'
    assert reply.headers.get(HEADER) == (told if mode == "warn" else None)


async def test_a_dry_run_shows_the_decision_and_keeps_nothing(gated: Gated) -> None:
    """It is refused as the real change would be; where it is not, the whole decision is shown."""
    decision = refused(await gated.enable(dry_run="true"))
    assert (decision["id"], decision["simulated"]) == (None, True)
    await gated.deciding.gate("warn")

    shown = done(await gated.enable(dry_run="true"))

    assert shown["decisions"][0]["rules"] == decision["rules"]
    assert await gated.kept() == NOBODY
    assert not (await gated.served())["enabled"]


async def test_where_no_policy_is_asked_nothing_changes(gated: Gated) -> None:
    """Environments that the policy has no rule on releases for, and flags that are no features."""
    await gated.stage.made("kill-switch")
    for path in (gated.stage.flag(FLAG, "staging"), gated.stage.flag("kill-switch", "production")):
        reply = await gated.manager.post(f"{path}/enable")
        assert done(reply)["enabled"]
        assert HEADER not in reply.headers
    assert await gated.kept() == NOBODY


async def test_a_feature_without_a_story_is_asked_for_of_the_policy_for_all(gated: Gated) -> None:
    """Nothing can be shown of it: the decision says to link it."""
    await gated.stage.made("unlinked", purpose="release", expires_on="2030-01-01")

    decision = refused(await gated.manager.post(f"{gated.stage.flag('unlinked', 'production')}/enable"))

    assert decision["subject"]["service"] == "*"
    assert {"do": "link_story", "flag": "unlinked"} in decision["next"]


async def test_a_flag_of_two_services_is_decided_for_each(gated: Gated) -> None:
    """Both must be ready, and each has its own decision."""
    await gated.ready()
    await gated.approved()
    done(await gated.stage.admin.post(f"{gated.stage.project}/services", json={"key": "api", "name": "The API"}))
    body = {
        "digests": [f"sha256:{77:064x}"],
        "commit": commit_of(77),
        "commits": [{"id": commit_of(77), "stories": [STORY]}],
    }
    done(await gated.releases.pipeline.post(f"{gated.stage.project}/services/api/builds", json=body))

    decision = refused(await gated.enable())

    assert decision["subject"]["service"] == "api"
    await gated.deciding.gate("warn")
    reply = await gated.enable()
    assert {one["service"]: one["decision"] for one in (await gated.kept())[:2]} == {"web": "allow", "api": "wait"}
    assert reply.headers[HEADER].count("verdict=") == 2


async def test_the_gate_is_a_setting_of_the_business(gated: Gated) -> None:
    """Managers set it, with `If-Match`; it is audited, and tells whether any policy asks."""
    read = await gated.manager.get(gated.gate)
    assert done(read) == {
        "environment": "production",
        "mode": "enforce",
        "is_default": True,
        "is_governed": True,
        "version": 1,
    }
    developer = await gated.releases.person("developer")
    assert (await developer.put(gated.gate, json={"mode": "observe"}, headers=ANY)).status_code == 403
    assert (await gated.manager.put(gated.gate, json={"mode": "observe"})).status_code == 428

    put = await gated.manager.put(gated.gate, json={"mode": "observe"}, headers={"If-Match": read.headers["etag"]})

    assert (done(put)["mode"], done(put)["version"]) == ("observe", 2)
    assert not done(await gated.manager.get(f"{gated.stage.environments}/staging/release-gate"))["is_governed"]
    audit = done(await gated.stage.admin.get(gated.stage.audit, params={"limit": 1}))["items"]
    assert (audit[0]["action"], audit[0]["changes"][0]["to"]) == ("gate.put", "observe")
    missing = await gated.manager.get(f"{gated.stage.environments}/nowhere/release-gate")
    assert missing.status_code == 404
    bad = await gated.manager.put(gated.gate, json={"mode": "off"}, headers=ANY)
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (400, "/mode")


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"purpose": "operational", "stories": []}, 403),
        ({"purpose": "operational"}, 200),
        ({"stories": []}, 200),
        ({"description": "still one"}, 200),
    ],
)
async def test_a_feature_is_not_declared_to_be_none(gated: Gated, patch: dict[str, Any], expected: int) -> None:
    """Nobody is asked about what is for operating and hides no story: who says so of a feature may set the gate too."""
    developer = await gated.releases.person("developer")
    path = f"{gated.stage.project}/flags/{FLAG}"

    reply = await developer.patch(path, json=patch, headers=ANY)
    assert reply.status_code == expected, reply.text
    if expected == 403:
        assert "gates.write" in reply.json()["detail"]
        done(await gated.manager.patch(path, json=patch, headers=ANY))


async def test_a_feature_may_go(gated: Gated) -> None:
    """Archiving and deleting take it from under the gate, and serve it to nobody."""
    developer = await gated.releases.person("developer")
    path = f"{gated.stage.project}/flags/{FLAG}"

    done(await developer.post(f"{path}/archive"))
    assert (await developer.delete(path, headers=ANY)).status_code == 204
