"""Routes of builds and deployments."""

from greenroom_server.flags.answers import answer, answer_if_new, work_of
from greenroom_server.flags.work import plain
from greenroom_server.releases import service_builds as builds
from greenroom_server.releases import service_deployments as deployments
from greenroom_server.releases.reading import by_seq
from greenroom_server.releases.sanctions import Sanctions
from greenroom_server.releases.service_services import service_path
from greenroom_server.releases.wire_builds import BuildIn, DeploymentIn, DigestIn, FailIn, FinishIn, LiveIn
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.route import MIB, Route


async def register_build(call: Call) -> Reply:
    project, service, wanted = call.params["project"], call.params["service"], call.parse(BuildIn)
    outcome = await builds.register_build(work_of(call), project, service, wanted)
    return answer_if_new(call, outcome, f"{service_path(project, service)}/builds/{wanted.digests[0]}")


async def declare_digest(call: Call) -> Reply:
    params, wanted = call.params, call.parse(DigestIn)
    project, service = params["project"], params["service"]
    outcome = await builds.declare_digest(work_of(call), project, service, params["digest"], wanted)
    return answer_if_new(call, outcome, f"{service_path(project, service)}/builds/{wanted.digest}")


async def list_registered_builds(call: Call) -> Reply:
    request, before = by_seq(call)
    rows = await builds.page_builds(
        work_of(call),
        call.params["project"],
        call.params["service"],
        call.query.get("commit"),
        before=before,
        limit=request.limit + 1,
    )
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.seq,)))


async def read_registered_build(call: Call) -> Reply:
    params = call.params
    found = await builds.read_build(work_of(call), params["project"], params["service"], params["digest"])
    return Reply(body=plain(found))


async def list_deployments(call: Call) -> Reply:
    request, before = by_seq(call)
    wanted = deployments.DeploymentFilter(
        call.query.get("environment"), call.query.get("digest"), running=call.flag("running")
    )
    rows = await deployments.page_deployments(
        work_of(call), call.params["project"], call.params["service"], wanted, before=before, limit=request.limit + 1
    )
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.seq,)))


async def read_deployment(call: Call) -> Reply:
    found = await deployments.read_deployment(work_of(call), call.params["project"], call.params["deployment"])
    return Reply(body=plain(found))


_PROJECT = "/api/v1/projects/{project}"
_SERVICE = f"{_PROJECT}/services/{{service}}"
_BUILDS = f"{_SERVICE}/builds"
_DEPLOYMENTS = f"{_SERVICE}/deployments"
_DEPLOYMENT = f"{_PROJECT}/deployments/{{deployment}}"

ROUTES = (
    Route(
        "GET",
        _BUILDS,
        "list_registered_builds",
        "releases.read",
        list_registered_builds,
        store="read",
        query=(*pagination.QUERY, "commit"),
    ),
    Route("POST", _BUILDS, "register_build", "facts.write", register_build, idempotent=True, max_body=2 * MIB),
    Route(
        "GET", f"{_BUILDS}/{{digest}}", "read_registered_build", "releases.read", read_registered_build, store="read"
    ),
    Route("POST", f"{_BUILDS}/{{digest}}/digests", "declare_digest", "facts.write", declare_digest, idempotent=True),
    Route(
        "GET",
        _DEPLOYMENTS,
        "list_deployments",
        "releases.read",
        list_deployments,
        store="read",
        query=(*pagination.QUERY, "environment", "digest", "running"),
    ),
    Route("GET", _DEPLOYMENT, "read_deployment", "releases.read", read_deployment, store="read"),
)


def deployment_routes(sanctions: Sanctions) -> tuple[Route, ...]:
    """The routes on which deployments are told of; `sanctions` looks at them."""

    async def start_deployment(call: Call) -> Reply:
        project, wanted = call.params["project"], call.parse(DeploymentIn)
        outcome = await deployments.start_deployment(work_of(call), project, call.params["service"], wanted, sanctions)
        return answer_if_new(call, outcome, deployments.deployment_path(project, outcome.result.id))

    async def finish_deployment(call: Call) -> Reply:
        wanted = call.parse(FinishIn)
        return answer(call, await deployments.finish_deployment(work_of(call), *_named(call), wanted, sanctions))

    async def fail_deployment(call: Call) -> Reply:
        wanted = call.parse(FailIn)
        return answer(call, await deployments.fail_deployment(work_of(call), *_named(call), wanted, sanctions))

    async def make_live(call: Call) -> Reply:
        wanted = call.parse(LiveIn)
        return answer(call, await deployments.make_live(work_of(call), *_named(call), wanted, sanctions))

    return (
        Route("POST", _DEPLOYMENTS, "start_deployment", "facts.write", start_deployment, idempotent=True),
        Route("POST", f"{_DEPLOYMENT}/finish", "finish_deployment", "facts.write", finish_deployment, writes=True),
        Route("POST", f"{_DEPLOYMENT}/fail", "fail_deployment", "facts.write", fail_deployment, writes=True),
        Route("POST", f"{_DEPLOYMENT}/live", "make_live", "facts.write", make_live, writes=True),
    )


def _named(call: Call) -> tuple[str, str]:
    return call.params["project"], call.params["deployment"]
