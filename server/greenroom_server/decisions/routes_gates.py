"""Routes of release gates."""

from typing import Final

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_gates import put_gate, read_gate
from greenroom_server.decisions.wire import GateIn
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route

_GATE: Final = "/api/v1/projects/{project}/environments/{environment}/release-gate"


def gate_routes(shelf: PolicyShelf) -> tuple[Route, ...]:
    """The routes; compiled policies come off the shelf."""

    async def read_release_gate(call: Call) -> Reply:
        found = await read_gate(work_of(call), call.params["project"], call.params["environment"], shelf)
        return shown(found, etag_covers_body=False)

    async def put_release_gate(call: Call) -> Reply:
        place, wanted = (call.params["project"], call.params["environment"]), call.parse(GateIn)
        return answer(call, await put_gate(work_of(call), *place, wanted, shelf))

    return (
        Route("GET", _GATE, "read_release_gate", "policies.read", read_release_gate, store="read"),
        Route("PUT", _GATE, "put_release_gate", "gates.write", put_release_gate, writes=True),
    )
