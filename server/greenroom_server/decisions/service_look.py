"""One look at the store before each decision: the policy in force, and whether what is known of the facts still holds.

Facts change far less often than they are asked for, so those of the last questions are kept in memory, as they were
loaded and indexed. INVARIANT: they are used only while the store says the same of everything that `load_snapshot` reads
(`Seen.state`); so a decision has the bytes that it would have had without them.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import Record, fetch_one
from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_news import Marks, Store
from greenroom_server.decisions.tables import PolicyVersionRow
from greenroom_server.errors import NotFound
from greenroom_server.flags.work import Work
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import Request, Snapshot
from greenroom_server.policy.question import Index
from greenroom_server.releases.service_places import NO_SERVICE
from greenroom_server.releases.service_scope import Place
from greenroom_server.releases.service_snapshot import load_snapshot

_Ask: TypeAlias = Callable[..., Awaitable[Record | None]]

MAX_KEPT: Final = 256
MAX_KEPT_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """How the store stands. `version_id` is of the policy in force; `state` is all that the facts depend on."""

    place: Place
    marks: Marks
    version_id: UUID | None
    state: tuple[Any, ...]


class _About(NamedTuple):
    """What facts are loaded for; two requests alike in this have the same."""

    project: str
    service: str
    environment: str
    digest: str | None
    commit: str | None
    flag: str | None
    is_release: bool


class _Named(NamedTuple):
    """The flags and stories that the facts name: how these flags stand is a part of the facts."""

    flags: Sequence[str] = ()
    stories: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    facts: Index
    named: _Named
    state: tuple[Any, ...]
    size: int


class FactShelf:
    """The facts of the last questions, up to some megabytes of them; one for each server process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_About, _Kept] = OrderedDict()
        self._size = 0

    async def look(self, work: Work, project_key: str, request: Request) -> tuple[Seen, Index]:
        """How the store stands, and the facts that bear on the request. Wants a transaction as `load_snapshot` does.

        Raises `NotFound` for an unknown project. Of an unknown service there are no facts, so nothing is allowed.
        """
        about = _about(project_key, request)
        if work.session.in_transaction():  # of its own, that is: it was used
            await work.session.flush()
        ask = partial(fetch_one, work.session)
        known = await self._if_known(ask, about)
        if known is not None:
            return known
        snapshot = await _load(work, project_key, request)
        named = _named_in(snapshot, request)
        seen = await _see(ask, about, named)
        facts = Index(snapshot)
        self._keep(about, _Kept(facts, named, seen.state, _size_of(facts)))
        return seen, facts

    async def glance(self, store: Store, project_key: str, request: Request) -> tuple[Seen, Index] | None:
        """The same by one statement, if the facts are known; None if they have to be loaded."""
        return await self._if_known(store.glance, _about(project_key, request))

    async def _if_known(self, ask: _Ask, about: _About) -> tuple[Seen, Index] | None:
        kept = self._kept.get(about)
        if kept is None:
            return None
        seen = await _see(ask, about, kept.named)
        if seen.state != kept.state:
            self._drop(about, kept)
            return None
        if about in self._kept:  # somebody else's question may have taken its place meanwhile
            self._kept.move_to_end(about)
        return seen, kept.facts

    def _drop(self, about: _About, kept: _Kept) -> None:
        """Unless somebody else's question has put newer ones there meanwhile."""
        if self._kept.get(about) is kept:
            del self._kept[about]
            self._size -= kept.size

    def _keep(self, about: _About, kept: _Kept) -> None:
        before = self._kept.pop(about, None)
        self._size += kept.size - (0 if before is None else before.size)
        self._kept[about] = kept
        while len(self._kept) > MAX_KEPT or self._size > MAX_KEPT_BYTES:
            self._size -= self._kept.popitem(last=False)[1].size


@dataclass(frozen=True, slots=True)
class Shelves:
    """What a server process keeps in memory to decide with, and the store that it comes from."""

    store: Store
    policies: PolicyShelf = field(default_factory=PolicyShelf)
    facts: FactShelf = field(default_factory=FactShelf)


async def find_policy(session: AsyncSession, shelf: PolicyShelf, version_id: UUID | None) -> Policy | None:
    """The policy of the version with this id, which the store is asked for once; None where there is none."""
    if version_id is None:
        return None
    kept = shelf.kept(version_id)
    if kept is not None:
        return kept
    row = await session.get(PolicyVersionRow, version_id)
    if row is None:
        raise NotFound("the policy of this decision is gone")
    return shelf.policy_of(row)


