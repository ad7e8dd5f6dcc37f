"""Approvals, edits and applications at once, in transactions of their own on the real store.

`GREENROOM_RACES` is how often the first race is run: 200 times, if left out; 1,000 for a thorough look.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy import text
from tests.api.change_requests.conftest import DARK, Eyes, done
from tests.api.store import database

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.change_requests.service_applying import Application, apply_request
from greenroom_server.change_requests.service_reading import Path
from greenroom_server.change_requests.service_requests import edit_request, open_request
from greenroom_server.change_requests.service_words import approve_request, retract_word
from greenroom_server.change_requests.wire import ApproveIn, ChangeRequestIn, ChangeRequestOut
from greenroom_server.database.engine import Database
from greenroom_server.errors import GreenroomError
from greenroom_server.flags.work import Work
from greenroom_server.web.conditional import IfMatch

pytestmark = pytest.mark.asyncio(loop_scope="session")

RACES: Final = int(os.environ.get("GREENROOM_RACES", "200"))
ANY: Final = IfMatch(())


class Ring:
    """A store of its own beside the server's, and who meets there."""

    def __init__(self, store: Database, key: str) -> None:
        self.store = store
        self.key = key
        self.author, self.approver, self.applier = (_manager(name) for name in ("an@x", "bo@x", "cy@x"))

    async def run(self, who: Principal, act: Callable[[Work], Awaitable[Any]]) -> Any:
        """What came of it, or the error with which it was refused."""
        try:
            async with self.store.transaction() as session:
                return await act(Work(session, who, datetime.now(UTC), ANY))
        except GreenroomError as error:
            return error

    async def asked(self, percent: float) -> ChangeRequestOut:
        wanted = ChangeRequestIn.model_validate({"title": "race", "changes": [rollout(percent)]})
        outcome = await self.run(self.author, lambda work: open_request(work, self.key, "production", wanted))
        made: ChangeRequestOut = outcome.result
        return made

    def approve(self, path: Path, content: str) -> Awaitable[Any]:
        return self.run(self.approver, lambda work: approve_request(work, path, ApproveIn(hash=content)))

    def edit(self, path: Path, percent: float) -> Awaitable[Any]:
        return self.run(self.author, lambda work: edit_request(work, path, {"changes": [rollout(percent)]}))

    def retract(self, path: Path) -> Awaitable[Any]:
        return self.run(self.approver, lambda work: retract_word(work, path, ""))

    def apply(self, path: Path) -> Awaitable[Any]:
        return self.run(self.applier, lambda work: apply_request(work, path))

    def path(self, made: ChangeRequestOut) -> Path:
        return self.key, "production", str(made.number)

    async def all(self, sql: str) -> list[Any]:
        async with self.store.reading() as session:
            return list(await session.execute(text(sql), {"key": self.key}))


def rollout(percent: float) -> dict[str, Any]:
    return {"op": "rollout", "flag": DARK, "rollout": {"percent": percent, "enable": True}}


def _manager(name: str) -> Principal:
    return Principal(uuid4(), name, "manager", PERMISSIONS["manager"], person=name)


def is_applied(outcome: Any) -> bool:
    """Whether this very call applied it."""
    return isinstance(outcome, Application) and outcome.refusal is None and bool(outcome.outcome.changes)


UNAPPROVED: Final = """
SELECT r.number FROM change_request r JOIN project p ON p.id = r.project_id
WHERE p.key = :key AND r.state = 'applied' AND NOT EXISTS (
    SELECT FROM change_request_word w WHERE w.change_request_id = r.id AND w.verdict = 'approve' AND w.hash = r.hash
    AND w.who <> ALL (r.editors) AND w.retracted_at IS NULL)
"""
APPLIED: Final = """
SELECT r.number, r.changes FROM change_request r JOIN project p ON p.id = r.project_id
WHERE p.key = :key AND r.state = 'applied' ORDER BY r.number
"""


@pytest.mark.slow
@pytest.mark.timeout(120 + RACES)
async def test_an_edit_races_with_approval_and_application(eyes: Eyes) -> None:
    """Nothing is ever applied that nobody agreed to, however an edit falls between approval and application."""
    percents = []
    async with database(eyes.stage.url) as store:
        ring = Ring(store, eyes.stage.key)
        for number in range(RACES):
            made = await ring.asked(10 + number % 40)
            path = ring.path(made)
            acts = [ring.approve(path, made.hash), ring.edit(path, 50 + number % 40), ring.apply(path)]
            turn = number % 3
            outcomes = await asyncio.gather(*acts[turn:], *acts[:turn], ring.apply(path))
            if any(map(is_applied, outcomes)):
                percents.append(10 + number % 40)
        assert await ring.all(UNAPPROVED) == []
        applied = await ring.all(APPLIED)
    # The content that was approved is the one that was opened: an edit's was never agreed to.
    assert [row.changes[0]["rollout"]["percent"] for row in applied] == percents


async def test_two_apply_at_once(eyes: Eyes) -> None:
    """One of them does, and the other finds it done; the flag is changed once."""
    async with database(eyes.stage.url) as store:
        ring = Ring(store, eyes.stage.key)
        for number in range(max(1, RACES // 10)):
            made = await ring.asked(1 + number % 90)
            path = ring.path(made)
            await ring.approve(path, made.hash)
            before = (await eyes.serves())["version"]
            outcomes = await asyncio.gather(*(ring.apply(path) for _ in range(4)))
            assert sorted(map(is_applied, outcomes)) == [False, False, False, True], outcomes
            assert (await eyes.serves())["version"] == before + 1


async def test_taking_back_races_with_application(eyes: Eyes) -> None:
    """An approval that was taken back before it was applied is none."""
    async with database(eyes.stage.url) as store:
        ring = Ring(store, eyes.stage.key)
        for number in range(max(1, RACES // 10)):
            made = await ring.asked(1 + number % 90)
            path = ring.path(made)
            await ring.approve(path, made.hash)
            taken_back, applied = await asyncio.gather(ring.retract(path), ring.apply(path))
            # Who comes second is refused: it is over, or not approved.
            assert isinstance(taken_back, GreenroomError) is is_applied(applied)
        assert await ring.all(UNAPPROVED) == []


@pytest.mark.parametrize(("late", "is_enough"), [(timedelta(milliseconds=-1), True), (timedelta(0), False)])
async def test_an_approval_ends_at_its_instant(eyes: Eyes, late: timedelta, is_enough: bool) -> None:
    """Until three days have passed it counts, and from that instant on no more; the request is expired then."""
    path = await eyes.agreed()
    word = (await eyes.read(path))["words"][0]
    at = datetime.fromisoformat(word["at"]) + timedelta(days=3) + late
    name = (eyes.stage.key, "production", path.rpartition("/")[2])

    async with database(eyes.stage.url) as store:
        try:
            async with store.transaction(dry_run=True) as session:
                found: Any = await apply_request(Work(session, _manager("cy@x"), at), name)
        except GreenroomError as error:
            found = error

    assert is_applied(found) is is_enough
    if not is_enough:
        assert (found.code, found.detail) == ("change_request_not_approved", "the change request is expired")
    done(await eyes.admin.post(f"{path}/apply"))
