"""Routes of permits, of the keys that sign them, and of break-glass."""

from typing import Any, Final

from greenroom_server.errors import ReleaseRefused
from greenroom_server.flags.answers import answer, answer_if_new, work_of
from greenroom_server.flags.work import plain
from greenroom_server.permits import service_glass as glass
from greenroom_server.permits import service_keys as keys
from greenroom_server.permits import service_permits as permits
from greenroom_server.permits.desk import Desk
from greenroom_server.permits.service_use import release_permit, use_permit
from greenroom_server.permits.wire import (
    BreakGlassConfirmIn,
    BreakGlassIn,
    BreakGlassReviewIn,
    PermitEndIn,
    PermitIn,
    PermitKeysOut,
)
from greenroom_server.releases.reading import FACT_FILTERS, by_seq, fact_filter
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.problems import problem_of
from greenroom_server.web.reply import Reply
from greenroom_server.web.route import Route
from greenroom_server.web.scope import request_id_of

_PROJECT: Final = "/api/v1/projects/{project}"
_PERMITS: Final = f"{_PROJECT}/permits"
_PERMIT: Final = f"{_PERMITS}/{{permit:uuid}}"
_KEYS: Final = f"{_PROJECT}/permit-keys"
_GLASSES: Final = f"{_PROJECT}/break-glass"
_GLASS: Final = f"{_GLASSES}/{{break_glass:uuid}}"


async def list_permits(call: Call) -> Reply:
    request, before = by_seq(call)
    rows = await permits.page_permits(
        work_of(call), call.params["project"], fact_filter(call), before=before, limit=request.limit + 1
    )
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.seq,)))


async def read_permit(call: Call) -> Reply:
    return Reply(body=plain(await permits.read_permit(work_of(call), call.params["project"], call.params["permit"])))


async def release_one(call: Call) -> Reply:
    wanted = call.parse(PermitEndIn)
    return answer(
        call, await release_permit(work_of(call), call.params["project"], call.params["permit"], wanted.reason)
    )


async def list_break_glasses(call: Call) -> Reply:
    request, before = by_seq(call)
    rows = await glass.page_break_glasses(
        work_of(call), call.params["project"], fact_filter(call), before=before, limit=request.limit + 1
    )
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.seq,)))


async def read_break_glass(call: Call) -> Reply:
    return Reply(body=plain(await glass.read_break_glass(work_of(call), *_glass_of(call))))


async def confirm_break_glass(call: Call) -> Reply:
    wanted = call.parse(BreakGlassConfirmIn)
    return answer(call, await glass.confirm_break_glass(work_of(call), *_glass_of(call), wanted))


async def withdraw_break_glass(call: Call) -> Reply:
    wanted = call.parse(PermitEndIn)
    return answer(call, await glass.withdraw_break_glass(work_of(call), *_glass_of(call), wanted.reason))


async def review_break_glass(call: Call) -> Reply:
    wanted = call.parse(BreakGlassReviewIn)
    return answer(call, await glass.review_break_glass(work_of(call), *_glass_of(call), wanted))


def permit_routes(desk: Desk) -> tuple[Route, ...]:
    """The routes; the desk decides and signs."""

    async def issue_permit(call: Call) -> Reply:
        project, wanted = call.params["project"], call.parse(PermitIn)
        outcome = await permits.issue_permit(work_of(call), desk, project, wanted, is_trial=call.dry_run)
        permit = outcome.result.permit
        return answer(call, outcome, created_at=None if permit is None else permits.permit_path(project, permit.id))

    async def use_one(call: Call) -> Reply:
        used = await use_permit(work_of(call), desk, call.params["project"], call.params["permit"])
        if used.refusal is None or call.dry_run:
            return answer(call, used.outcome)
        # Answered and not raised: that the permit is revoked has to be committed.
        refused = ReleaseRefused(used.decision, f"the permit is revoked: {used.refusal}")
        refused.code = "permit_revoked"
        return problem_of(refused, request_id=request_id_of(call.request.scope))

    async def list_permit_keys(call: Call) -> Reply:
        found = await keys.list_keys(work_of(call), call.params["project"])
        return Reply(body=plain(PermitKeysOut(verifier=desk.verifier.id, items=found)))

    async def rotate_permit_key(call: Call) -> Reply:
        return answer(call, await keys.rotate_key(work_of(call), desk, call.params["project"]))

    read: dict[str, Any] = {"store": "read"}
    listed = {"query": (*pagination.QUERY, *FACT_FILTERS), **read}
    return (
        Route("GET", _PERMITS, "list_permits", "releases.read", list_permits, **listed),
        Route("POST", _PERMITS, "issue_permit", "permits.write", issue_permit, idempotent=True),
        Route("GET", _PERMIT, "read_permit", "releases.read", read_permit, **read),
        Route("POST", f"{_PERMIT}/use", "use_permit", "permits.write", use_one, idempotent=True),
        Route("POST", f"{_PERMIT}/release", "release_permit", "permits.write", release_one, writes=True),
        Route("GET", _KEYS, "list_permit_keys", "releases.read", list_permit_keys, **read),
        Route("POST", f"{_KEYS}/rotate", "rotate_permit_key", "permits.keys", rotate_permit_key, writes=True),
        *break_glass_routes(desk),
    )


def break_glass_routes(desk: Desk) -> tuple[Route, ...]:
    """Those of break-glass; the desk knows the policy that names who may open one."""

    async def open_break_glass(call: Call) -> Reply:
        project, wanted = call.params["project"], call.parse(BreakGlassIn)
        outcome = await glass.open_break_glass(work_of(call), desk.shelves.policies, project, wanted)
        return answer_if_new(call, outcome, glass.break_glass_path(project, outcome.result.id))

    may: Final = "break_glass.write"
    listed: dict[str, Any] = {"query": (*pagination.QUERY, *FACT_FILTERS), "store": "read"}
    return (
        Route("GET", _GLASSES, "list_break_glasses", "releases.read", list_break_glasses, **listed),
        Route("POST", _GLASSES, "open_break_glass", may, open_break_glass, idempotent=True),
        Route("GET", _GLASS, "read_break_glass", "releases.read", read_break_glass, store="read"),
        Route("POST", f"{_GLASS}/confirm", "confirm_break_glass", may, confirm_break_glass, writes=True),
        Route("POST", f"{_GLASS}/withdraw", "withdraw_break_glass", may, withdraw_break_glass, writes=True),
        Route("POST", f"{_GLASS}/review", "review_break_glass", may, review_break_glass, writes=True),
    )


def _glass_of(call: Call) -> tuple[str, str]:
    return call.params["project"], call.params["break_glass"]
