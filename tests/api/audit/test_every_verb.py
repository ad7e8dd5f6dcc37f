"""Every write leaves exactly one event in its chain; a dry run and a change of nothing leave no trace at all."""

from typing import Any

import pytest
from tests.api.contract.client import ContractClient
from tests.api.stage import Stage
from tests.api.store import contents, database, notifications
from tests.api.verbs import VERBS, Verb

from greenroom_server.audit import service as audit
from greenroom_server.flags.routes_flags import ROUTES as FLAG_ROUTES
from greenroom_server.flags.routes_projects import ROUTES as PROJECT_ROUTES
from greenroom_server.flags.routes_segments import ROUTES as SEGMENT_ROUTES

pytestmark = pytest.mark.asyncio(loop_scope="session")

all_verbs = pytest.mark.parametrize("verb", VERBS, ids=str)
repeatable = [verb for verb in VERBS if verb.method != "DELETE" and not verb.creates]


async def events(admin: ContractClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await admin.get("/api/v1/audit?limit=200")).json()["items"]
    return items


async def test_no_verb_is_missing() -> None:
    """The verbs tested here are all that the route table knows."""
    writes = [route for route in (*PROJECT_ROUTES, *FLAG_ROUTES, *SEGMENT_ROUTES) if route.writes]

    assert len(writes) + 2 == len(VERBS)  # and two on tokens


@all_verbs
async def test_one_event(verb: Verb, stage: Stage) -> None:
    """One event more, of this action, in the right chain, and every chain still holds."""
    await verb.prepare(stage)
    before = await events(stage.admin)

    reply = await verb.do(stage)

    assert reply.is_success, reply.text
    after = await events(stage.admin)
    assert after[1:] == before[: len(after) - 1]
    assert (after[0]["action"], after[0]["project"]) == (verb.action, verb.chain_of(stage))
    assert after[0]["changes"] != []
    async with database(stage.url) as opened, opened.reading() as session:
        assert await audit.verify(session, verb.chain_of(stage) or "") is None


@all_verbs
async def test_dry_run_leaves_no_trace(verb: Verb, stage: Stage) -> None:
    """It tells the changes, writes no row anywhere and announces nothing; then the real thing does just that."""
    await verb.prepare(stage)
    before = await contents(stage.url)

    async with notifications(stage.url) as heard:
        reply = await verb.do(stage, dry_run=True)

    assert (reply.status_code, reply.json()["dry_run"]) == (200, True)
    assert reply.json()["changes"] != []
    assert heard == []
    assert await contents(stage.url) == before
    assert (await verb.do(stage)).is_success
    done = (await events(stage.admin))[0]["changes"]
    assert [change["path"] for change in done] == [change["path"] for change in reply.json()["changes"]]


@pytest.mark.parametrize("verb", repeatable, ids=str)
async def test_doing_it_again_changes_nothing(verb: Verb, stage: Stage) -> None:
    """No event, no version, no revision and no announcement, though the answer is as good."""
    await verb.prepare(stage)
    assert (await verb.do(stage)).is_success
    before = await contents(stage.url)

    async with notifications(stage.url) as heard:
        reply = await verb.do(stage)

    assert reply.is_success, reply.text
    assert heard == []
    assert await contents(stage.url) == before
