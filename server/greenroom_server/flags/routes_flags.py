"""Routes of flags and of their configurations."""

from typing import get_args

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags import service_configurations as configurations
from greenroom_server.flags import service_flags as service
from greenroom_server.flags import service_listing as listing
from greenroom_server.flags import service_uses as uses
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.wire import EvaluateIn, FlagIn, Lifecycle, Purpose, RolloutIn
from greenroom_server.flags.work import plain
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route


async def list_flags(call: Call) -> Reply:
    request = pagination.page_request(call, str)
    query = call.query
    wanted = listing.FlagFilter(
        tags=tuple(query.getlist("tag")),
        purpose=_one_of("purpose", query.get("purpose"), get_args(Purpose)),
        owner=query.get("owner"),
        lifecycle=_one_of("lifecycle", query.get("lifecycle"), get_args(Lifecycle)),
        text=query.get("text"),
    )
    after = None if request.after is None else request.after[0]
    rows = await listing.page_flags(work_of(call), call.params["project"], wanted, after=after, limit=request.limit + 1)
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.key,)))


async def create_flag(call: Call) -> Reply:
    project, wanted = call.params["project"], call.parse(FlagIn)
    outcome = await service.create_flag(work_of(call), project, wanted)
    return answer(call, outcome, created_at=service.flag_path(project, wanted.key))


async def read_flag(call: Call) -> Reply:
    found = await listing.read_flag(work_of(call), call.params["project"], call.params["flag"])
    return shown(found, etag_covers_body=False)


async def update_flag(call: Call) -> Reply:
    work, params = work_of(call), call.params
    return answer(call, await service.update_flag(work, params["project"], params["flag"], call.json()))


async def archive_flag(call: Call) -> Reply:
    return answer(call, await service.archive_flag(work_of(call), call.params["project"], call.params["flag"]))


async def restore_flag(call: Call) -> Reply:
    return answer(call, await service.restore_flag(work_of(call), call.params["project"], call.params["flag"]))


async def delete_flag(call: Call) -> Reply:
    return answer(call, await service.delete_flag(work_of(call), call.params["project"], call.params["flag"]))


async def read_flag_usage(call: Call) -> Reply:
    found = await uses.list_uses_of_flag(work_of(call), call.params["project"], call.params["flag"])
    return Reply(body={"items": [plain(use) for use in found]})


async def read_configuration(call: Call) -> Reply:
    return shown(await configurations.read_configuration(work_of(call), _place(call)), etag_covers_body=False)


async def update_configuration(call: Call) -> Reply:
    return answer(call, await configurations.update_configuration(work_of(call), _place(call), call.json()))


async def enable_flag(call: Call) -> Reply:
    return answer(call, await configurations.switch_flag(work_of(call), _place(call), enabled=True))


async def disable_flag(call: Call) -> Reply:
    return answer(call, await configurations.switch_flag(work_of(call), _place(call), enabled=False))


async def roll_out_flag(call: Call) -> Reply:
    wanted = call.parse(RolloutIn)
    return answer(call, await configurations.roll_out(work_of(call), _place(call), wanted))


async def explain_flag(call: Call) -> Reply:
    wanted = call.parse(EvaluateIn) if call.body else EvaluateIn()
    return Reply(body=await configurations.explain_evaluation(work_of(call), _place(call), wanted.context, wanted.at))


def _place(call: Call) -> tuple[str, str, str]:
    return call.params["project"], call.params["environment"], call.params["flag"]


def _one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise Invalid(errors=[FieldError(name, f"`{name}` is one of {', '.join(f'`{one}`' for one in allowed)}")])
    return value


_FLAGS = "/api/v1/projects/{project}/flags"
_FLAG = f"{_FLAGS}/{{flag}}"
_CONFIGURATION = "/api/v1/projects/{project}/environments/{environment}/flags/{flag}"
_FILTERS = ("tag", "purpose", "owner", "lifecycle", "text")

ROUTES = (
    Route("GET", _FLAGS, "list_flags", "flags.read", list_flags, store="read", query=(*pagination.QUERY, *_FILTERS)),
    Route("POST", _FLAGS, "create_flag", "flags.write", create_flag, idempotent=True),
    Route("GET", _FLAG, "read_flag", "flags.read", read_flag, store="read"),
    Route("PATCH", _FLAG, "update_flag", "flags.write", update_flag, writes=True),
    Route("DELETE", _FLAG, "delete_flag", "flags.delete", delete_flag, writes=True),
    Route("POST", f"{_FLAG}/archive", "archive_flag", "flags.write", archive_flag, writes=True),
    Route("POST", f"{_FLAG}/restore", "restore_flag", "flags.write", restore_flag, writes=True),
    Route("GET", f"{_FLAG}/usage", "read_flag_usage", "flags.read", read_flag_usage, store="read"),
    Route("GET", _CONFIGURATION, "read_configuration", "flags.read", read_configuration, store="read"),
    Route("PATCH", _CONFIGURATION, "update_configuration", "configurations.write", update_configuration, writes=True),
    Route("POST", f"{_CONFIGURATION}/enable", "enable_flag", "configurations.write", enable_flag, writes=True),
    Route("POST", f"{_CONFIGURATION}/disable", "disable_flag", "configurations.write", disable_flag, writes=True),
    Route("POST", f"{_CONFIGURATION}/rollout", "roll_out_flag", "configurations.write", roll_out_flag, writes=True),
    Route("POST", f"{_CONFIGURATION}/evaluate", "explain_flag", "flags.read", explain_flag, store="read"),
)
