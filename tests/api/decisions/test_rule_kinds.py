"""The rules that join flags, slots, permits and health to a decision, each fed with what was really told."""

from typing import Any, Final

import pytest
from tests.api.decisions.conftest import Deciding, found
from tests.api.releases.conftest import commit_of, digest_of, done, moments_ago

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAG: Final = "new-page"
STORY: Final = "SHOP-1"
SLOTTED: Final = {"production": {"order": 20, "tier": "production", "slots": ["blue", "green"]}}


async def with_story(deciding: Deciding, *numbers: int) -> None:
    """Builds that all work on the story behind the flag, each grown from the one before."""
    await deciding.releases.stage.made(FLAG, purpose="release", expires_on="2030-01-01", stories=[STORY])
    for number in numbers:
        members: dict[str, Any] = {} if number == numbers[0] else {"parent": digest_of(number - 1)}
        await deciding.releases.built(number, commits=[{"id": commit_of(number), "stories": [STORY]}], **members)
        await deciding.releases.checked(number, suite="unit", counts={"total": 3, "passed": 3})


async def lit(deciding: Deciding, *, enabled: bool) -> None:
    """The flag in production, whatever the gate says of it."""
    await deciding.gate("observe")
    verb = "enable" if enabled else "disable"
    done(await deciding.activator.post(f"{deciding.releases.stage.flag(FLAG, 'production')}/{verb}"))


async def test_flags_dark(deciding: Deciding) -> None:
    """An unfinished story goes along while its flag is dark, and for as long as it is."""
    await deciding.ruled_by({"id": "dark", "kind": "flags_dark", "actions": ["deploy"]})
    await with_story(deciding, 1)

    assert found(await deciding.asked(), "dark") == ("pass", "ok")
    await lit(deciding, enabled=True)
    assert found(await deciding.asked(), "dark") == ("fail", "flag.not_dark")
    await lit(deciding, enabled=False)
    assert (await deciding.asked())["decision"] == "allow"
    await deciding.releases.stage.admin.post(f"{deciding.releases.stage.flag(FLAG)}/archive")
    assert found(await deciding.asked(), "dark")[0] == "fail"


async def test_flag_live(deciding: Deciding) -> None:
    """A release waits until every live slot has the story as it is now."""
    live = {"id": "live", "kind": "flag_live", "actions": ["release"]}
    await deciding.ruled_by(live)
    await with_story(deciding, 1, 2)
    asked = {"action": "release", "flag": FLAG, "audience": "all"}

    async def code() -> str:
        body = {"service": "web", "environment": "production", **asked}
        return found(done(await deciding.pipeline.post(deciding.decisions, json=body)), "live")[1]

    assert await code() == "flag.build_not_live"
    await deciding.releases.deployed(1)
    assert await code() == "flag.build_not_live"
    await deciding.releases.deployed(2)
    assert await code() == "ok"


async def test_slot(deciding: Deciding) -> None:
    """A build goes into the idle slot, and a slot is switched to only if it runs the build."""
    idle = {"id": "idle", "kind": "slot", "actions": ["deploy"]}
    ready = {"id": "ready", "kind": "slot", "actions": ["switch"], "must_be": "deployed"}
    environments = {"staging": {"order": 10, "tier": "staging", "production_like": True}, **SLOTTED}
    await deciding.ruled_by(idle, ready, environments=environments)
    for number in (1, 2):
        await deciding.green(number)
    await deciding.releases.deployed(1, slot="blue", live=True)

    assert found(await deciding.asked(2), "idle") == ("fail", "slot.unknown")
    assert found(await deciding.asked(2, slot="blue"), "idle") == ("pending", "slot.live")
    assert found(await deciding.asked(2, slot="green"), "idle") == ("pass", "ok")
    assert found(await deciding.asked(2, slot="green", action="switch"), "ready") == ("pending", "slot.not_deployed")
    await deciding.releases.deployed(2, slot="green")
    assert found(await deciding.asked(2, slot="green", action="switch"), "ready") == ("pass", "ok")


async def test_concurrency(deciding: Deciding) -> None:
    """An open permit for the environment is one deployment under way; once it is given back, the next may go."""
    await deciding.ruled_by({"id": "one", "kind": "concurrency", "actions": ["deploy"], "max": 1})
    for number in (1, 2):
        await deciding.green(number)
    wanted = {"service": "web", "environment": "production", "digest": digest_of(1)}

    permit = done(await deciding.pipeline.post(f"{deciding.project}/permits", json=wanted))["permit"]

    assert found(await deciding.asked(2), "one") == ("pending", "busy")
    done(await deciding.pipeline.post(f"{deciding.project}/permits/{permit['id']}/release", json={}))
    assert found(await deciding.asked(2), "one") == ("pass", "ok")


async def test_health(deciding: Deciding) -> None:
    """The latest reading of each source counts; none, or an old one, is no good one."""
    rule = {"id": "well", "kind": "health", "actions": ["deploy"], "sources": ["errors"], "max_age": "10m"}
    await deciding.ruled_by(rule)
    await deciding.green()
    path = f"{deciding.project}/health"

    async def told(**members: Any) -> tuple[str, str]:
        body = {"environment": "production", "source": "errors", **members}
        done(await deciding.pipeline.post(path, json=body))
        return found(await deciding.asked(), "well")

    assert found(await deciding.asked(), "well") == ("pending", "health.missing")
    assert await told(is_healthy=True, at=moments_ago(minutes=10)) == ("pending", "health.stale")
    assert await told(is_healthy=True, source="others") == ("pending", "health.stale")
    assert await told(is_healthy=True, environment="staging") == ("pending", "health.stale")
    assert await told(is_healthy=True, value=0.4, at=moments_ago(minutes=2)) == ("pass", "ok")
    assert await told(is_healthy=False, value=7.5, at=moments_ago(minutes=1)) == ("fail", "health.unhealthy")
    assert await told(is_healthy=True, at=moments_ago(minutes=3)) == ("fail", "health.unhealthy")
    assert done(await deciding.pipeline.get(path))["items"][0]["value"] is None
    bad = await deciding.pipeline.post(path, json={"environment": "nowhere", "source": "errors", "is_healthy": True})
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (400, "/environment")
