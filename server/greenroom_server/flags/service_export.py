"""A whole project as one document."""

from greenroom_server.errors import Forbidden
from greenroom_server.flags.documents import (
    authored_environment,
    authored_flag,
    authored_project,
    authored_segment,
    configured,
)
from greenroom_server.flags.service_scope import Stock, get_project, stock_of
from greenroom_server.flags.wire import ConfigurationIn, FlagDocument, ProjectDocument
from greenroom_server.flags.work import Work


async def export_project(work: Work, project_key: str) -> ProjectDocument:
    """The whole project; importing it elsewhere gives the same project."""
    if work.principal.environments is not None:
        raise Forbidden("an export holds every environment, and this token is limited to some")
    project = await get_project(work.session, project_key)
    return document_of(await stock_of(work.session, project))


def document_of(stock: Stock) -> ProjectDocument:
    """The document of these contents, in the order of keys, environments first stage first."""
    environments = sorted(stock.environments, key=lambda row: (row.position, row.key))
    flags = []
    for _, flag in sorted(stock.flags.items()):
        configurations = {
            environment.key: ConfigurationIn.model_validate(configured(stock.configuration(flag, environment)))
            for environment in environments
        }
        flags.append(
            FlagDocument(
                **dict(authored_flag(flag)), archived=flag.archived_at is not None, configurations=configurations
            )
        )
    return ProjectDocument(
        format="greenroom.project/1",
        project=authored_project(stock.project),
        environments=[authored_environment(environment) for environment in environments],
        segments=[authored_segment(row) for _, row in sorted(stock.segments.items())],
        flags=flags,
    )
