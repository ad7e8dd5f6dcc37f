"""Change requests as they are read: found by their numbers, judged at this moment, written out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, case, select
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import col

from greenroom_server.change_requests import judging
from greenroom_server.change_requests.content import moved
from greenroom_server.change_requests.gate import requests_path
from greenroom_server.change_requests.judging import Demand, Tally, Word, state_now
from greenroom_server.change_requests.service_bases import bases_of
from greenroom_server.change_requests.service_settings import demand_of, setting_of
from greenroom_server.change_requests.tables import ChangeRequestRow, WordRow
from greenroom_server.change_requests.wire import (
    ChangeIn,
    ChangeRequestOut,
    ChangeRequestSummary,
    HeldOut,
    WantedOut,
    WordOut,
)
from greenroom_server.errors import NotFound
from greenroom_server.flags.service_scope import environments_of, get_environment, get_project
from greenroom_server.flags.work import Work
from greenroom_server.policy.people import People
from greenroom_server.releases.service_people import people_of
from greenroom_server.releases.service_scope import Place

Path = tuple[str, str, str]
"""The keys of a project and an environment, and the number of a change request there."""

_SUMMARY: Final = tuple(ChangeRequestSummary.model_fields)


@dataclass(slots=True)
class Matter:
    """A change request with all that decides on it: where it is, what was said, what is wanted, who is who."""

    project: Any
    environment: Any
    row: ChangeRequestRow
    words: list[WordRow]
    demands: dict[str, Demand]
    setting_version: int
    people: People
    now: datetime

    @property
    def path(self) -> str:
        return request_path(self.project.key, self.environment.key, self.row.number)

    @property
    def tallies(self) -> dict[str, Tally]:
        """By environment: the request's own, and the others that would serve something else."""
        said = [_word(one) for one in self.words if one.retracted_at is None]
        row = self.row
        return {
            key: judging.tally(said, demand, row.hash, row.editors, self.people, self.now)
            for key, demand in self.demands.items()
        }

    @property
    def state(self) -> judging.State:
        return state_now(self.row.state, self.tallies.values(), self.row.expires_at, self.now)

    def main_name(self, name: str) -> str:
        return self.people.person_of(name)


