"""The switch: to continuous deployment by a report that says so, back at once."""

from typing import Any

import httpx
import pytest
from tests.api.decisions.conftest import Deciding
from tests.api.readiness.conftest import kept, went_out
from tests.api.releases.conftest import done, moments_ago
from tests.api.store import age_report

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def switched(deciding: Deciding, mode: str, environment: str = "production", **members: Any) -> httpx.Response:
    """The answer to setting the mode."""
    path = f"{deciding.project}/services/web/environments/{environment}/mode"
    return await deciding.activator.put(path, json={"mode": mode, **members})


async def events(deciding: Deciding, action: str) -> list[dict[str, Any]]:
    """The audit events of this action."""
    return list(done(await deciding.author.get(f"{deciding.project}/audit", params={"action": action}))["items"])


async def test_nobody_is_switched_without_a_report(deciding: Deciding) -> None:
    """Refused with what is missing; the mode stays."""
    await deciding.ruled_by()

    refused = await switched(deciding, "deployment")

    assert (refused.status_code, refused.json()["code"]) == (409, "not_ready")
    assert "make one" in refused.json()["detail"]
    path = f"{deciding.project}/services/web/environments/production/mode"
    assert done(await deciding.pipeline.get(path))["mode"] == "delivery"


async def test_a_report_that_says_so_switches_one_environment(deciding: Deciding) -> None:
    """The newest report, or the one that is named; the other environment stays, and back is at once."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 21))
    made = await kept(deciding)

    ready = done(await switched(deciding, "deployment", report=made["id"], reason="the report is green"))
    service = done(await deciding.pipeline.get(f"{deciding.project}/services/web"))
    back = done(await switched(deciding, "delivery"))
    again = done(await switched(deciding, "deployment"))
    held = done(await switched(deciding, "hold"))

    assert (ready["mode"], ready["environment"]) == ("deployment", "production")
    modes = {one["environment"]: one["mode"] for one in service["modes"]}
    assert (modes["production"], modes["staging"]) == ("deployment", "delivery")
    assert [one["mode"] for one in (back, again, held)] == ["delivery", "deployment", "hold"]
    assert await events(deciding, "mode.force") == []
    assert len(await events(deciding, "mode.put")) == 4


async def test_a_report_that_is_not_green_is_named_in_the_refusal(deciding: Deciding) -> None:
    """The demands that it does not meet."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 3))
    await kept(deciding)

    refused = await switched(deciding, "deployment")

    assert refused.status_code == 409
    assert "`builds`" in refused.json()["detail"]


async def test_force_takes_a_reason_and_is_told_apart(deciding: Deciding) -> None:
    """Without a reason it is refused; with one the audit log has an event of its own that says what was not met."""
    await deciding.ruled_by()

    silent = await switched(deciding, "deployment", force=True, reason="  ")
    forced = done(await switched(deciding, "deployment", force=True, reason="the board said so"))

    assert (silent.status_code, silent.json()["errors"][0]["pointer"]) == (400, "/reason")
    assert forced["mode"] == "deployment"
    (event,) = await events(deciding, "mode.force")
    told = event["changes"][0]["to"]
    assert told["reason"] == "the board said so"
    assert told["unmet"] == ["there is no readiness report: make one"]


async def test_a_report_goes_stale_with_time_and_with_the_policy(deciding: Deciding) -> None:
    """After 24 hours, or once another policy is in force, it says nothing any more."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 21))
    made = await kept(deciding)
    await deciding.ruled_by({"id": "line", "kind": "order", "actions": ["deploy"]})

    other_policy = await switched(deciding, "deployment")
    fresh = await kept(deciding)
    await age_report(deciding.releases.stage.url, fresh["id"], moments_ago(hours=24))
    too_old = await switched(deciding, "deployment", report=fresh["id"])

    assert made["is_flippable"]
    assert "another policy" in other_policy.json()["detail"]
    assert (too_old.status_code, "older than 24 hours" in too_old.json()["detail"]) == (409, True)


async def test_a_report_about_something_else_is_no_report(deciding: Deciding) -> None:
    """Neither one of staging, nor one that does not exist."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 2))
    made = await kept(deciding, environment="staging")

    other = await switched(deciding, "deployment", report=made["id"])
    nothing = await switched(deciding, "deployment", report="01a20771-3f40-76dc-b3d1-e7837691b54a")

    for refused in (other, nothing):
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/report")


async def test_only_who_may_set_modes_makes_reports_and_switches(deciding: Deciding) -> None:
    """A pipeline and a developer may look, and no more."""
    await deciding.ruled_by()
    for kind in ("pipeline", "developer"):
        client = await deciding.releases.stage.bearing(kind)
        path = f"{deciding.project}/services/web"
        mode = await client.put(f"{path}/environments/production/mode", json={"mode": "hold"})
        made = await client.post(f"{path}/readiness", json={"environment": "production"})
        read = await client.get(f"{path}/readiness", params={"environment": "production"})

        assert [one.status_code for one in (mode, made, read)] == [403, 403, 200]
