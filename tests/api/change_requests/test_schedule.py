"""Change requests that have a moment: applied then if everything holds, else held, and somebody is told."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from tests.api.change_requests.conftest import ANY, ENABLE, LIT, Eyes, done, refused
from tests.api.contract.client import ContractClient
from tests.api.store import database, statement

from greenroom_server.change_requests.service_schedule import take_turns

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Far off, so that the server's own look, which goes by the real clock, never finds anything due.
MOMENT: Final = datetime(2999, 1, 1, 9, tzinfo=UTC)
IN_TIME: Final = MOMENT + timedelta(seconds=1)


async def looked(eyes: Eyes, now: datetime = IN_TIME, *, servers: int = 1) -> None:
    """So many servers look at this moment, at once."""
    async with database(eyes.stage.url) as store:
        await asyncio.gather(*(take_turns(store, now) for _ in range(servers)))


async def scheduled(eyes: Eyes, by: ContractClient | None = None, **settings: Any) -> str:
    """A request that is agreed to and has its moment, where approvals hold for a thousand years."""
    await eyes.asks_for(required=1, expires_after="3660d", **settings)
    path = await eyes.asked()
    client = by or eyes.bo
    done(await client.post(f"{path}/schedule", json={"apply_at": MOMENT.isoformat()}))
    return path


async def agreed_at(eyes: Eyes, path: str) -> None:
    """Ada agrees, a day before the moment."""
    done(await eyes.approve(path))
    number = path.rpartition("/")[2]
    await statement(
        eyes.stage.url,
        "UPDATE change_request_word SET at = '2998-12-31T09:00:00Z' WHERE change_request_id IN (SELECT r.id FROM"
        f" change_request r JOIN project p ON p.id = r.project_id WHERE p.key = '{eyes.stage.key}'"
        f" AND r.number = {number})",
    )


async def test_it_is_applied_at_its_moment_and_once(eyes: Eyes) -> None:
    """Not a moment earlier; by whichever of the servers looks first; by the right of who said when."""
    path = await scheduled(eyes)
    await agreed_at(eyes, path)

    await looked(eyes, MOMENT - timedelta(milliseconds=1))
    assert (await eyes.state(path), (await eyes.serves())["enabled"]) == ("approved", False)
    before = (await eyes.serves())["version"]
    await looked(eyes, servers=3)

    applied = await eyes.read(path)
    assert applied["state"] == "applied"
    assert (await eyes.serves())["version"] == before + 1
    assert len(await eyes.events("change_request.applied")) == len(await eyes.events("flag.enable")) == 1


async def held(eyes: Eyes, path: str, code: str) -> None:
    """It was not applied, says why, and is not tried again."""
    await looked(eyes, servers=2)
    await looked(eyes)
    found = await eyes.read(path)
    assert found["held"]["code"] == code, found["held"]
    assert (found["apply_at"], (await eyes.serves())["enabled"]) == (None, False)
    assert len(await eyes.events("change_request.held")) == 1


async def test_it_waits_for_nobody_who_did_not_agree(eyes: Eyes) -> None:
    """Without enough approvals nothing happens at its moment."""
    await held(eyes, await scheduled(eyes), "change_request_not_approved")


async def test_it_is_not_applied_once_others_settings_stand(eyes: Eyes) -> None:
    """Not even if the environment asks for nobody any more: it was agreed under another rule."""
    path = await scheduled(eyes)
    await agreed_at(eyes, path)
    await eyes.asks_for(required=0)
    await held(eyes, path, "approval_settings_changed")


async def test_it_is_not_applied_by_a_right_that_is_gone(eyes: Eyes) -> None:
    """Whoever said when must still be there, and still be allowed to."""
    other = await eyes.person()
    path = await scheduled(eyes, other)
    await agreed_at(eyes, path)
    token = (await other.get("/api/v1/whoami")).json()["token_id"]
    done(await eyes.admin.delete(f"/api/v1/tokens/{token}"))
    await held(eyes, path, "unauthenticated")


async def test_who_could_not_do_it_cannot_schedule_it(eyes: Eyes) -> None:
    """A moment is somebody's right to change what production serves, used later."""
    path = await eyes.asked()
    schedule = {"apply_at": MOMENT.isoformat()}
    refused(await eyes.author.post(f"{path}/schedule", json=schedule), 403, "forbidden")
    body = {"title": "later", "changes": [ENABLE], **schedule}
    refused(await eyes.author.post(eyes.requests, json=body), 403, "forbidden")
    past = {"apply_at": "2020-01-01T00:00:00Z"}
    refused(await eyes.bo.post(f"{path}/schedule", json=past), 400, "invalid")


async def test_what_was_missed_is_not_caught_up_with(eyes: Eyes) -> None:
    """If no server was there, it is told and not done hours later."""
    path = await scheduled(eyes)
    await agreed_at(eyes, path)
    await looked(eyes, MOMENT + timedelta(minutes=15, milliseconds=1))
    assert (await eyes.read(path))["held"]["code"] == "schedule_missed"
    assert not (await eyes.serves())["enabled"]


async def test_what_moved_meanwhile_conflicts(eyes: Eyes) -> None:
    """What it was written for is looked at again at its moment."""
    path = await scheduled(eyes)
    await agreed_at(eyes, path)
    await eyes.stage.patched(eyes.stage.flag("express-delivery", "production"), {"fallthrough": {"variant": "off"}})

    await looked(eyes)

    assert await eyes.state(path) == "conflicted"
    assert len(await eyes.events("change_request.conflicted")) == 1


async def test_nobody_takes_it_for_long(eyes: Eyes) -> None:
    """It expires when it has waited as long as an approval holds; an edit brings it back."""
    path = await eyes.asked({"op": "disable", "flag": LIT})
    expires = datetime.fromisoformat((await eyes.read(path))["expires_at"])

    await looked(eyes, expires - timedelta(milliseconds=1))
    assert await eyes.events("change_request.expired") == []
    await looked(eyes, expires, servers=2)

    assert len(await eyes.events("change_request.expired")) == 1
    refused(await eyes.approve(path), 409, "change_request_stale")
    assert done(await eyes.author.patch(path, json={}, headers=ANY))["state"] == "open"
