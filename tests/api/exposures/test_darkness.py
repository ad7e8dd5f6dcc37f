"""A flag that is dark and was served all the same raises an alert; the grace for a change on its way is kept."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.api.exposures.batches import count
from tests.api.exposures.conftest import Application
from tests.api.stage import Stage
from tests.api.store import database, statement

from greenroom_server.exposures.service_darkness import watch_darkness

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def watched(stage: Stage) -> None:
    """Look now, as the server does every minute. Whoever of them looks, the alert is there afterwards."""
    async with database(stage.url) as opened, opened.transaction() as session:
        await watch_darkness(session, datetime.now(UTC))


async def gone_dark(stage: Stage, *, minutes: int) -> None:
    """`new-checkout` was switched off in production so many minutes ago."""
    reply = await stage.admin.post(f"{stage.flag('new-checkout', 'production')}/disable")
    assert reply.status_code == 200
    await statement(
        stage.url,
        f"UPDATE flag_configuration SET updated_at = now() - interval '{minutes} minutes' WHERE NOT enabled"
        f" AND environment_id IN (SELECT e.id FROM environment e JOIN project p ON p.id = e.project_id"
        f" WHERE p.key = '{stage.key}')",
    )


async def test_a_dark_flag_that_is_served_raises_an_alert(stage: Stage, application: Application) -> None:
    """It is listed with its numbers, and audited once however often it is looked at."""
    await gone_dark(stage, minutes=30)
    await application.reports(counts=[count(9), count(5, variant="off")])
    await watched(stage)
    await application.reports(counts=[count(1)])
    await watched(stage)

    (alert,) = (await stage.got(f"{stage.project}/darkness-alerts"))["items"]
    assert (alert["environment"], alert["flag"], alert["variant"]) == ("production", "new-checkout", "on")
    assert alert["evaluations"] == 10
    events = (await stage.got(stage.audit, action="flag.served_while_dark"))["items"]
    assert [(one["actor"], one["changes"][0]["to"]) for one in events] == [("greenroom:darkness", "on")]
    assert events[0]["target"] == stage.flag("new-checkout", "production")


@pytest.mark.parametrize(
    ("minutes_dark", "minutes_ago", "variant"),
    [(1, 0, "on"), (30, 60, "on"), (30, 0, "off"), (30, 0, None)],
    ids=["within the grace", "before it went dark", "the dark variant", "the caller's default"],
)
async def test_what_is_no_reason_for_an_alert(
    stage: Stage, application: Application, minutes_dark: int, minutes_ago: int, variant: str | None
) -> None:
    """A change on its way, the time before, the dark variant and the caller's own default are all as they should be."""
    await gone_dark(stage, minutes=minutes_dark)
    minute = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    await application.reports(counts=[count(1, variant=variant, minute=minute)])
    await watched(stage)
    assert (await stage.got(f"{stage.project}/darkness-alerts"))["items"] == []


async def test_a_flag_that_is_on_raises_none(stage: Stage, application: Application) -> None:
    """Serving what is meant to be served is no alert."""
    await application.reports(counts=[count(9)])
    await watched(stage)
    assert (await stage.got(f"{stage.project}/darkness-alerts"))["items"] == []


async def test_alerts_of_other_environments_are_not_shown(stage: Stage, application: Application) -> None:
    """A token limited to an environment sees the alerts of that one."""
    await gone_dark(stage, minutes=30)
    await application.reports(counts=[count(1)])
    await watched(stage)
    limited = await stage.bearing("developer", environments=["staging"])
    assert (await limited.get(f"{stage.project}/darkness-alerts")).json() == {"items": []}
