"""Routes of the exposures area."""

from greenroom_server.exposures.reading import MAX_WIRE_BYTES, read_report
from greenroom_server.exposures.service import TakeIn
from greenroom_server.flags.work import plain
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route


def intake_route(take_in: TakeIn) -> Route:
    """Where applications report; `take_in` returns once all is on disk."""

    async def report_exposures(call: Call) -> Reply:
        batch, size = await read_report(call.body, is_packed=call.request.headers.get("content-encoding") == "gzip")
        return Reply(202, plain(await take_in(call.principal, batch, size)))

    return Route(
        "POST",
        "/api/v1/sdk/exposures",
        "report_exposures",
        "exposures.write",
        report_exposures,
        max_body=MAX_WIRE_BYTES,
        takes_gzip=True,
    )
