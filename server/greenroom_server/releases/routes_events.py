"""The route on which other tools tell what happened, as CDEvents over CloudEvents."""

import asyncio

from greenroom_server.flags.answers import answer, work_of
from greenroom_server.releases.formats import NAME_OF, Beside, read
from greenroom_server.releases.sanctions import Sanctions
from greenroom_server.releases.service_events import take_events
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.route import MIB, Route

_MEDIA_TYPES = tuple(sorted(name for name, found in NAME_OF.items() if found == "cdevents"))


def event_routes(sanctions: Sanctions) -> tuple[Route, ...]:
    """The route; `sanctions` looks at the deployments that events tell of."""

    async def take_in_events(call: Call) -> Reply:
        beside = Beside(headers={name.lower(): value for name, value in call.request.headers.items()})
        found = await asyncio.to_thread(read, call.media_type or "", [call.body], beside)
        return answer(call, await take_events(work_of(call), call.params["project"], found, sanctions))

    return (
        Route(
            "POST",
            "/api/v1/projects/{project}/events",
            "take_in_events",
            "facts.write",
            take_in_events,
            writes=True,
            max_body=4 * MIB,
            media_types=_MEDIA_TYPES,
        ),
    )
