"""The history of a service in an environment, loaded once, for whoever decides on the past.

Bounded like everything: the oldest of what there is too much of are left out, so a long period of a busy service may
lack facts about its beginning, and what lacks facts is not allowed.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import Record, fetch_all, fetch_one
from greenroom_server.flags.service_history import FlagMoment, HistoryOf, flag_histories
from greenroom_server.flags.service_scope import environments_of, get_project
from greenroom_server.flags.work import Work
from greenroom_server.policy import facts
from greenroom_server.policy.chronicle import Chronicle, PastFlag, Version, in_order
from greenroom_server.releases import chronicle_queries as queries
from greenroom_server.releases.chronicle_deployments import deployment_versions
from greenroom_server.releases.chronicle_rows import (
    build_versions,
    evidence_versions,
    flag_versions,
    said_versions,
    story_versions,
)
from greenroom_server.releases.lineage import Lineage
from greenroom_server.releases.service_scope import Place, get_service
from greenroom_server.releases.snapshot_queries import ANCESTORS, COMMITS, MAX_ANCESTORS
from greenroom_server.releases.times import instant_of

MAX_DEPLOYMENTS: Final = 5_000
MAX_EVIDENCE: Final = 20_000
MAX_SAID: Final = 5_000
BEFORE: Final = timedelta(days=1)  # what happened shortly before the first build may bear on it


@dataclass(frozen=True, slots=True)
class History:
    """All that was told about a service in an environment, as rows; `wanted` are the builds that it was loaded for."""

    project: str
    service: str
    environment: str
    seq: int
    wanted: tuple[str, ...]
    builds: Sequence[Record]
    commits: Mapping[UUID, Sequence[facts.Commit]]
    stories: Sequence[Record]
    work: Sequence[Record]
    evidence: Sequence[Record]
    deployments: Sequence[Record]
    said: Sequence[Record]
    permits: Sequence[Record]
    flags: Sequence[FlagMoment]
    people: Sequence[Record]
    environments: tuple[facts.Environment, ...]


def chronicle_of(history: History) -> Generator[None, None, Chronicle]:
    """The chronicle out of the rows. Yields often: there may be many thousands of them."""
    told: list[Version] = []
    sources = (
        build_versions(history.service, history.builds, history.commits),
        story_versions(history.builds, history.commits, history.stories, history.work),
        evidence_versions(history.evidence),
        deployment_versions(history.service, history.deployments),
        said_versions(history.said),
        flag_versions(map(_past, history.flags)),
    )
    for source in sources:
        for version in source:
            told.append(version)
            yield
    return Chronicle(
        project=history.project,
        service=history.service,
        environment=history.environment,
        versions=in_order(told),
        environments=history.environments,
        aliases={alias: row["person"] for row in history.people for alias in row["aliases"]},
        inactive_people=frozenset(row["person"] for row in history.people if not row["is_active"]),
        permitted_at={str(row["id"]): instant_of(row["at"]) for row in history.permits},
    )


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose history is loaded."""

    project: str
    service: str
    environment: str


@dataclass(frozen=True, slots=True)
class _Asking:
    session: AsyncSession

    async def __call__(self, sql: str, *values: Any) -> list[Record]:
        return await fetch_all(self.session, sql, *values)


