"""Routes of change requests."""

from typing import Any, Final, get_args

from greenroom_server.change_requests import service_applying as applying
from greenroom_server.change_requests import service_reading as reading
from greenroom_server.change_requests import service_requests as requests
from greenroom_server.change_requests import service_settings as settings
from greenroom_server.change_requests import service_words as words
from greenroom_server.change_requests.service_preview import preview_request
from greenroom_server.change_requests.wire import (
    ApproveIn,
    BecauseIn,
    ChangeRequestIn,
    PreviewIn,
    RejectIn,
    RequestState,
    ScheduleIn,
)
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.work import plain
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.problems import problem_of
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.scope import request_id_of

_STATES: Final = get_args(RequestState)


async def read_approval_settings(call: Call) -> Reply:
    params = call.params
    return shown(await settings.read_settings(work_of(call), params["project"], params["environment"]))


async def update_approval_settings(call: Call) -> Reply:
    params = call.params
    outcome = await settings.update_settings(work_of(call), params["project"], params["environment"], call.json())
    return answer(call, outcome)


async def list_change_requests(call: Call) -> Reply:
    request = pagination.page_request(call, int)
    state = call.query.get("state")
    if state is not None and state not in _STATES:
        raise Invalid(errors=[FieldError("state", f"`state` is one of {', '.join(f'`{one}`' for one in _STATES)}")])
    before = None if request.after is None else request.after[0]
    rows = await reading.page_requests(
        work_of(call),
        (call.params["project"], call.params["environment"]),
        state,
        before=before,
        limit=request.limit + 1,
    )
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.number,)))


async def create_change_request(call: Call) -> Reply:
    project, environment = call.params["project"], call.params["environment"]
    outcome = await requests.open_request(work_of(call), project, environment, call.parse(ChangeRequestIn))
    path = reading.request_path(project, environment, outcome.result.number)
    return answer(call, outcome, created_at=path)


async def read_change_request(call: Call) -> Reply:
    return shown(await reading.read_request(work_of(call), _path(call)), etag_covers_body=False)


async def update_change_request(call: Call) -> Reply:
    return answer(call, await requests.edit_request(work_of(call), _path(call), call.json()))


async def open_change_request(call: Call) -> Reply:
    return answer(call, await requests.publish_request(work_of(call), _path(call)))


async def approve_change_request(call: Call) -> Reply:
    return answer(call, await words.approve_request(work_of(call), _path(call), call.parse(ApproveIn)))


async def reject_change_request(call: Call) -> Reply:
    return answer(call, await words.reject_request(work_of(call), _path(call), call.parse(RejectIn)))


async def retract_change_request_word(call: Call) -> Reply:
    return answer(call, await words.retract_word(work_of(call), _path(call), _because(call)))


async def withdraw_change_request(call: Call) -> Reply:
    return answer(call, await requests.withdraw_request(work_of(call), _path(call), _because(call)))


async def schedule_change_request(call: Call) -> Reply:
    return answer(call, await requests.schedule_request(work_of(call), _path(call), call.parse(ScheduleIn)))


async def apply_change_request(call: Call) -> Reply:
    done = await applying.apply_request(work_of(call), _path(call))
    if done.refusal is None:
        return answer(call, done.outcome)
    # An answer and no exception: why it was not applied is kept with the request.
    return problem_of(done.refusal, request_id=request_id_of(call.request.scope))


async def preview_change_request(call: Call) -> Reply:
    wanted = call.parse(PreviewIn) if call.body else PreviewIn()
    return Reply(body=plain(await preview_request(work_of(call), _path(call), wanted)))


def _because(call: Call) -> str:
    return call.parse(BecauseIn).reason if call.body else ""


def _path(call: Call) -> reading.Path:
    return call.params["project"], call.params["environment"], call.params["change_request"]


_ENVIRONMENT: Final = "/api/v1/projects/{project}/environments/{environment}"
_SETTINGS: Final = f"{_ENVIRONMENT}/approval-settings"
_REQUESTS: Final = f"{_ENVIRONMENT}/change-requests"
_REQUEST: Final = f"{_REQUESTS}/{{change_request}}"
_READ: Final[dict[str, Any]] = {"store": "read"}


def _act(verb: str, permission: str, handler: Any) -> Route:
    name = handler.__name__
    return Route("POST", f"{_REQUEST}/{verb}", name, permission, handler, writes=True)


ROUTES: Final = (
    Route("GET", _SETTINGS, "read_approval_settings", "flags.read", read_approval_settings, **_READ),
    Route(
        "PATCH",
        _SETTINGS,
        "update_approval_settings",
        "change_requests.settings",
        update_approval_settings,
        writes=True,
    ),
    Route(
        "GET",
        _REQUESTS,
        "list_change_requests",
        "flags.read",
        list_change_requests,
        query=(*pagination.QUERY, "state"),
        **_READ,
    ),
    Route("POST", _REQUESTS, "create_change_request", "change_requests.write", create_change_request, idempotent=True),
    Route("GET", _REQUEST, "read_change_request", "flags.read", read_change_request, **_READ),
    Route("PATCH", _REQUEST, "update_change_request", "change_requests.write", update_change_request, writes=True),
    _act("open", "change_requests.write", open_change_request),
    _act("approve", "change_requests.approve", approve_change_request),
    _act("reject", "change_requests.approve", reject_change_request),
    _act("retract", "change_requests.approve", retract_change_request_word),
    _act("withdraw", "change_requests.write", withdraw_change_request),
    _act("schedule", "change_requests.write", schedule_change_request),
    _act("apply", "configurations.write", apply_change_request),
    _act("preview", "flags.read", preview_change_request),
)
