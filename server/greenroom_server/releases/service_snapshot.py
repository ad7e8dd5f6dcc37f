"""The facts that bear on one request, as the decision core takes them.

In a reading transaction (`database.reading`) all statements see one state. In a writing one, lock the ledger first
(`service_scope.open_ledger`): then no fact can be added between them, and `Snapshot.seq` is the newest.

INVARIANT: a snapshot depends on no moment, and is another one only once something is that `decisions.service_look`
compares: the ledger's number, the environments, or how flags stand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from greenroom_server.database.direct import Record
from greenroom_server.errors import NotFound
from greenroom_server.flags.service_dark import standings, stories_of
from greenroom_server.flags.work import Work
from greenroom_server.policy import facts
from greenroom_server.releases import snapshot_queries as queries
from greenroom_server.releases import snapshot_rows as rows
from greenroom_server.releases.lineage import Lineage, commits_in
from greenroom_server.releases.service_places import NO_SERVICE
from greenroom_server.releases.service_scope import Place


@dataclass(slots=True)
class _Loading:
    """What is known so far."""

    work: Work
    place: Place
    service_id: UUID
    request: facts.Request
    besides: frozenset[str] = frozenset()
    builds: dict[UUID, Any] = field(default_factory=dict)
    parents: dict[UUID, UUID | None] = field(default_factory=dict)
    commits: dict[UUID, list[facts.Commit]] = field(default_factory=dict)

    async def ask(self, asked: queries.Asked, **values: Any) -> Sequence[Record]:
        return await asked.of(self.work.session, **values)


async def load_snapshot(
    work: Work, project_key: str, request: facts.Request, besides: Iterable[str] = ()
) -> facts.Snapshot:
    """The snapshot for `request`; what later areas know (health) is left empty.

    `besides` are stories that are asked about besides those that the request's build brings.

    Raises `NotFound` for an unknown project or service. An unknown digest, environment or flag is not there, and the
    core says what that means.
    """
    await work.session.flush()  # the questions go past the session
    place, service_id, environments = await _place_of(work, project_key, request.service)
    loading = _Loading(work, place, service_id, request, frozenset(besides))
    await _load_builds(loading, [] if request.digest is None else [request.digest], with_running=True)
    await _load_commits(loading)
    asked = await _stories_asked_about(loading)
    found = await _load_facts(loading, asked)
    stories = _with_unknown(found["stories"], asked)
    await _load_builds_besides(loading, found)
    await _load_named_commits(loading, found)
    flags, hidden = await _load_flags(loading, found, stories)
    deployments = tuple(rows.deployments_of(request.service, found["deployments"]))
    return facts.Snapshot(
        project=project_key,
        service=request.service,
        seq=found["seq"],
        mode=found["mode"] or "delivery",
        builds=_builds_of(loading),
        stories=tuple(_story(story, hidden) for story in stories),
        environments=tuple(_environment(one, deployments) for one in environments),
        deployments=deployments,
        under_way=tuple(rows.under_way_of(row) for row in found["under_way"]),
        evidence=tuple(rows.evidence_of(row) for row in found["evidence"]),
        flags=flags,
        aliases={alias: person for person, aliases, _ in found["people"] for alias in aliases},
        inactive_people=frozenset(person for person, _, is_active in found["people"] if not is_active),
        **rows.said(found["facts"]),
    )


async def _place_of(work: Work, project_key: str, service: str) -> tuple[Place, UUID, Sequence[Any]]:
    """The project, the service's id, and the environments, first stage first.

    `NO_SERVICE` has no builds; what is said of no service in particular bears on it too.
    """
    found = await queries.PLACE.of(work.session, project=project_key, service=service)
    if not found:
        raise NotFound(f"there is no project `{project_key}`")
    (row,) = found
    if row["service_id"] is None and service != NO_SERVICE:
        raise NotFound(f"there is no service `{service}` in project `{project_key}`")
    return Place(row["id"], project_key), row["service_id"] or UUID(int=0), row["environments"]


async def _load_builds(loading: _Loading, digests: Sequence[str], *, with_running: bool) -> None:
    values = {
        "service_id": loading.service_id,
        "environment": loading.request.environment,
        "digests": list(digests),
        "commit": loading.request.commit,
        "with_running": with_running,
    }
    found = await loading.ask(queries.BUILDS, **values)
    loading.builds |= {row["id"]: row for row in found}
    new = [row["id"] for row in found if row["id"] not in loading.parents]
    if new:
        walked = await loading.ask(queries.ANCESTORS, builds=new, most=queries.MAX_ANCESTORS)
        loading.parents |= {row["id"]: row["parent_id"] for row in walked}


async def _load_commits(loading: _Loading) -> None:
    """The commits by which the builds differ; all of them where nothing is live yet, since then all of them are new."""
    compared = [key for key, row in loading.builds.items() if loading.request.digest in (None, *row["digests"])]
    if any(row["is_live"] for row in loading.builds.values()):
        compared = list(loading.builds)
    await _take_commits(loading, Lineage(loading.parents).differing(compared), ())


async def _take_commits(loading: _Loading, differing: Sequence[UUID], named: Iterable[str]) -> None:
    values = {"service_id": loading.service_id, "differing": list(differing), "commits": sorted(named)}
    _keep_commits(loading, await loading.ask(queries.COMMITS, **values))


def _keep_commits(loading: _Loading, found: Iterable[Record]) -> None:
    for row in found:
        commit = facts.Commit(row["commit"], tuple(row["authors"]), tuple(row["stories"]))
        if commit not in loading.commits.setdefault(row["build_id"], []):
            loading.commits[row["build_id"]].append(commit)


async def _stories_asked_about(loading: _Loading) -> set[str]:
    keys = {story for build in loading.commits.values() for commit in build for story in commit.stories}
    keys |= {story for row in loading.builds.values() for story in row["stories"]} | loading.besides
    if loading.request.flag is not None:
        keys |= set(await stories_of(loading.work.session, loading.place.project_id, loading.request.flag))
    return keys


async def _load_facts(loading: _Loading, stories: set[str]) -> Any:
    request = loading.request
    asked = [row for row in loading.builds.values() if request.digest is None or request.digest in row["digests"]]
    values = {
        "project_id": loading.place.project_id,
        "service_id": loading.service_id,
        "service": request.service,
        "environment": request.environment,
        "flag": request.flag,
        "stories": sorted(stories),
        "digests": sorted({digest for row in asked for digest in row["digests"]} | {request.digest or ""}),
        "all_digests": sorted({digest for row in loading.builds.values() for digest in row["digests"]}),
        "commits": sorted({row["commit"] for row in asked}),
    }
    (found,) = await loading.ask(queries.FACTS, **values)
    return found


async def _load_builds_besides(loading: _Loading, found: Any) -> None:
    """The builds that ran while something was shown, since a demo counts for what really ran; and for a release those
    that are on their way.
    """
    known = {digest for row in loading.builds.values() for digest in row["digests"]}
    wanted = {
        deployment["digest"]
        for deployment in found["deployments"]
        if any(_ran_at(deployment, fact) for fact in found["facts"])
    }
    if loading.request.action == "release":
        wanted |= {one["digest"] for one in found["under_way"]}
        wanted |= {one["digest"] for one in found["facts"] if one["kind"] == "permit"}
    if wanted - known:
        await _load_builds(loading, sorted(wanted - known), with_running=False)


def _ran_at(deployment: Mapping[str, Any], fact: Mapping[str, Any]) -> bool:
    if fact["kind"] != "demo" or deployment["environment"] != fact["environment"] or deployment["deployed_at"] is None:
        return False
    removed_at = deployment["removed_at"]
    return deployment["deployed_at"] <= fact["at"] and (removed_at is None or removed_at > fact["at"])


async def _load_named_commits(loading: _Loading, found: Any) -> None:
    """Who asks whether a build contains a story's newest commit, or another build, must find it, however old it is."""
    latest = {commit for _, _, _, commit in found["stories"] if commit is not None}
    await _take_commits(loading, [], latest | {row["commit"] for row in loading.builds.values()})
    if loading.request.action == "release":  # its authors are all who ever worked on the stories
        stories = sorted(key for key, *_ in found["stories"])
        _keep_commits(loading, await loading.ask(queries.STORY_COMMITS, builds=list(loading.parents), stories=stories))