async def load_history(work: Work, whose: Whose, *, builds: int, since: datetime | None = None) -> History:
    """What happened since the oldest of the last so many builds, or since a moment where that lies further back.

    Wants a reading transaction. Raises `NotFound` for an unknown project or service.
    """
    project = await get_project(work.session, whose.project)
    place = Place(project.id, project.key)
    service = await get_service(work, place, whose.service)
    ask = _Asking(work.session)
    newest = [row["id"] for row in await ask(queries.NEWEST_BUILDS, service.id, builds)]
    begins = await _beginning(ask, newest, work.now if since is None else since)
    deployments = await ask(queries.DEPLOYMENTS, service.id, begins, MAX_DEPLOYMENTS)
    digests = sorted({row["digest"] for row in deployments})
    was_live = any(_was_live(row, whose.environment, begins) for row in deployments)
    rows, commits = await _builds(ask, service.id, (newest, digests), all_are_new=not was_live)
    wanted = [row for row in rows if row["id"] in set(newest)]
    stories = sorted({story for held in commits.values() for one in held for story in one.stories})
    told = await ask(queries.STORIES, place.project_id, stories)
    ledger = await fetch_one(work.session, queries.LEDGER, place.project_id)
    keys = {flag for row in told for flag in row["body"].get("flags", ())}
    segment = None if ledger is None else ledger["internal_segment"]
    asked = HistoryOf(place.project_id, project.key, whose.environment, keys, stories, begins, segment)
    return History(
        project=project.key,
        service=service.key,
        environment=whose.environment,
        seq=0 if ledger is None else ledger["seq"],
        wanted=tuple(str(row["id"]) for row in wanted),
        builds=rows,
        commits=commits,
        stories=told,
        work=await ask(queries.STORY_WORK, service.id, stories),
        evidence=await _evidence(ask, place, wanted),
        deployments=deployments,
        said=await ask(queries.FACTS, place.project_id, service.key, begins, MAX_SAID),
        permits=await ask(queries.PERMITS, place.project_id, [row["permit"] for row in deployments if row["permit"]]),
        flags=await flag_histories(work.session, asked),
        people=await ask(queries.PEOPLE, place.project_id),
        environments=tuple(_environment(one) for one in await environments_of(work.session, project)),
    )


async def _beginning(ask: "_Asking", newest: Sequence[UUID], since: datetime) -> datetime:
    oldest: list[datetime] = [row["registered_at"] for row in await ask(queries.BUILDS, newest)]
    return min([since, *oldest]) - BEFORE


def _was_live(row: Record, environment: str, at: datetime) -> bool:
    return row["environment"] == environment and any(
        datetime.fromisoformat(live_from) <= at for live_from, *_ in row["live"] or ()
    )


async def _builds(
    ask: _Asking, service_id: UUID, named: tuple[Sequence[UUID], Sequence[str]], *, all_are_new: bool
) -> tuple[list[Record], dict[UUID, list[facts.Commit]]]:
    """The builds asked about, those that ran, and all that they grew from; and the commits that make a difference.

    These are what some of the builds have and some lack, and what each brought; all where nothing was live at first.
    """
    newest, digests = named
    ran = [row["id"] for row in await ask(queries.BUILDS_OF_DIGESTS, service_id, digests)]
    considered = sorted({*newest, *ran})
    walked = await ANCESTORS.of(ask.session, builds=considered, most=MAX_ANCESTORS + len(considered))
    lineage = Lineage({row["id"]: row["parent_id"] for row in walked})
    every = {row["id"] for row in walked}
    rows = await ask(queries.BUILDS, sorted(every))
    known = set(considered)
    differing = every if all_are_new else known.union(lineage.differing(considered))
    own = [row["commit"] for row in rows if row["id"] in known]
    found = await COMMITS.of(ask.session, service_id=service_id, differing=sorted(differing), commits=own)
    commits: dict[UUID, list[facts.Commit]] = {}
    for row in found:
        commit = facts.Commit(row["commit"], tuple(row["authors"]), tuple(row["stories"]))
        commits.setdefault(row["build_id"], []).append(commit)
    return rows, commits


async def _evidence(ask: _Asking, place: Place, builds: Iterable[Record]) -> list[Record]:
    wanted = list(builds)
    digests = [digest for row in wanted for digest, _, _ in row["digests"]]
    commits = [row["commit"] for row in wanted]
    return await ask(queries.EVIDENCE, place.project_id, digests, commits, MAX_EVIDENCE)


def _past(one: FlagMoment) -> tuple[datetime, PastFlag | None, str]:
    flag = PastFlag(one.flag, one.is_dark, one.stories) if one.is_there else None
    return one.at.astimezone(UTC), flag, one.flag


def _environment(row: Any) -> facts.Environment:
    return facts.Environment(row.key, row.position, row.tier, row.production_like)
