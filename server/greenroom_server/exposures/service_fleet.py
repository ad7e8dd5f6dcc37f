"""The running instances: how far a revision has come, and which builds are at work."""

from datetime import timedelta
from typing import Final

from sqlalchemy import text

from greenroom_server.exposures.service_served import environment_id_of
from greenroom_server.exposures.wire import BuildOut, LaggardOut, PropagationOut
from greenroom_server.flags.service_scope import get_environment, get_project
from greenroom_server.flags.work import Work

# An instance reports at least once a minute.
ALIVE_FOR: Final = timedelta(minutes=3)
MAX_LAGGARDS: Final = 100
MAX_BUILDS: Final = 200


async def propagation(work: Work, project_key: str, environment_key: str) -> PropagationOut:
    """How many of the live instances serve the newest revision, how long it took, and who lags behind."""
    project = await get_project(work.session, project_key)
    environment = await get_environment(work.session, project, environment_key)
    values = {
        "environment": environment.id,
        "revision": environment.revision,
        "published_at": environment.published_at,
        "alive_since": work.now - ALIVE_FOR,
        "most": MAX_LAGGARDS,
    }
    found = (await work.session.execute(_PROPAGATION, values)).one()
    laggards = await work.session.execute(_LAGGARDS, values)
    return PropagationOut(
        environment=environment_key,
        revision=environment.revision,
        published_at=environment.published_at,
        instances=found.instances,
        current=found.current,
        slowest_s=None if found.slowest is None else max(0.0, found.slowest.total_seconds()),
        laggards=[LaggardOut.model_validate(dict(row)) for row in laggards.mappings()],
    )


async def builds(work: Work, project_key: str, environment_key: str) -> list[BuildOut]:
    """The builds that were seen in the environment, newest first."""
    environment_id = await environment_id_of(work, project_key, environment_key)
    values = {"environment": environment_id, "alive_since": work.now - ALIVE_FOR, "most": MAX_BUILDS}
    rows = await work.session.execute(_BUILDS, values)
    return [BuildOut.model_validate(dict(row)) for row in rows.mappings()]


# Whoever came later did not have to wait for the revision.
_PROPAGATION: Final = text("""
SELECT count(*) AS instances, count(*) FILTER (WHERE revision = :revision) AS current,
    max(reached_at - CAST(:published_at AS timestamptz))
        FILTER (WHERE revision = :revision AND first_seen <= :published_at) AS slowest
FROM sdk_instance WHERE environment_id = :environment AND last_seen > :alive_since
""")
_LAGGARDS: Final = text("""
SELECT id AS instance, application, version, build, revision, reached_at, last_seen
FROM sdk_instance WHERE environment_id = :environment AND last_seen > :alive_since AND revision <> :revision
ORDER BY revision, id LIMIT :most
""")
_BUILDS: Final = text("""
SELECT application, version, build, count(*) FILTER (WHERE last_seen > :alive_since) AS instances,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM sdk_instance WHERE environment_id = :environment
GROUP BY application, version, build ORDER BY 6 DESC, 1, 2, 3 LIMIT :most
""")
