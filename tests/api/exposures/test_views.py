"""What people learn from reports: what was served, by whom, how far a revision came, and what nobody asks for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.exposures.batches import PATH, batch, count, event, exposure, text_of
from tests.api.exposures.conftest import Application
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


def production(stage: Stage, rest: str) -> str:
    return f"{stage.environments}/production/{rest}"


async def test_evaluations_and_subjects_by_variant(stage: Stage, application: Application) -> None:
    """Counts are summed, and a subject counts once for each variant however often it came."""
    served = [exposure("ada"), exposure("ada"), exposure("bob"), exposure("bob", variant="off")]
    await application.reports(exposures=served, counts=[count(3), count(2, variant="off"), count(1, variant=None)])

    view = await stage.got(production(stage, "flags/new-checkout/exposures"))
    assert view["totals"] == [
        {"variant": None, "evaluations": 1, "subjects": 0},
        {"variant": "off", "evaluations": 2, "subjects": 1},
        {"variant": "on", "evaluations": 3, "subjects": 2},
    ]


async def test_a_view_over_time_has_its_stretches(stage: Stage, application: Application) -> None:
    """Each stretch has its own numbers; what lies outside is left out, and a subject in two stretches is one in all."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [today - timedelta(days=days) + timedelta(minutes=1) for days in (0, 1, 5)]
    await application.reports(
        exposures=[exposure("ada", at=moment) for moment in moments], counts=[count(2, minute=m) for m in moments]
    )
    query = {"since": text_of(today - timedelta(days=2)), "step": "day"}
    view = await stage.got(production(stage, "flags/new-checkout/exposures"), **query)
    assert view["totals"] == [{"variant": "on", "evaluations": 4, "subjects": 1}]
    assert [(item["at"], item["evaluations"], item["subjects"]) for item in view["items"]] == [
        (text_of(today - timedelta(days=1)), 2, 1),
        (text_of(today), 2, 1),
    ]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"step": "week"}, "step"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "since"),
        ({"since": "2026-01-01T00:00:00Z", "step": "minute"}, "step"),
        ({"until": "0001-01-01T00:00:00Z"}, "since"),
    ],
)
async def test_a_wrong_stretch_is_refused(stage: Stage, query: dict[str, str], named: str) -> None:
    """The problem names the parameter."""
    reply = await stage.admin.get(production(stage, "flags/new-checkout/exposures"), params=query)
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, named)


async def test_a_view_of_what_is_not_there_is_not_found(stage: Stage) -> None:
    """An unknown flag or environment is a 404."""
    for rest in ("production/flags/no-such/exposures", "no-such/flags/new-checkout/exposures", "no-such/propagation"):
        assert (await stage.admin.get(f"{stage.environments}/{rest}")).status_code == 404


async def test_outcomes_by_name(stage: Stage, application: Application) -> None:
    """How often, by how many, and the sum of the values."""
    events = [event("order", "ada", 10.5), event("order", "ada", 2), event("order", "bob"), event("visit", "bob")]
    await application.reports(events=events)
    assert (await stage.got(production(stage, "outcomes")))["items"] == [
        {"name": "order", "count": 3, "subjects": 2, "total": 12.5},
        {"name": "visit", "count": 1, "subjects": 1, "total": None},
    ]


async def say(reporter: Application, name: str, **labels: Any) -> None:
    document = batch(name)
    document["instance"].update(labels)
    reply = await reporter.client.post(PATH, json=document)
    assert reply.status_code == 202, reply.text


async def test_propagation_names_who_lags_behind(stage: Stage, application: Application) -> None:
    """Instances of the newest revision, how long the slowest took, and the others by name."""
    before = (await stage.got(f"{stage.environments}/production"))["revision"]
    for name in ("web-1", "web-2", "web-3"):
        await say(application, name, application="shop-web", revision=before)
    await stage.admin.post(f"{stage.flag('new-checkout', 'production')}/disable")
    environment = await stage.got(f"{stage.environments}/production")
    published = datetime.fromisoformat(environment["published_at"])
    for name, seconds in (("web-1", 0.5), ("web-2", 3)):
        reached = text_of(published + timedelta(seconds=seconds))
        await say(application, name, application="shop-web", revision=environment["revision"], since=reached)
    await say(
        application, "late-comer", revision=environment["revision"], since=text_of(published + timedelta(hours=1))
    )

    view = await stage.got(production(stage, "propagation"))
    assert (view["revision"], view["instances"], view["current"]) == (environment["revision"], 4, 3)
    assert view["slowest_s"] == 3.0
    assert [(one["instance"], one["revision"]) for one in view["laggards"]] == [("web-3", before)]


async def test_builds_that_run_are_listed(stage: Stage, application: Application) -> None:
    """Each build once, with its live instances."""
    for name, build in (("web-1", "sha256:a"), ("web-2", "sha256:a"), ("web-3", "sha256:b")):
        await say(application, name, application="shop-web", version="4.2.0", build=build)
    items = (await stage.got(production(stage, "builds")))["items"]
    assert {(one["build"], one["instances"]) for one in items} == {("sha256:a", 2), ("sha256:b", 1)}


async def test_unused_and_unknown_flags(stage: Stage, application: Application) -> None:
    """What nobody asked for lately is unused; what is asked for and is no live flag is unknown."""
    ten_days_ago = datetime.now(UTC) - timedelta(days=10)
    counts = [count(1), count(1, flag="gift-cards", minute=ten_days_ago), count(4, flag="old-search")]
    await application.reports(counts=counts)
    view = await stage.got(production(stage, "coverage"))
    unused = {one["flag"]: one["last_evaluated_at"] for one in view["unused"]}
    assert "new-checkout" not in unused
    assert unused["gift-cards"] == text_of(ten_days_ago.replace(second=0, microsecond=0))
    assert unused["express-delivery"] is None
    assert [(one["flag"], one["evaluations"]) for one in view["unknown"]] == [("old-search", 4)]