async def policy_in_force(session: AsyncSession, shelf: PolicyShelf, project_id: UUID, service: str) -> Policy | None:
    """The policy that decides for a service: the one activated for it, else the one for all; None without either."""
    row = await fetch_one(session, _IN_FORCE, project_id, service)
    return None if row is None else await find_policy(session, shelf, row["policy_version_id"])


async def see(session: AsyncSession, project_key: str, request: Request) -> Seen:
    """How the store stands, for a decision that needs no facts. Raises `NotFound` for an unknown project."""
    about = _About(project_key, request.service, request.environment, None, None, None, is_release=False)
    return await _see(partial(fetch_one, session), about, _Named())


async def _load(work: Work, project_key: str, request: Request) -> Snapshot:
    try:
        return await load_snapshot(work, project_key, request)
    except NotFound:
        return Snapshot(project_key, request.service, seq=0, mode="delivery")


def _named_in(snapshot: Snapshot, request: Request) -> _Named:
    flags = {flag for story in snapshot.stories for flag in story.flags}
    if request.flag is not None:
        flags.add(request.flag)
    return _Named(sorted(flags), [story.key for story in snapshot.stories])


def _size_of(facts: Index) -> int:
    try:
        return len(facts.written)
    except Exception:
        return MAX_KEPT_BYTES  # the core says what that means; it is not kept beside others


def _about(project_key: str, request: Request) -> _About:
    is_release = request.action == "release"
    place = (project_key, request.service, request.environment)
    return _About(*place, request.digest, request.commit, request.flag, is_release)


async def _see(ask: _Ask, about: _About, named: _Named) -> Seen:
    """Raises `NotFound` for an unknown project."""
    arguments = (about.project, about.service, about.environment, about.flag, named.flags, named.stories)
    row = await ask(LOOK, *arguments)
    if row is None:
        raise NotFound(f"there is no project `{about.project}`")
    marks = Marks(row["seq"], row["activation"], row["revision"])
    state = tuple(row[name] for name in _STATE)
    is_known = row["service_id"] is not None or about.service == NO_SERVICE
    version_id = row["version_id"] if is_known else None  # no policy decides for a service that nobody registered
    return Seen(Place(row["project_id"], about.project), marks, version_id, state)


# Facts are numbered without gaps under a lock, so whoever has seen the same `seq` has seen the same facts. What is no
# fact is there as it is: the environments, and of flags the stories that they name and the revision at which what they
# serve last changed. `xmin` is the transaction that wrote a row. It tells numbers apart that were given out twice since
# the first time was rolled back or the store was put back from a dump.
_STATE: Final = ("project_id", "service_id", "seq", "written_by", "environments", "flag_stories", "standings")
LOOK: Final = """
SELECT project.id AS project_id, coalesce(ledger.seq, 0) AS seq, ledger.xmin::text AS written_by,
    coalesce((SELECT max(number) FROM policy_activation WHERE project_id = project.id), 0) AS activation,
    (SELECT policy_version_id FROM policy_activation WHERE project_id = project.id AND service IN ($2::text, '')
        ORDER BY service DESC, number DESC LIMIT 1) AS version_id,
    (SELECT id FROM service WHERE project_id = project.id AND key = $2) AS service_id,
    coalesce((SELECT revision FROM environment WHERE project_id = project.id AND key = $3::text), 0) AS revision,
    (SELECT json_agg(json_build_array(key, position, tier, production_like) ORDER BY position, key)::text
        FROM environment WHERE project_id = project.id) AS environments,
    (SELECT stories FROM flag WHERE project_id = project.id AND key = $4::text) AS flag_stories,
    CASE WHEN $5::text[] <> '{}' OR $6::text[] <> '{}' THEN (
        SELECT json_agg(json_build_array(flag.key, flag.stories, served.served_revision, served.xmin::text)
            ORDER BY flag.key)::text
        FROM flag JOIN flag_configuration served ON served.flag_id = flag.id
        JOIN environment ON environment.id = served.environment_id
        WHERE flag.project_id = project.id AND environment.key = $3 AND flag.archived_at IS NULL
            AND (flag.key = ANY ($5) OR flag.stories && $6)
    ) END AS standings
FROM project LEFT JOIN release_ledger ledger ON ledger.project_id = project.id
WHERE project.key = $1
"""
_IN_FORCE: Final = """
SELECT policy_version_id FROM policy_activation WHERE project_id = $1 AND service IN ($2::text, '')
ORDER BY service DESC, number DESC LIMIT 1
"""
