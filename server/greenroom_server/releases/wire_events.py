"""What is answered to events of other tools."""

from typing import Literal

from greenroom_server.flags.wire import Closed


class EventOut(Closed):
    """What became of one event; `fact` is the path of what it told, `reason` why nothing was taken from it."""

    source: str
    id: str
    type: str
    status: Literal["accepted", "duplicate", "ignored"]
    fact: str | None
    reason: str | None


class EventsOut(Closed):
    """What became of the events of a request, in their order."""

    items: list[EventOut]