async def _load_flags(
    loading: _Loading, found: Any, stories: Sequence[Any]
) -> tuple[tuple[facts.FlagState, ...], dict[str, set[str]]]:
    """The flags' states, and the flags that hide each story by the flags' own account."""
    keys = {flag for _, flags, _, _ in stories for flag in flags}
    if loading.request.flag is not None:
        keys.add(loading.request.flag)
    named = [key for key, *_ in stories]
    if not keys and not named:
        return (), {}
    environment = loading.request.environment
    place = (loading.place.project_id, environment)
    known = await standings(loading.work.session, place, keys, named, found["internal_segment"])
    hidden: dict[str, set[str]] = {}
    for one in known:
        for story in one.stories:
            hidden.setdefault(story, set()).add(one.flag)
    return tuple(facts.FlagState(one.flag, environment, one.is_dark, one.revision) for one in known), hidden


def _builds_of(loading: _Loading) -> tuple[facts.Build, ...]:
    lineage = Lineage(loading.parents)
    return tuple(
        facts.Build(
            id=str(row["id"]),
            service=loading.request.service,
            digests=tuple(row["digests"]),
            commit=row["commit"],
            seq=row["seq"],
            registered_at=row["registered_at"],
            commits=commits_in(lineage, row["id"], loading.commits),
            stories=tuple(row["stories"]),
            triggered_by=row["triggered_by"],
        )
        for row in sorted(loading.builds.values(), key=lambda row: int(row["seq"]))
    )


def _with_unknown(stories: Sequence[Any], asked: Iterable[str]) -> Sequence[Any]:
    """A story that a flag names and nobody has told of is there all the same: it is not done, and not left out."""
    known = {key for key, *_ in stories}
    return sorted(
        [*stories, *((key, (), None, None) for key in asked if key not in known)], key=lambda one: str(one[0])
    )


def _story(story: Sequence[Any], hidden: Mapping[str, set[str]]) -> facts.Story:
    key, flags, reopened_at, latest = story
    return facts.Story(key, tuple(sorted({*flags, *hidden.get(key, ())})), latest, reopened_at)


def _environment(row: Sequence[Any], deployments: Sequence[facts.Deployment]) -> facts.Environment:
    key, position, tier, production_like = row
    slots = {one.slot for one in deployments if one.environment == key and one.slot is not None}
    return facts.Environment(key, position, tier, production_like, tuple(sorted(slots)))
