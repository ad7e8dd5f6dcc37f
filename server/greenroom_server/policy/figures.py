"""The four figures of software delivery (DORA), with deployments and releases counted apart.

A *deployment* is a build getting the traffic of the environment; a *release* is a flag that stops being dark there. A
*change* is a build that was registered; it is delivered when a build that contains it first gets the traffic.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from greenroom_server.policy.chronicle import Chronicle
from greenroom_server.policy.facts import Build, Deployment, Instant, Scope
from greenroom_server.policy.instants import DAY_MS
from greenroom_server.policy.readiness import Last


@dataclass(frozen=True, slots=True)
class Lit:
    """A flag stopped being dark."""

    flag: str
    at: Instant
    stories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and lengths of the period [since, until); lengths in milliseconds, in no order."""

    deployments: int
    rollbacks: int
    failed_deployments: int
    rolled_back: int
    with_incident: int
    failed_changes: int
    releases: tuple[Lit, ...]
    lead_times: tuple[Instant, ...]
    dark_times: tuple[Instant, ...]
    restore_times: tuple[Instant, ...]
    open_incidents: int


def figures(chronicle: Chronicle, since: Instant, until: Instant) -> Generator[None, None, Figures]:
    """Of the chronicle's service in its environment. What is not in the chronicle is not counted. Yields often."""
    known = Last(chronicle)
    yield
    live = [one for one in known.live if (one.live_from or 0) < until]
    pairs = list(pairwise(live))
    back = {one.id for before, one in pairs if _is_older(known, one, before)}
    now = [one for one in live if (one.live_from or 0) >= since]
    forward = [one for one in now if one.id not in back]
    undone = {before.id for before, one in pairs if one.id in back and _within(before, one)}
    incidents = [one for one in known.of("incidents") if known.covers(one.scope, None)]
    burnt = set()
    for one in forward:
        burnt |= {one.id for incident in incidents if _burns(known, one, incident.scope, incident.opened_at)}
        yield
    lit = tuple(one for one in lit_flags(chronicle) if since <= one.at < until)
    ended = [one for one in incidents if one.resolved_at is not None and since <= one.resolved_at < until]
    lead_times = yield from _lead_times(known, live, since)
    dark_times = yield from _dark_times(known, live, lit)
    return Figures(
        deployments=len(forward),
        rollbacks=len(now) - len(forward),
        failed_deployments=sum(1 for one in known.of("deployments") if _failed_in(known, one, since, until)),
        rolled_back=sum(1 for one in forward if one.id in undone),
        with_incident=len(burnt),
        failed_changes=sum(1 for one in forward if one.id in undone | burnt),
        releases=lit,
        lead_times=tuple(lead_times),
        dark_times=tuple(dark_times),
        restore_times=tuple((one.resolved_at or 0) - one.opened_at for one in ended),
        open_incidents=sum(1 for one in incidents if one.resolved_at is None and one.opened_at < until),
    )


def lit_flags(chronicle: Chronicle) -> Iterable[Lit]:
    """Each time that a flag which hides stories of the service stopped being dark, as far as anybody can tell."""
    own = {version.id for version in chronicle.versions if version.member == "stories"}
    hiding = {flag for version in chronicle.versions if version.member == "stories" for flag in version.fact.flags}
    before: dict[str, bool | None] = {}
    for version in chronicle.versions:
        if version.member != "flags":
            continue
        flag = version.fact
        is_dark = True if flag is None else flag.is_dark
        if before.get(version.id) is True and is_dark is False and (version.id in hiding or own & set(flag.stories)):
            yield Lit(version.id, version.at, flag.stories)
        before[version.id] = is_dark


def _lead_times(known: Last, live: Sequence[Deployment], since: Instant) -> Generator[None, None, list[Instant]]:
    """Of each build that was delivered in the period: from when it was registered."""
    found, pending = [], sorted(known.of("builds"), key=lambda build: build.seq)
    for one in live:
        yield
        running, at = known.build_of(one.digest), one.live_from or 0
        if running is None:
            continue
        commits = {running.commit, *(commit.id for commit in running.commits)}
        delivered = [build for build in pending if build.seq <= running.seq and build.commit in commits]
        pending = [build for build in pending if build not in delivered]
        found += [at - build.registered_at for build in delivered if at >= since and build.registered_at <= at]
    return found


def _dark_times(known: Last, live: Sequence[Deployment], lit: Sequence[Lit]) -> Generator[None, None, list[Instant]]:
    """How long the code of a release was live in the dark before: since its newest work first got the traffic."""
    found = []
    stories = {story.key: story for story in known.of("stories")}
    for release in lit:
        named = {key for key, story in stories.items() if release.flag in story.flags} | set(release.stories)
        work = {stories[key].latest_commit for key in named if key in stories}
        for one in live:
            yield
            if _has(known.build_of(one.digest), work):
                if (one.live_from or 0) <= release.at:
                    found.append(release.at - (one.live_from or 0))
                break
    return found


def _has(build: Build | None, work: set[str | None]) -> bool:
    if build is None or not work or None in work:
        return False
    return work <= {build.commit, *(commit.id for commit in build.commits)}


def _is_older(known: Last, one: Deployment, before: Deployment) -> bool:
    build, other = known.build_of(one.digest), known.build_of(before.digest)
    return build is not None and other is not None and build.seq < other.seq


def _within(before: Deployment, after: Deployment) -> bool:
    return (after.live_from or 0) < (before.live_from or 0) + DAY_MS


def _burns(known: Last, one: Deployment, scope: Scope, at: Instant) -> bool:
    """Whether an incident is about what had just got the traffic."""
    build, since = known.build_of(one.digest), one.live_from or 0
    if not since <= at < since + DAY_MS or (one.live_to is not None and at >= one.live_to):
        return False
    return scope.digest is None or scope.digest == one.digest or (build is not None and scope.digest in build.digests)


def _failed_in(known: Last, one: Deployment, since: Instant, until: Instant) -> bool:
    return one.has_failed and known.is_here(one.environment) and since <= one.deployed_at < until
