"""Waiting until a decision may be another one."""

import asyncio
from typing import Any

import pytest
from tests.api.decisions.conftest import Deciding
from tests.api.releases.conftest import done

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _news(deciding: Deciding, decision: dict[str, Any], wait_s: int = 30) -> dict[str, Any]:
    return done(await deciding.pipeline.get(f"{deciding.decisions}/{decision['id']}/news", params={"wait": wait_s}))


async def test_a_new_fact_ends_the_wait(deciding: Deciding) -> None:
    """Evidence that comes in while somebody waits is news, long before the time is up."""
    await deciding.ruled_by()
    await deciding.releases.built(1)
    decision = await deciding.asked()

    waiting = asyncio.create_task(_news(deciding, decision))
    await deciding.releases.checked(1, suite="unit", counts={"total": 1, "passed": 1})
    news = await asyncio.wait_for(waiting, 20)

    assert news["changed"] is True
    assert news["seq"] > decision["as_of"]["seq"]


async def test_a_changed_flag_and_another_policy_are_news_too(deciding: Deciding) -> None:
    """What was decided by other flags or another policy is worth asking again."""
    await deciding.ruled_by()
    first = await deciding.asked()
    done(await deciding.releases.admin.post(f"{deciding.project}/environments/production/flags/gift-cards/enable"))
    second = await deciding.asked()
    await deciding.ruled_by({"id": "veto", "kind": "veto", "actions": ["deploy"]})

    assert (await _news(deciding, first))["changed"] is True
    assert (await _news(deciding, second))["changed"] is True


async def test_without_news_the_answer_comes_when_the_time_is_up(deciding: Deciding) -> None:
    """Nothing happened: the answer says so."""
    await deciding.ruled_by()
    decision = await deciding.asked()

    assert await _news(deciding, decision, 1) == {"changed": False, "seq": decision["as_of"]["seq"]}


async def test_many_wait_at_once(deciding: Deciding) -> None:
    """A hundred who wait are told together, and hold no connection meanwhile."""
    await deciding.ruled_by()
    decision = await deciding.asked()

    waiting = [asyncio.create_task(_news(deciding, decision)) for _ in range(100)]
    await deciding.releases.said("obstacles", {"text": "news"})
    news = await asyncio.wait_for(asyncio.gather(*waiting), 60)

    assert {one["changed"] for one in news} == {True}


@pytest.mark.parametrize("wait", ["0", "61", "soon", "-1", "1.5"])
async def test_a_wait_out_of_bounds_is_refused(deciding: Deciding, wait: str) -> None:
    """From 1 to 60 seconds, whole ones."""
    decision = await deciding.asked()

    refused = await deciding.pipeline.get(f"{deciding.decisions}/{decision['id']}/news", params={"wait": wait})

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "wait"
