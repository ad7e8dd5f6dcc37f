"""Two at the same moment, over and over, on a real PostgreSQL: never more than one is let through."""

import asyncio
import os
from typing import Any, Final

import pytest
from tests.api.permits.conftest import Permitting, codes_of
from tests.api.releases.conftest import done

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPETITIONS: Final = int(os.environ.get("GREENROOM_RACES", "200"))


@pytest.mark.timeout(300)
async def test_of_two_permits_at_the_same_moment_one_is_issued(permitting: Permitting) -> None:
    """With concurrency 1 the other waits for it (`busy`), whichever was quicker; the third comes after both."""
    await permitting.ready()
    for number in range(REPETITIONS):
        replies = await asyncio.gather(permitting.ask(1), permitting.ask(1))
        assert sorted(reply.status_code for reply in replies) == [200, 201], number
        (waits,) = (reply.json() for reply in replies if reply.status_code == 200)
        (allowed,) = (reply.json() for reply in replies if reply.status_code == 201)
        assert (waits["decision"]["decision"], codes_of(waits)) == ("wait", {"busy"}), number
        ended = await permitting.pipeline.post(f"{permitting.permits}/{allowed['permit']['id']}/release", json={})
        assert ended.status_code == 200, number


@pytest.mark.timeout(300)
async def test_a_permit_is_used_once_or_given_back(permitting: Permitting) -> None:
    """Two uses and a release of one permit race: one use at most, and in the end it is over."""
    await permitting.ready()
    for number in range(REPETITIONS // 4):
        permit = await permitting.issued()
        path = f"{permitting.permits}/{permit['id']}"
        used, again, released = await asyncio.gather(
            permitting.use(permit), permitting.use(permit), permitting.pipeline.post(f"{path}/release", json={})
        )
        assert [used.status_code, again.status_code].count(200) <= 1, number
        assert released.status_code == 200, number
        assert (await permitting.read(permit))["state"] == "released", number


@pytest.mark.timeout(300)
async def test_two_deployments_at_the_same_moment_have_one_permit(permitting: Permitting) -> None:
    """One is let through by it, the other is unsanctioned."""
    await permitting.ready()
    for number in range(REPETITIONS // 10):
        await permitting.issued()
        started: list[Any] = await asyncio.gather(permitting.started(), permitting.started())
        assert sorted(one["sanction"] for one in started) == ["permit", "unsanctioned"], number
        for one in started:
            await permitting.told(one, "finish")
        page = done(await permitting.pipeline.get(f"{permitting.project}/obstacles", params={"open": "true"}))
        for obstacle in page["items"]:
            closing = f"{permitting.project}/obstacles/{obstacle['id']}/close"
            done(await permitting.releases.admin.post(closing, json={}))
