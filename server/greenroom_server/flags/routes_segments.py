"""Routes of segments."""

from greenroom_server.flags import service_segments as service
from greenroom_server.flags import service_uses as uses
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.wire import SegmentIn
from greenroom_server.flags.work import plain
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route


async def list_segments(call: Call) -> Reply:
    request = pagination.page_request(call, str)
    after = None if request.after is None else request.after[0]
    rows = await service.page_segments(work_of(call), call.params["project"], after=after, limit=request.limit + 1)
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.key,)))


async def create_segment(call: Call) -> Reply:
    project, wanted = call.params["project"], call.parse(SegmentIn)
    outcome = await service.create_segment(work_of(call), project, wanted)
    return answer(call, outcome, created_at=service.segment_path(project, wanted.key))


async def read_segment(call: Call) -> Reply:
    return shown(await service.read_segment(work_of(call), call.params["project"], call.params["segment"]))


async def update_segment(call: Call) -> Reply:
    work, params = work_of(call), call.params
    return answer(call, await service.update_segment(work, params["project"], params["segment"], call.json()))


async def delete_segment(call: Call) -> Reply:
    return answer(call, await service.delete_segment(work_of(call), call.params["project"], call.params["segment"]))


async def read_segment_usage(call: Call) -> Reply:
    found = await uses.list_uses_of_segment(work_of(call), call.params["project"], call.params["segment"])
    return Reply(body={"items": [plain(use) for use in found]})


_SEGMENTS = "/api/v1/projects/{project}/segments"
_SEGMENT = f"{_SEGMENTS}/{{segment}}"

ROUTES = (
    Route("GET", _SEGMENTS, "list_segments", "flags.read", list_segments, store="read", query=pagination.QUERY),
    Route("POST", _SEGMENTS, "create_segment", "segments.write", create_segment, idempotent=True),
    Route("GET", _SEGMENT, "read_segment", "flags.read", read_segment, store="read"),
    Route("PATCH", _SEGMENT, "update_segment", "segments.write", update_segment, writes=True),
    Route("DELETE", _SEGMENT, "delete_segment", "segments.write", delete_segment, writes=True),
    Route("GET", f"{_SEGMENT}/usage", "read_segment_usage", "flags.read", read_segment_usage, store="read"),
)
