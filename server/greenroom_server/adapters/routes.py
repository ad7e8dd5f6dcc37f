"""Routes on which integrations are managed."""

from datetime import datetime
from uuid import UUID

from greenroom_server.adapters import service_integrations as service
from greenroom_server.adapters.wire import IntegrationIn
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.work import plain
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.times import moment_of
from greenroom_server.webhooks.desk import Desk

INTEGRATIONS = "/api/v1/projects/{project}/integrations"
INTEGRATION = f"{INTEGRATIONS}/{{integration}}"


def routes(desk: Desk) -> tuple[Route, ...]:
    """`desk` says where may be sent to, and how secrets are kept."""

    async def create_integration(call: Call) -> Reply:
        project = call.params["project"]
        outcome = await service.create_integration(work_of(call), desk, project, call.parse(IntegrationIn))
        return answer(call, outcome, created_at=service.integration_path(project, outcome.result.key))

    async def update_integration(call: Call) -> Reply:
        return answer(call, await service.update_integration(work_of(call), desk, *_place_of(call), call.json()))

    read, write = "integrations.read", "integrations.write"
    return (
        Route("GET", INTEGRATIONS, "list_integrations", read, list_integrations, store="read"),
        Route("POST", INTEGRATIONS, "create_integration", write, create_integration, idempotent=True),
        Route("GET", INTEGRATION, "read_integration", read, read_integration, store="read"),
        Route("PATCH", INTEGRATION, "update_integration", write, update_integration, writes=True),
        Route("DELETE", INTEGRATION, "delete_integration", write, delete_integration, writes=True),
        Route(
            "GET",
            f"{INTEGRATION}/requests",
            "list_gate_requests",
            read,
            list_gate_requests,
            store="read",
            query=pagination.QUERY,
        ),
    )


async def list_integrations(call: Call) -> Reply:
    found = await service.list_integrations(work_of(call), call.params["project"])
    return Reply(body={"items": [plain(one) for one in found]})


async def read_integration(call: Call) -> Reply:
    return shown(await service.read_integration(work_of(call), *_place_of(call)), etag_covers_body=False)


async def delete_integration(call: Call) -> Reply:
    return answer(call, await service.delete_integration(work_of(call), *_place_of(call)))


async def list_gate_requests(call: Call) -> Reply:
    request = pagination.page_request(call, str, str)
    before = None if request.after is None else _sort_key(*request.after)
    rows = await service.page_requests(work_of(call), *_place_of(call), before=before, limit=request.limit + 1)
    return Reply(
        body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.created_at.isoformat(), row.id))
    )


def _place_of(call: Call) -> tuple[str, str]:
    return call.params["project"], call.params["integration"]


def _sort_key(created_at: str, request_id: str) -> tuple[datetime, UUID]:
    try:
        return moment_of(created_at), UUID(request_id)
    except ValueError:
        raise Invalid(errors=[FieldError("cursor", "`cursor` is not one of ours")]) from None
