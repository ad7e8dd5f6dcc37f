"""What the snapshot of a decision asks the store, each question in one statement that answers with JSON.

Instants leave the store as whole milliseconds since 1970. Every list is bounded; what is cut off are the oldest, and
of vetoes, obstacles and the like those that are over, so that nothing which stands in the way is ever left out.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import Record, fetch_all

MAX_ANCESTORS: Final = 1_000
MAX_DEPLOYMENTS: Final = 100
MAX_UNDER_WAY: Final = 20
MAX_EVIDENCE: Final = 500
MAX_FACTS: Final = 200


_NAME: Final = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the names of its arguments in their order."""

    sql: str
    names: tuple[str, ...]

    async def of(self, session: AsyncSession, **values: Any) -> list[Record]:
        """The answer; straight from the driver, since each decision asks all of them."""
        return await fetch_all(session, self.sql, *(values[name] for name in self.names))


def _asked(sql: str) -> Asked:
    names = tuple(dict.fromkeys(_NAME.findall(sql)))
    return Asked(_NAME.sub(lambda found: f"${names.index(found[1]) + 1}", sql), names)


def _ms(column: str) -> str:
    return f"floor(extract(epoch FROM {column}) * 1000)::bigint"


PLACE: Final = _asked("""
SELECT project.id, service.id AS service_id,
    (SELECT coalesce(json_agg(json_build_array(key, position, tier, production_like) ORDER BY position, key), '[]')
     FROM environment WHERE project_id = project.id) AS environments
FROM project LEFT JOIN service ON service.project_id = project.id AND service.key = :service
WHERE project.key = :project
""")
# The builds that everything is about: the one asked about, those that run anywhere, others by their digests, and two of
# a commit that stands for one (which shows that it has several); and which of them are live in the environment asked
# about.
BUILDS: Final = _asked(f"""
WITH started AS (
    SELECT build_id FROM build_digest WHERE service_id = :service_id AND digest = ANY (CAST(:digests AS text[]))
    UNION
    SELECT build_digest.build_id FROM deployment JOIN build_digest USING (service_id, digest)
    WHERE service_id = :service_id AND removed_at IS NULL AND state = 'finished' AND :with_running
    UNION
    (SELECT id FROM build WHERE service_id = :service_id AND commit = CAST(:commit AS text) ORDER BY seq DESC LIMIT 2)
)
SELECT b.id, b.commit, b.seq, {_ms("b.registered_at")} AS registered_at, b.stories, b.triggered_by,
    (SELECT array_agg(digest ORDER BY d.seq, digest) FROM build_digest d WHERE d.build_id = b.id) AS digests,
    EXISTS (SELECT FROM build_digest d JOIN deployment one USING (service_id, digest)
        JOIN deployment_live live ON live.deployment_id = one.id
        WHERE d.build_id = b.id AND one.environment = :environment AND one.removed_at IS NULL
            AND one.state = 'finished' AND live.live_to IS NULL) AS is_live
FROM started JOIN build b ON b.id = started.build_id ORDER BY b.seq
""")
# Breadth first, so what the limit cuts off is the oldest.
ANCESTORS: Final = _asked("""
WITH RECURSIVE walk(id, parent_id) AS (
    SELECT id, parent_id FROM build WHERE id = ANY (CAST(:builds AS uuid[]))
    UNION
    SELECT build.id, build.parent_id FROM walk JOIN build ON build.id = walk.parent_id
)
SELECT id, parent_id FROM walk LIMIT :most
""")
COMMITS: Final = _asked("""
SELECT build_id, position, commit, authors, stories FROM build_commit
WHERE build_id = ANY (CAST(:differing AS uuid[]))
UNION ALL
SELECT one.build_id, one.position, one.commit, one.authors, one.stories
FROM build_commit one JOIN build ON build.id = one.build_id
WHERE build.service_id = :service_id AND one.commit = ANY (CAST(:commits AS text[]))
    AND NOT one.build_id = ANY (CAST(:differing AS uuid[]))
ORDER BY build_id, position
""")
STORY_COMMITS: Final = _asked("""
SELECT build_id, position, commit, authors, stories FROM build_commit
WHERE build_id = ANY (CAST(:builds AS uuid[])) AND stories && CAST(:stories AS text[]) ORDER BY build_id, position
""")
_STORIES: Final = f"""
SELECT coalesce(json_agg(json_build_array(story.key, story.flags, {_ms("story.reopened_at")}, work.commit)
    ORDER BY story.key), '[]')
FROM story LEFT JOIN story_work work ON work.service_id = :service_id AND work.story = story.key
WHERE story.project_id = :project_id
    AND (story.key = ANY (CAST(:stories AS text[])) OR story.flags @> ARRAY[CAST(:flag AS text)])
"""
_EVIDENCE_MEMBERS: Final = f"""
one.id, one.kind, one.suite, one.digest, one.commit, one.environment, one.slot, one.outcome, one.counts,
one.suite_definition_digest, one.run, one.attempt, {_ms("one.started_at")} AS started_at,
{_ms("one.finished_at")} AS finished_at, {_ms("one.received_at")} AS received_at, one.seq, one.producer,
one.is_automated, {_ms("ending.at")} AS revoked_at
"""
_EVIDENCE: Final = f"""
SELECT coalesce(json_agg(row_to_json(found) ORDER BY found.seq), '[]') FROM (
    (SELECT {_EVIDENCE_MEMBERS} FROM evidence one LEFT JOIN fact ending ON ending.about = one.id AND ending.kind = 'end'
     WHERE one.project_id = :project_id AND one.digest = ANY (CAST(:digests AS text[]))
     ORDER BY one.seq DESC LIMIT {MAX_EVIDENCE})
    UNION ALL
    (SELECT {_EVIDENCE_MEMBERS} FROM evidence one LEFT JOIN fact ending ON ending.about = one.id AND ending.kind = 'end'
     WHERE one.project_id = :project_id AND one.digest IS NULL
        AND one.commit = ANY (CAST(:commits AS text[]))
     ORDER BY one.seq DESC LIMIT {MAX_EVIDENCE})
) found
"""
_FACTS: Final = f"""
SELECT coalesce(json_agg(row_to_json(found) ORDER BY found.seq), '[]')
FROM unnest(ARRAY['parity', 'provenance', 'demo', 'obstacle', 'incident', 'approval', 'veto', 'waiver', 'permit',
    'break_glass', 'health']) sort(kind)
CROSS JOIN LATERAL (
    SELECT one.id, one.kind, one.seq, one.service, one.environment, one.digest, {_ms("one.at")} AS at, one.person,
        one.roles, one.body, {_ms("ending.at")} AS ended_at,
        (SELECT json_agg(json_build_object('kind', more.kind, 'person', more.person, 'at', {_ms("more.at")},
            'body', more.body) ORDER BY more.seq)
         FROM fact more WHERE more.about = one.id AND more.kind <> 'end') AS followed_by
    FROM fact one LEFT JOIN fact ending ON ending.about = one.id AND ending.kind = 'end'
    WHERE one.project_id = :project_id AND one.kind = sort.kind
        AND (one.service IS NULL OR one.service = :service OR sort.kind = 'permit')
        AND CASE sort.kind
            WHEN 'permit' THEN one.environment = :environment AND ending.id IS NULL
            WHEN 'break_glass' THEN true
            WHEN 'health' THEN one.environment = :environment
            WHEN 'parity' THEN true
            WHEN 'demo' THEN jsonb_exists_any(one.body -> 'stories', CAST(:stories AS text[]))
            WHEN 'approval' THEN one.environment = :environment
                AND (one.digest = ANY (CAST(:all_digests AS text[])) OR one.body ->> 'flag' = :flag)
            WHEN 'provenance' THEN one.digest = ANY (CAST(:all_digests AS text[]))
            ELSE one.digest IS NULL OR one.digest = ANY (CAST(:all_digests AS text[]))
        END
    ORDER BY ending.id IS NOT NULL, one.seq DESC LIMIT {MAX_FACTS}
) found
"""
# What runs, what happened last, what was done with the builds asked about, and what ran while something was shown.
_DEPLOYMENTS: Final = f"""
SELECT coalesce(json_agg(row_to_json(found) ORDER BY found.seq), '[]') FROM (
    SELECT one.id, one.environment, one.slot, one.digest, one.state, {_ms("one.deployed_at")} AS deployed_at,
        {_ms("one.failed_at")} AS failed_at, {_ms("one.removed_at")} AS removed_at, one.automated, one.manual_steps,
        one.duration_ms, one.permit, one.seq,
        (SELECT json_agg(json_build_array({_ms("live.live_from")}, {_ms("live.live_to")}) ORDER BY live.live_from)
         FROM deployment_live live WHERE live.deployment_id = one.id) AS live
    FROM deployment one WHERE one.service_id = :service_id AND one.state <> 'started' AND (
        (one.removed_at IS NULL AND one.state = 'finished')
        OR one.id IN (SELECT id FROM deployment WHERE service_id = :service_id
            ORDER BY seq DESC LIMIT {MAX_DEPLOYMENTS})
        OR one.id IN (SELECT id FROM deployment WHERE service_id = :service_id
            AND digest = ANY (CAST(:digests AS text[])) ORDER BY seq DESC LIMIT {MAX_DEPLOYMENTS})
        OR EXISTS (SELECT FROM fact demo WHERE demo.project_id = :project_id AND demo.kind = 'demo'
            AND jsonb_exists_any(demo.body -> 'stories', CAST(:stories AS text[]))
            AND demo.environment = one.environment AND one.deployed_at <= demo.at
            AND (one.removed_at IS NULL OR one.removed_at > demo.at))
    )
) found
"""
# What is being put there now, as far as anybody has told.
_UNDER_WAY: Final = f"""
SELECT coalesce(json_agg(row_to_json(found) ORDER BY found.seq), '[]') FROM (
    SELECT one.id, one.environment, one.slot, one.digest, {_ms("one.started_at")} AS started_at, one.permit, one.seq
    FROM deployment one WHERE one.service_id = :service_id AND one.environment = :environment AND one.state = 'started'
    ORDER BY one.seq DESC LIMIT {MAX_UNDER_WAY}
) found
"""
_PEOPLE: Final = """
SELECT coalesce(json_agg(json_build_array(person, aliases, is_active) ORDER BY person), '[]') FROM person
WHERE project_id = :project_id AND (NOT is_active OR aliases <> '{}')
"""
_MODE: Final = """
SELECT body ->> 'mode' FROM fact WHERE project_id = :project_id AND kind = 'mode' AND service = :service
    AND environment = :environment ORDER BY seq DESC LIMIT 1
"""
FACTS: Final = _asked(f"""
SELECT ledger.seq, ledger.internal_segment, ({_MODE}) AS mode, ({_STORIES}) AS stories, ({_EVIDENCE}) AS evidence,
    ({_FACTS}) AS facts, ({_DEPLOYMENTS}) AS deployments, ({_UNDER_WAY}) AS under_way, ({_PEOPLE}) AS people
FROM release_ledger ledger WHERE ledger.project_id = :project_id
""")
