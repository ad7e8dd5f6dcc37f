"""Routes of named releases."""

import asyncio
from typing import Any, Final, get_args

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.work import plain
from greenroom_server.rollouts import service_moves as moves
from greenroom_server.rollouts import service_releases as releases
from greenroom_server.rollouts.listening import Listener
from greenroom_server.rollouts.service_scope import release_path
from greenroom_server.rollouts.service_steps import Why
from greenroom_server.rollouts.wire import (
    ReleaseApproveIn,
    ReleaseForceIn,
    ReleaseIn,
    ReleaseScheduleIn,
    ReleaseUndoIn,
    ReleaseWordIn,
    State,
)
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.codec import MAX_NODES
from greenroom_server.web.reply import JSON, Reply
from greenroom_server.web.route import MERGE_PATCH
from greenroom_server.web.routing import Route
from greenroom_server.web.scope import KEY_PATTERN
from greenroom_server.web.validation import parse
from greenroom_server.web.yaml_codec import read_yaml

YAML: Final = "application/yaml"
_RELEASES: Final = "/api/v1/projects/{project}/releases"
_RELEASE: Final = f"{_RELEASES}/{{release}}"


async def list_releases(call: Call) -> Reply:
    request = pagination.page_request(call, str)
    found = await releases.page_releases(
        work_of(call),
        call.params["project"],
        state=_state_of(call),
        environment=_environment_of(call),
        after=None if request.after is None else request.after[0],
        limit=request.limit + 1,
    )
    return Reply(body=pagination.page(found, request, item=plain, sort_key=lambda row: (row.key,)))


async def create_release(call: Call) -> Reply:
    project, wanted = call.params["project"], parse(ReleaseIn, await _document_of(call))
    outcome = await releases.create_release(work_of(call), project, wanted)
    return answer(call, outcome, created_at=release_path(project, wanted.key))


async def list_release_moves(call: Call) -> Reply:
    found = await releases.list_moves(work_of(call), *_path(call))
    return Reply(body={"items": [plain(one) for one in found]})


async def update_release(call: Call) -> Reply:
    return answer(call, await releases.update_release(work_of(call), *_path(call), await _document_of(call)))


async def delete_release(call: Call) -> Reply:
    return answer(call, await releases.delete_release(work_of(call), *_path(call)))


async def schedule_release(call: Call) -> Reply:
    return answer(call, await moves.schedule(work_of(call), _path(call), call.parse(ReleaseScheduleIn)))


async def approve_release(call: Call) -> Reply:
    return answer(call, await moves.approve(work_of(call), _path(call), call.parse(ReleaseApproveIn)))


async def hold_release(call: Call) -> Reply:
    return answer(call, await moves.hold_release(work_of(call), _path(call), _word(call)))


async def resume_release(call: Call) -> Reply:
    return answer(call, await moves.resume(work_of(call), _path(call), _force(call)))


async def abort_release(call: Call) -> Reply:
    return answer(call, await moves.abort(work_of(call), _path(call), _word(call)))


async def undo_release(call: Call) -> Reply:
    wanted = call.parse(ReleaseUndoIn) if call.body else ReleaseUndoIn()
    return answer(call, await moves.undo_release(work_of(call), _path(call), wanted))


def release_routes(listener: Listener) -> tuple[Route, ...]:
    """The routes; who looks at a release, or goes on by hand, hears of the guardrails too."""

    async def read_release(call: Call) -> Reply:
        # What it waits for, and how its flags differ, move without its version.
        found = await releases.read_release(work_of(call), *_path(call), listener)
        return shown(found, etag_covers_body=False)

    async def go_on_with_release(call: Call) -> Reply:
        return answer(call, await moves.go(work_of(call), _path(call), _force(call), listener))

    read, plan, serve = "releases.read", "rollouts.write", "configurations.write"
    return (
        Route(
            "GET",
            _RELEASES,
            "list_releases",
            read,
            list_releases,
            store="read",
            query=(*pagination.QUERY, "state", "environment"),
        ),
        Route("POST", _RELEASES, "create_release", plan, create_release, idempotent=True, media_types=(JSON, YAML)),
        Route("GET", _RELEASE, "read_release", read, read_release, store="read"),
        Route(
            "PATCH",
            _RELEASE,
            "update_release",
            plan,
            update_release,
            writes=True,
            media_types=(MERGE_PATCH, JSON, YAML),
        ),
        Route("DELETE", _RELEASE, "delete_release", plan, delete_release, writes=True),
        Route("GET", f"{_RELEASE}/moves", "list_release_moves", read, list_release_moves, store="read"),
        Route("POST", f"{_RELEASE}/schedule", "schedule_release", serve, schedule_release, writes=True),
        Route("POST", f"{_RELEASE}/approve", "approve_release", "judgements.write", approve_release, writes=True),
        Route("POST", f"{_RELEASE}/go", "go_on_with_release", serve, go_on_with_release, idempotent=True),
        Route("POST", f"{_RELEASE}/hold", "hold_release", serve, hold_release, writes=True),
        Route("POST", f"{_RELEASE}/resume", "resume_release", serve, resume_release, writes=True),
        Route("POST", f"{_RELEASE}/abort", "abort_release", serve, abort_release, writes=True),
        Route("POST", f"{_RELEASE}/undo", "undo_release", serve, undo_release, idempotent=True),
    )


async def _document_of(call: Call) -> Any:
    """A plan as JSON or YAML."""
    if call.media_type != YAML:
        return call.json()
    return await asyncio.to_thread(read_yaml, call.body, nodes=MAX_NODES)


def _path(call: Call) -> tuple[str, str]:
    return call.params["project"], call.params["release"]


def _word(call: Call) -> Why:
    wanted = call.parse(ReleaseWordIn) if call.body else ReleaseWordIn()
    return Why(wanted.reason)


def _force(call: Call) -> Why:
    wanted = call.parse(ReleaseForceIn) if call.body else ReleaseForceIn()
    return Why(wanted.reason, wanted.force)


def _state_of(call: Call) -> str | None:
    state = call.query.get("state")
    if state is not None and state not in get_args(State):
        detail = f"`state` is one of {', '.join(get_args(State))}"
        raise Invalid(detail, errors=[FieldError("state", detail)])
    return state


def _environment_of(call: Call) -> str | None:
    key = call.query.get("environment")
    if key is not None and KEY_PATTERN.fullmatch(key) is None:
        detail = "`environment` is not what a key looks like"
        raise Invalid(detail, errors=[FieldError("environment", detail)])
    return key
