"""Who was served what, one by one, and who may see that."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.exposures.batches import days_ago, exposure, new_id, text_of
from tests.api.exposures.conftest import Application
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


def path(stage: Stage, environment: str = "production") -> str:
    return f"{stage.environments}/{environment}/exposures"


def served(minutes_ago: float, subject: str, **members: Any) -> dict[str, Any]:
    """Somebody was served something so long ago."""
    return exposure(subject, at=days_ago(0) - timedelta(minutes=minutes_ago), **members)


async def subjects(stage: Stage, **query: Any) -> list[str]:
    return [one["targeting_key"] for one in (await stage.got(path(stage), **query))["items"]]


async def test_the_newest_come_in_the_order_of_time(stage: Stage, application: Application) -> None:
    """Without `after` these are the last of an hour, however they arrived, with all that was reported of each."""
    rows = [served(1, "cleo", variant="off"), served(3, "ada"), served(2, "bob"), served(90, "dora")]
    await application.reports(exposures=rows)

    assert await subjects(stage) == ["ada", "bob", "cleo"]
    assert await subjects(stage, limit=2) == ["bob", "cleo"]
    assert await subjects(stage, since=text_of(days_ago(1))) == ["dora", "ada", "bob", "cleo"]
    (last,) = (await stage.got(path(stage), limit=1))["items"]
    assert last == {**rows[0], "at": last["at"]}


async def test_what_follows_an_id(stage: Stage, application: Application) -> None:
    """With `after` these are the first that follow, so that a long silence is read to its end."""
    rows = [served(minutes, name) for minutes, name in ((9, "ada"), (8, "bob"), (7, "cleo"), (6, "dora"))]
    await application.reports(exposures=rows)

    assert await subjects(stage, after=rows[0]["id"], limit=2) == ["bob", "cleo"]
    assert await subjects(stage, after=rows[2]["id"]) == ["dora"]
    assert await subjects(stage, after=rows[3]["id"]) == []


async def test_one_flag_alone(stage: Stage, application: Application) -> None:
    """Whether there is such a flag does not matter: applications may ask for what is none."""
    await application.reports(exposures=[served(1, "ada"), served(1, "bob", flag="no-such-flag")])

    assert await subjects(stage, flag="no-such-flag") == ["bob"]
    assert await subjects(stage, flag="gift-cards") == []


async def test_another_environment_is_another_list(stage: Stage, application: Application) -> None:
    """What production served is not what staging served."""
    await application.reports(exposures=[served(1, "ada")])

    assert (await stage.got(path(stage, "staging")))["items"] == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"after": "yesterday"}, "after"),
        ({"after": new_id().upper()}, "after"),
        ({"after": new_id(), "since": "2026-11-01T00:00:00Z"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"limit": "201"}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ],
)
async def test_a_wrong_question_is_refused(stage: Stage, query: dict[str, str], named: str) -> None:
    """The problem names the parameter."""
    reply = await stage.admin.get(path(stage), params=query)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, named)


@pytest.mark.parametrize(
    ("kind", "environment", "status"),
    [
        ("manager", "production", 200),
        ("developer", "production", 403),
        ("developer", "staging", 200),
        ("pipeline", "staging", 403),
    ],
)
async def test_who_may_see_people(stage: Stage, kind: str, environment: str, status: int) -> None:
    """Developers see whom their stages served, and only the business whom production did."""
    client = await stage.bearing(kind)
    reply = await client.get(path(stage, environment))

    assert reply.status_code == status
    if status == 403:
        lacking = "production.subjects" if kind == "developer" else "exposures.read"
        assert f"`{lacking}`" in reply.json()["detail"]


async def test_an_erased_subject_is_not_listed(stage: Stage, application: Application) -> None:
    """Erasing reaches this list too."""
    await application.reports(exposures=[served(1, "ada"), served(1, "bob")])
    await stage.admin.post(f"{stage.project}/subjects/erase", json={"targeting_key": "ada"})

    assert await subjects(stage) == ["bob"]
