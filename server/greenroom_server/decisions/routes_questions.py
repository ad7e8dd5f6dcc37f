"""The route by which a decision is asked for."""

from typing import NamedTuple

from greenroom_server.decisions import service_callbacks as callbacks
from greenroom_server.decisions import service_decisions as decisions
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.decisions.wire import CallbackIn, DecisionIn
from greenroom_server.flags.answers import answer, work_of
from greenroom_server.flags.work import plain
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.webhooks.desk import Desk

PATH = "/api/v1/projects/{project}/decisions"


class Asked(NamedTuple):
    """What was decided before the transaction in which it is kept."""

    made: decisions.Made
    callback: CallbackIn | None


def question_route(shelves: Shelves, desk: Desk) -> Route:
    """`desk` says where callbacks may go."""

    async def glance(call: Call) -> Asked | None:
        wanted = call.parse(DecisionIn)
        if wanted.callback is not None:
            return None
        known = await decisions.make_from_known(work_of(call), call.params["project"], wanted, shelves)
        return None if known is None else _asked(call, known, None)

    async def look(call: Call) -> Asked:
        project, wanted = call.params["project"], call.parse(DecisionIn)
        if wanted.callback is not None:
            await callbacks.check_callback(work_of(call), desk, project, wanted.callback)
        made = await decisions.make_decision(work_of(call), project, wanted, shelves)
        return _asked(call, made, wanted.callback)

    async def keep_decision(call: Call) -> Reply:
        made, wanted = call.seen
        outcome = await decisions.keep_decision(work_of(call), made)
        if wanted is None or call.dry_run:
            return answer(call, outcome)
        opened = await callbacks.open_callback(work_of(call), desk, made, wanted)
        if opened is None:
            return Reply(body={**outcome.result, "callback": None})
        # INVARIANT: the text of a secret is not stored with the answer, so a repeated `Idempotency-Key` gets none.
        again = {**outcome.result, "callback": plain(opened) | {"secret": None}}
        return Reply(body={**outcome.result, "callback": plain(opened)}, replay_body=again)

    return Route(
        "POST",
        PATH,
        "make_decision",
        "decisions.write",
        keep_decision,
        idempotent=True,
        looks=look,
        glances=glance,
    )


def _asked(call: Call, made: decisions.Made, callback: CallbackIn | None) -> Asked:
    call.is_single = callback is None and not decisions.uses_break_glass(made)
    return Asked(made, callback)