async def get_matter(work: Work, path: Path, *, lock: bool = False, lock_project: bool = False) -> Matter:
    """The request at `path`; with `lock`, nobody else changes it until the transaction ends. Raises `NotFound`.

    INVARIANT: who needs the project's lock takes it first, as every writer of flags does.
    """
    project_key, environment_key, number = path
    project = await get_project(work.session, project_key, lock=lock_project)
    environment = await get_environment(work.session, project, environment_key)
    query = select(ChangeRequestRow).where(
        col(ChangeRequestRow.environment_id) == environment.id, col(ChangeRequestRow.number) == _number(number)
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = (await work.session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound(f"there is no change request `{number}` in `{environment_key}`")
    return await matter_of(work, project, environment, row)


async def matter_of(work: Work, project: Any, environment: Any, row: ChangeRequestRow) -> Matter:
    """The request with what was said, as it is in this transaction."""
    query = select(WordRow).where(col(WordRow.change_request_id) == row.id).order_by(col(WordRow.seq))
    words = list(await work.session.scalars(query.execution_options(populate_existing=True)))
    setting = await setting_of(work.session, environment.id)
    demands = {environment.key: demand_of(setting)}
    for other in await environments_of(work.session, project):
        if other.key in row.environments and other.key not in demands:
            demands[other.key] = demand_of(await setting_of(work.session, other.id))
    people = await people_of(work, Place(project.id, project.key))
    return Matter(project, environment, row, words, demands, setting.version, people, work.now)


async def read_request(work: Work, path: Path) -> ChangeRequestOut:
    return await request_out(work, await get_matter(work, path))


async def page_requests(
    work: Work, place: tuple[str, str], state: str | None, *, before: int | None, limit: int
) -> list[ChangeRequestSummary]:
    """The requests of a place (project, environment), newest first; states as time has made them."""
    project = await get_project(work.session, place[0])
    environment = await get_environment(work.session, project, place[1])
    number, is_now = col(ChangeRequestRow.number), _state_at(work.now)
    query = select(ChangeRequestRow, is_now).where(col(ChangeRequestRow.environment_id) == environment.id)
    if state is not None:
        query = query.where(is_now == state)
    if before is not None:
        query = query.where(number < before)
    rows = await work.session.execute(query.order_by(number.desc()).limit(limit))
    return [_summary(row, environment.key, found) for row, found in rows]


async def conflicts_of(work: Work, matter: Matter) -> list[str]:
    """What the changes were written for and is not so any more."""
    changes = changes_of(matter.row)
    return moved(matter.row.bases, await bases_of(work, matter.project, matter.environment.key, changes))


async def request_out(work: Work, matter: Matter) -> ChangeRequestOut:
    row, tallies, state = matter.row, matter.tallies, matter.state
    conflicts = [] if row.state in judging.OVER else await conflicts_of(work, matter)
    if conflicts and state in judging.WAITING:
        state = "conflicted"
    return ChangeRequestOut(
        **_summary(row, matter.environment.key, state).model_dump(),
        reason=row.reason,
        editors=list(row.editors),
        changes=list(row.changes),
        diff=list(row.diff),
        conflicts=conflicts,
        hash=row.hash,
        wanted=[_wanted(key, matter.demands[key], one) for key, one in tallies.items()],
        against=sorted({who for one in tallies.values() for who in one.against}),
        words=[_word_out(matter, one, tallies.values()) for one in matter.words],
        held=None if row.held is None else _held(row.held),
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        version=row.version,
    )


def changes_of(row: ChangeRequestRow) -> list[ChangeIn]:
    return [ChangeIn.model_validate(one) for one in row.changes]


def request_path(project_key: str, environment_key: str, number: int) -> str:
    return f"{requests_path(project_key, environment_key)}/{number}"


def _state_at(now: datetime) -> ColumnElement[str]:
    """The state as it was found last, moved by time."""
    state = col(ChangeRequestRow.state)
    return case(
        (and_(state.in_(judging.WAITING), col(ChangeRequestRow.expires_at) <= now), "expired"),
        (and_(state == "approved", col(ChangeRequestRow.approved_until) <= now), "open"),
        else_=state,
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0


def _summary(row: ChangeRequestRow, environment: str, state: str) -> ChangeRequestSummary:
    members = {name: getattr(row, name) for name in _SUMMARY if name not in ("environment", "state")}
    return ChangeRequestSummary(**members, environment=environment, state=state)  # type: ignore[arg-type]


def _wanted(key: str, demand: Demand, tally: Tally) -> WantedOut:
    return WantedOut(
        environment=key,
        required=demand.required,
        roles=sorted(demand.roles),
        have=len(tally.approvers),
        until=tally.until,
    )


def _held(held: Mapping[str, Any]) -> HeldOut:
    return HeldOut.model_validate({**held, "at": datetime.fromisoformat(held["at"])})


def _word(row: WordRow) -> Word:
    return Word(row.who, row.verdict, row.hash, frozenset(row.roles), row.at)  # type: ignore[arg-type]


def _word_out(matter: Matter, row: WordRow, tallies: Iterable[Tally]) -> WordOut:
    who = matter.main_name(row.who)
    last: Sequence[WordRow] = [
        one for one in matter.words if matter.main_name(one.who) == who and one.retracted_at is None
    ]
    counted = any(who in (one.approvers if row.verdict == "approve" else one.against) for one in tallies)
    return WordOut(
        **row.model_dump(include={"who", "hash", "roles", "reason", "at", "retracted_at"}),
        verdict=row.verdict,  # type: ignore[arg-type]
        counts=counted and bool(last) and last[-1] is row,
    )
