"""The numbers of facts: without a gap, in the order of the commits, whoever writes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text
from tests.api.releases.conftest import Releases, commit_of, digest_of, done, evidence_of, moments_ago
from tests.api.store import database

pytestmark = pytest.mark.asyncio(loop_scope="session")

_WRITERS: Final = 16
_NUMBERS: Final = text("""
SELECT seq FROM fact JOIN project ON project.id = project_id WHERE project.key = :key
UNION ALL SELECT seq FROM evidence JOIN project ON project.id = project_id WHERE project.key = :key
UNION ALL SELECT build.seq FROM build JOIN service ON service.id = service_id
    JOIN project ON project.id = project_id WHERE project.key = :key
UNION ALL SELECT unnest(ARRAY[deployment.seq, ended_seq]) FROM deployment JOIN service ON service.id = service_id
    JOIN project ON project.id = project_id WHERE project.key = :key
""")


async def test_numbers_have_no_gaps_under_sixteen_writers(releases: Releases) -> None:
    """Evidence, facts, builds and deployments at once, refusals among them: every number is there, and none twice."""
    finished_at, earlier = moments_ago(minutes=1), moments_ago(minutes=9)

    async def write(number: int) -> None:
        post = releases.pipeline.post
        await insisted(lambda: post(releases.evidence, json=evidence_of(number, finished_at=finished_at)))
        await insisted(lambda: post(releases.evidence, json=evidence_of(number, finished_at=earlier)))
        await insisted(lambda: post(f"{releases.project}/obstacles", json={"text": f"number {number}"}))
        await insisted(lambda: post(f"{releases.builds}?dry_run=true", json=_build(number)))
        await insisted(lambda: post(releases.builds, json=_build(number)))
        deployment = {"digest": digest_of(number), "environment": "staging", "slot": f"slot-{number}"}
        started = await insisted(lambda: post(releases.deployments, json=deployment))
        await insisted(lambda: post(f"{releases.project}/deployments/{started.json()['id']}/finish", json={}))

    await asyncio.gather(*(write(number) for number in range(1, _WRITERS + 1)))

    async with database(releases.stage.url) as opened, opened.reading() as session:
        found = sorted((await session.scalars(_NUMBERS, {"key": releases.stage.key})).all())
    settings = done(await releases.admin.get(f"{releases.project}/release-settings"))
    assert found == list(range(1, len(found) + 1))
    assert (settings["seq"], len(found)) == (len(found), _WRITERS * 5)


async def test_whoever_sees_a_number_sees_all_before_it(releases: Releases) -> None:
    """A reader beside the writers never finds a number whose predecessor comes later."""
    is_over = False

    async def read() -> int:
        reads = 0
        while not is_over:
            reply = await insisted(lambda: releases.admin.get(f"{releases.project}/obstacles"))
            found = [one["seq"] for one in done(reply)["items"]]
            assert found == list(range(len(found), 0, -1))
            reads += 1
        return reads

    reader = asyncio.create_task(read())
    path = f"{releases.project}/obstacles"

    async def write(number: int) -> None:
        await insisted(lambda: releases.admin.post(path, json={"text": str(number)}))

    await asyncio.gather(*(write(number) for number in range(_WRITERS)))
    is_over = True

    assert await reader > 0


async def test_facts_do_not_wait_for_the_writers_of_flags(releases: Releases) -> None:
    """While somebody holds the project's row, as writers of flags do, evidence is taken all the same."""
    await releases.checked(1)
    held = text("SELECT 1 FROM project WHERE key = :key FOR UPDATE")
    async with database(releases.stage.url) as opened, opened.transaction(dry_run=True) as session:
        await session.execute(held, {"key": releases.stage.key})

        await asyncio.wait_for(releases.checked(2), timeout=5)


async def insisted(send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The answer to a request that is sent again for as long as all connections to the store are busy."""
    while (reply := await send()).status_code == 503:
        pass
    return reply


def _build(number: int) -> dict[str, Any]:
    return {"digests": [digest_of(number)], "commit": commit_of(number)}
