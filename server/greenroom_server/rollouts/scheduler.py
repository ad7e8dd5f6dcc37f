"""Moves releases when their time comes: a task in every server process. All servers share the work.

Each move is one transaction that starts from the version of the release that was looked at, so a move happens once,
whichever servers try, die or sleep in between; what a killed server left undone, another one does at its next look.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.access.principal import Principal
from greenroom_server.database.engine import Database
from greenroom_server.errors import GreenroomError, ReleaseRefused, Unavailable
from greenroom_server.flags.work import Work
from greenroom_server.policy.zones import read_moment, zone_of
from greenroom_server.rollouts import plan as planning
from greenroom_server.rollouts.guardrail_reader import GuardrailReader
from greenroom_server.rollouts.listening import Listener
from greenroom_server.rollouts.plan import ACTIVE, Darken, Finish, Heard, Hold, Recover, Rest, StepBack, Take, Trouble
from greenroom_server.rollouts.schedule import instant_of
from greenroom_server.rollouts.service_scope import Fenced, Release, find_release, store_time
from greenroom_server.rollouts.service_serving import conflicts_of, trouble_of
from greenroom_server.rollouts.service_steps import Why, finish, go_dark, hold, recover, step_back, take_step, wait
from greenroom_server.rollouts.tables import ReleaseRow

log = structlog.get_logger(__name__)

Done = Literal["nothing", "moved", "fenced"]

_PERMISSIONS: Final = frozenset({"configurations.write", "production.write", "flags.read", "releases.read"})
_NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Schedule(Principal):
    """The server itself, doing what somebody (`person`) started; the log names it so."""

    @property
    def actor(self) -> str:
        return "greenroom:releases"


@dataclass(frozen=True, slots=True)
class Look:
    """A release that something is to be done with, as it was at this version, and what was heard then."""

    release_id: UUID
    version: int
    heard: Heard


class Scheduler:
    """`tick` looks at all releases and moves those that are due, one step each at most.

    `look` and `act` are its two halves: between them no session is held, and the release may move away.
    """

    def __init__(
        self, database: Database, reader: GuardrailReader, *, on_moved: Callable[[], None] = lambda: None
    ) -> None:
        self.listener = Listener(reader)
        self._database = database
        self._on_moved = on_moved

    async def run(self, interval_s: float) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.tick()
            except GreenroomError as error:
                log.debug("releases wait for the database", reason=error.detail)
            except Exception:
                log.exception("the look at the releases failed")
            await asyncio.sleep(interval_s)

    async def tick(self) -> int:
        """How many releases were moved."""
        async with self._database.reading() as session:
            query = select(col(ReleaseRow.id)).where(col(ReleaseRow.state).in_(ACTIVE)).order_by(col(ReleaseRow.id))
            ids = list(await session.scalars(query))
        moved = 0
        for release_id in ids:
            look = await self.look(release_id)
            if look is not None:
                moved += await self.act(look) == "moved"
        return moved

    async def look(self, release_id: UUID) -> Look | None:
        """Whether there is something to be done with it now."""
        async with self._database.reading() as session:
            release = await find_release(session, release_id)
            if release is None:
                return None
            work = await _work(session, release)
            trouble = trouble_of(await conflicts_of(work, release))
            heard = replace(await self.listener.hear(session, release, work.now), trouble=trouble)
            move = planning.next_move(release.plan, release.at, instant_of(work.now) or 0, heard)
            return None if isinstance(move, Rest) else Look(release_id, release.row.version, heard)

    async def act(self, look: Look) -> Done:
        """Do it, if the release is still where it was looked at. What stands in the way of a step holds it."""
        try:
            done = await self._try(look)
        except Fenced:
            done = "fenced"
        except Unavailable:
            raise
        except ReleaseRefused as refused:
            done = await self._settle(look, Trouble(refused.code, refused.detail), refused.decision)
        except GreenroomError as error:
            done = await self._settle(look, Trouble(error.code, error.detail))
        except Exception:
            log.exception("a release could not be moved", release=str(look.release_id))
            done = await self._settle(look, Trouble("internal", "the server failed to take this step: see its log"))
        if done == "moved":
            self._on_moved()
        return done

    async def _try(self, look: Look) -> Done:
        async with self._database.transaction() as session:
            release = await find_release(session, look.release_id, version=look.version)
            if release is None:
                return "fenced"
            work = await _work(session, release)
            match planning.next_move(release.plan, release.at, instant_of(work.now) or 0, look.heard):
                case Rest():
                    return "nothing"
                case Take(step):
                    await take_step(work, release, step, Why())
                case Finish():
                    await finish(work, release, Why())
                case Hold(trouble):
                    await hold(work, release, trouble)
                case Recover():
                    await recover(work, release)
                case StepBack(trouble):
                    await step_back(work, release, trouble)
                case Darken(trouble):
                    await go_dark(work, release, trouble)
        return "moved"

    async def _settle(self, look: Look, trouble: Trouble, decision: Mapping[str, Any] | None = None) -> Done:
        """The step did not happen: hold, or wait for the moment at which time alone opens the way."""
        async with self._database.transaction() as session:
            release = await find_release(session, look.release_id, version=look.version)
            if release is None:
                return "fenced"
            work = await _work(session, release)
            until = _opens_at(release, decision)
            if until is None:
                await hold(work, release, trouble, decision)
            else:
                await wait(work, release, trouble, decision, until)
        return "moved"


def _opens_at(release: Release, decision: Mapping[str, Any] | None) -> int | None:
    """When to ask again, where the plan waits and the policy says that it is a matter of time alone."""
    if decision is None or decision["decision"] != "wait" or not release.plan.waits_in_freeze:
        return None
    retry_at = decision["retry_at"]
    return None if retry_at is None else read_moment(retry_at, zone_of("UTC"))


async def _work(session: AsyncSession, release: Release) -> Work:
    person = release.row.starter or release.row.author
    schedule = Schedule(_NOBODY, f"release {release.row.key}", "greenroom", _PERMISSIONS, person=person)
    return Work(session, schedule, await store_time(session))
