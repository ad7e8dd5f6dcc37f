"""The end of a batch: what many changes touched is checked and published once."""

from greenroom_server.flags.service_publish import publish
from greenroom_server.flags.service_references import check_project_references
from greenroom_server.flags.service_scope import environments_of
from greenroom_server.flags.tables import ProjectRow
from greenroom_server.flags.work import Batch, Work, unbatched


async def finish(work: Work, project: ProjectRow) -> None:
    """Check all references if any changed, and give each environment that was touched one new revision."""
    batch = work.batch or Batch()
    plainly = unbatched(work)
    if batch.is_to_check:
        await check_project_references(plainly, project)
    for environment in await environments_of(work.session, project):
        if environment.id in batch.flags:
            await publish(
                plainly,
                [environment],
                flag_keys=batch.flags[environment.id],
                segment_keys=batch.segments[environment.id],
            )
