"""Where the work on stories is: for each service the build to look at, and whether it has the traffic somewhere."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from greenroom_server.database.direct import fetch_all
from greenroom_server.flags.work import Work
from greenroom_server.releases import snapshot_queries as queries
from greenroom_server.releases.lineage import Lineage
from greenroom_server.releases.service_scope import Place


@dataclass(frozen=True, slots=True)
class Candidate:
    """The build of a service in which a story is looked at: it has the newest work on it, whose commit this is.

    Of those with the traffic the newest; else the newest of all; else the one that brought the work. `is_live`:
    everything of the service that has the traffic in the environment contains that work.
    """

    story: str
    service: str
    commit: str
    digest: str
    is_live: bool


@dataclass(frozen=True, slots=True)
class _Head:
    id: UUID
    digest: str
    is_live: bool


async def candidates_of(work: Work, place: Place, environment: str, stories: Collection[str]) -> list[Candidate]:
    """In the order of stories and services; a story that no build contains has none."""
    rows = await fetch_all(work.session, _WORK, place.project_id, list(stories))
    services = sorted({row["service_id"] for row in rows})
    heads: dict[UUID, list[_Head]] = defaultdict(list)
    for row in await fetch_all(work.session, _HEADS, services, environment) if services else ():
        heads[row["service_id"]].append(_Head(row["id"], row["digest"], row["is_live"]))
    lineages = {service: await _lineage(work, heads[service]) for service in services}
    return [_candidate(row, heads[row["service_id"]], lineages[row["service_id"]]) for row in rows]


async def services_of_digest(work: Work, place: Place, digest: str) -> list[str]:
    """The services that registered a build with this digest."""
    return [row["key"] for row in await fetch_all(work.session, _OWNERS, place.project_id, digest)]


async def is_live_in(work: Work, place: Place, service: str, digest: str, environment: str) -> bool:
    """Whether the digest's build has traffic there."""
    return bool(await fetch_all(work.session, _IS_LIVE, place.project_id, service, digest, environment))


async def _lineage(work: Work, heads: Sequence[_Head]) -> Lineage:
    builds = [head.id for head in heads]
    walked = await queries.ANCESTORS.of(work.session, builds=builds, most=queries.MAX_ANCESTORS)
    return Lineage({row["id"]: row["parent_id"] for row in walked})


def _candidate(row: Any, heads: Sequence[_Head], lineage: Lineage) -> Candidate:
    live = [head for head in heads if head.is_live]
    having = [head for head in heads if row["build_id"] in lineage.of(head.id)]
    return Candidate(
        story=row["story"],
        service=row["service"],
        commit=row["commit"],
        digest=having[0].digest if having else row["digest"],
        is_live=bool(live) and all(head in having for head in live),
    )


_WORK: Final = """
SELECT work.story, service.key AS service, service.id AS service_id, work.commit, brought.id AS build_id,
    (SELECT digest FROM build_digest WHERE build_id = brought.id ORDER BY build_digest.seq, digest LIMIT 1) AS digest
FROM story_work work JOIN service ON service.id = work.service_id
JOIN build brought ON brought.service_id = service.id AND brought.seq = work.seq
WHERE service.project_id = $1 AND work.story = ANY ($2::text[]) ORDER BY work.story, service.key
"""
# Those with the traffic first, and the newest first; the newest of all comes last.
_HEADS: Final = """
SELECT head.service_id, head.id, head.is_live,
    (SELECT digest FROM build_digest WHERE build_id = head.id ORDER BY build_digest.seq, digest LIMIT 1) AS digest
FROM (
    SELECT DISTINCT build.service_id, build.id, build.seq, true AS is_live
    FROM deployment one JOIN deployment_live live ON live.deployment_id = one.id AND live.live_to IS NULL
    JOIN build_digest USING (service_id, digest) JOIN build ON build.id = build_digest.build_id
    WHERE one.service_id = ANY ($1::uuid[]) AND one.environment = $2 AND one.removed_at IS NULL
        AND one.state = 'finished'
    UNION ALL
    SELECT newest.service_id, newest.id, newest.seq, false FROM unnest($1::uuid[]) sought(id)
    CROSS JOIN LATERAL (SELECT * FROM build WHERE service_id = sought.id ORDER BY seq DESC LIMIT 1) newest
) head ORDER BY head.is_live DESC, head.seq DESC
"""
_OWNERS: Final = """
SELECT service.key FROM build_digest JOIN service ON service.id = build_digest.service_id
WHERE service.project_id = $1 AND build_digest.digest = $2 ORDER BY service.key
"""
_IS_LIVE: Final = """
SELECT true FROM service JOIN build_digest mine ON mine.service_id = service.id AND mine.digest = $3
JOIN build_digest other ON other.build_id = mine.build_id
JOIN deployment one ON one.service_id = service.id AND one.digest = other.digest
JOIN deployment_live live ON live.deployment_id = one.id AND live.live_to IS NULL
WHERE service.project_id = $1 AND service.key = $2 AND one.environment = $4 AND one.removed_at IS NULL
    AND one.state = 'finished' LIMIT 1
"""
