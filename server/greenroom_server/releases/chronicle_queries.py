"""What the chronicle of a service asks the store; `$1` is the project or service, as each says."""

from typing import Final

# Service and number: the newest builds.
NEWEST_BUILDS: Final = "SELECT id FROM build WHERE service_id = $1 ORDER BY seq DESC LIMIT $2"
# Service, and from when on: what ran since, or runs.
DEPLOYMENTS: Final = """
SELECT id, environment, slot, digest, state, started_at, deployed_at, failed_at, removed_at, automated, manual_steps,
    duration_ms, permit, seq, ended_seq, received_at,
    (SELECT json_agg(json_build_array(live_from, live_to, live.seq, live.ended_seq) ORDER BY live_from)
     FROM deployment_live live WHERE live.deployment_id = deployment.id) AS live
FROM deployment WHERE service_id = $1 AND (removed_at IS NULL OR removed_at >= $2) ORDER BY seq DESC LIMIT $3
"""
BUILDS_OF_DIGESTS: Final = """
SELECT DISTINCT build_id AS id FROM build_digest WHERE service_id = $1 AND digest = ANY ($2::text[])
"""
BUILDS: Final = """
SELECT id, parent_id, commit, seq, registered_at, stories, triggered_by,
    (SELECT json_agg(json_build_array(digest, one.seq, one.declared_at) ORDER BY one.seq, digest)
     FROM build_digest one WHERE one.build_id = build.id) AS digests
FROM build WHERE id = ANY ($1::uuid[]) ORDER BY seq
"""
STORY_WORK: Final = """
SELECT story, commit, seq FROM story_work WHERE service_id = $1 AND story = ANY ($2::text[])
"""
# Project, digests, commits.
EVIDENCE: Final = """
SELECT one.id, one.kind, one.suite, one.digest, one.commit, one.environment, one.slot, one.outcome,
    to_json(one.counts) AS counts, one.suite_definition_digest, one.run, one.attempt, one.started_at, one.finished_at,
    one.received_at, one.seq, one.producer, one.is_automated, ending.seq AS ended_seq, ending.at AS ended_at,
    ending.received_at AS end_known_at
FROM evidence one LEFT JOIN fact ending ON ending.about = one.id AND ending.kind = 'end'
WHERE one.project_id = $1
    AND (one.digest = ANY ($2::text[]) OR (one.digest IS NULL AND one.commit = ANY ($3::text[])))
ORDER BY one.seq DESC LIMIT $4
"""
# Project, service, from when on: what is said about the service, unless it was over by then.
FACTS: Final = """
SELECT one.id, one.kind, one.seq, one.service, one.environment, one.digest, one.at, one.received_at, one.person,
    one.roles, to_json(one.body) AS body, ending.seq AS ended_seq, ending.at AS ended_at,
    ending.received_at AS end_known_at,
    (SELECT json_agg(json_build_object('kind', more.kind, 'person', more.person, 'at', more.at, 'body', more.body,
        'seq', more.seq, 'known_at', more.received_at) ORDER BY more.seq)
     FROM fact more WHERE more.about = one.id AND more.kind = 'acceptance') AS followed_by
FROM fact one LEFT JOIN fact ending ON ending.about = one.id AND ending.kind = 'end'
WHERE one.project_id = $1
    AND one.kind IN ('parity', 'provenance', 'demo', 'obstacle', 'incident', 'approval', 'veto', 'waiver')
    AND (one.service IS NULL OR one.service = $2) AND (ending.id IS NULL OR ending.received_at >= $3)
ORDER BY one.seq DESC LIMIT $4
"""
STORIES: Final = """
SELECT seq, received_at, at, to_json(body) AS body FROM fact
WHERE project_id = $1 AND kind = 'story' AND body ->> 'key' = ANY ($2::text[]) ORDER BY seq
"""
PERMITS: Final = """
SELECT id, at FROM fact WHERE project_id = $1 AND kind = 'permit' AND id::text = ANY ($2::text[])
"""
LEDGER: Final = "SELECT seq, internal_segment FROM release_ledger WHERE project_id = $1"
PEOPLE: Final = """
SELECT person, aliases, is_active FROM person WHERE project_id = $1 AND (NOT is_active OR aliases <> '{}')
"""
