"""Routes of projects and environments."""

import asyncio

from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.flags import service_copy, service_export, service_import
from greenroom_server.flags import service_projects as service
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.wire import CopyIn, EnvironmentIn, ProjectDocument, ProjectIn
from greenroom_server.flags.work import plain
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.codec import MAX_DEPTH, read_json
from greenroom_server.web.reply import JSON, Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.validation import parse
from greenroom_server.web.yaml_codec import read_yaml, write_yaml

YAML = "application/yaml"
MAX_IMPORT_BYTES = 16 * 1024 * 1024
MAX_YAML_BYTES = 4 * 1024 * 1024
MAX_IMPORT_NODES = 2_000_000
# In the document a configuration stands four levels deeper than in a request of its own.
MAX_IMPORT_DEPTH = MAX_DEPTH + 4


async def list_projects(call: Call) -> Reply:
    request = pagination.page_request(call, str)
    after = None if request.after is None else request.after[0]
    rows = await service.page_projects(work_of(call), after=after, limit=request.limit + 1)
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.key,)))


async def create_project(call: Call) -> Reply:
    wanted = call.parse(ProjectIn)
    outcome = await service.create_project(work_of(call), wanted)
    return answer(call, outcome, created_at=f"/api/v1/projects/{wanted.key}")


async def read_project(call: Call) -> Reply:
    return shown(await service.read_project(work_of(call), call.params["project"]))


async def update_project(call: Call) -> Reply:
    return answer(call, await service.update_project(work_of(call), call.params["project"], call.json()))


async def delete_project(call: Call) -> Reply:
    return answer(call, await service.delete_project(work_of(call), call.params["project"]))


async def list_environments(call: Call) -> Reply:
    rows = await service.list_environments(work_of(call), call.params["project"])
    return Reply(body={"items": [plain(row) for row in rows], "next_cursor": None})


async def create_environment(call: Call) -> Reply:
    project, wanted = call.params["project"], call.parse(EnvironmentIn)
    outcome = await service.create_environment(work_of(call), project, wanted)
    return answer(call, outcome, created_at=service.environment_path(project, wanted.key))


async def read_environment(call: Call) -> Reply:
    work, params = work_of(call), call.params
    found = await service.read_environment(work, params["project"], params["environment"])
    return shown(found, etag_covers_body=False)


async def update_environment(call: Call) -> Reply:
    work, params = work_of(call), call.params
    return answer(call, await service.update_environment(work, params["project"], params["environment"], call.json()))


async def delete_environment(call: Call) -> Reply:
    work, params = work_of(call), call.params
    return answer(call, await service.delete_environment(work, params["project"], params["environment"]))


async def compare_environments(call: Call) -> Reply:
    source = call.query.get("from")
    if not source:
        raise Invalid(errors=[FieldError("from", "`from` is missing: name the environment to compare with")])
    found = await service_copy.compare_environments(
        work_of(call), call.params["project"], source, call.params["environment"]
    )
    return Reply(body={"items": [plain(one) for one in found]})


async def copy_configurations(call: Call) -> Reply:
    work, params = work_of(call), call.params
    wanted = call.parse(CopyIn)
    return answer(call, await service_copy.copy_configurations(work, params["project"], params["environment"], wanted))


async def export_project(call: Call) -> Reply:
    format_ = call.query.get("format", "json")
    if format_ not in ("json", "yaml"):
        raise Invalid(errors=[FieldError("format", "`format` is `json` or `yaml`")])
    document = plain(await service_export.export_project(work_of(call), call.params["project"]))
    if format_ == "json":
        return Reply(body=document)
    return Reply(body=await asyncio.to_thread(write_yaml, document), media_type=YAML)


async def import_project(call: Call) -> Reply:
    # In a thread: reading megabytes, of YAML above all, would stop everybody else's requests and streams.
    document = await asyncio.to_thread(_read_document, call)
    return answer(call, await service_import.import_project(work_of(call), document))


def _read_document(call: Call) -> ProjectDocument:
    if call.media_type == YAML:
        if len(call.body) > MAX_YAML_BYTES:
            raise LimitExceeded("yaml_bytes", MAX_YAML_BYTES, detail="large imports are read as JSON only")
        document = read_yaml(call.body, nodes=MAX_IMPORT_NODES, depth=MAX_IMPORT_DEPTH)
    elif call.body:
        document = read_json(call.body, nodes=MAX_IMPORT_NODES, depth=MAX_IMPORT_DEPTH)
    else:
        raise Invalid("the request needs a body")
    return parse(ProjectDocument, document)


_PROJECTS = "/api/v1/projects"
_PROJECT = f"{_PROJECTS}/{{project}}"
_ENVIRONMENTS = f"{_PROJECT}/environments"
_ENVIRONMENT = f"{_ENVIRONMENTS}/{{environment}}"

ROUTES = (
    Route("GET", _PROJECTS, "list_projects", "projects.read", list_projects, store="read", query=pagination.QUERY),
    Route("POST", _PROJECTS, "create_project", "projects.write", create_project, idempotent=True),
    Route("GET", _PROJECT, "read_project", "projects.read", read_project, store="read"),
    Route("PATCH", _PROJECT, "update_project", "projects.write", update_project, writes=True),
    Route("DELETE", _PROJECT, "delete_project", "projects.write", delete_project, writes=True),
    Route(
        "GET", f"{_PROJECT}/export", "export_project", "projects.read", export_project, store="read", query=("format",)
    ),
    Route(
        "POST",
        "/api/v1/import",
        "import_project",
        "projects.import",
        import_project,
        idempotent=True,
        max_body=MAX_IMPORT_BYTES,
        media_types=(JSON, YAML),
    ),
    Route("GET", _ENVIRONMENTS, "list_environments", "projects.read", list_environments, store="read"),
    Route("POST", _ENVIRONMENTS, "create_environment", "environments.write", create_environment, idempotent=True),
    Route("GET", _ENVIRONMENT, "read_environment", "projects.read", read_environment, store="read"),
    Route("PATCH", _ENVIRONMENT, "update_environment", "environments.write", update_environment, writes=True),
    Route("DELETE", _ENVIRONMENT, "delete_environment", "environments.write", delete_environment, writes=True),
    Route(
        "GET",
        f"{_ENVIRONMENT}/compare",
        "compare_environments",
        "flags.read",
        compare_environments,
        store="read",
        query=("from",),
    ),
    Route(
        "POST",
        f"{_ENVIRONMENT}/copy",
        "copy_configurations",
        "configurations.write",
        copy_configurations,
        writes=True,
    ),
)
