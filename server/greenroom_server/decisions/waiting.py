"""Waiting until a decision may be another one: because something came in, or because its time has passed."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from greenroom_server.clock import Clock
from greenroom_server.decisions.service_decisions import get_decision
from greenroom_server.decisions.service_news import Marks, NewsDesk, Store, Watched
from greenroom_server.decisions.tables import DecisionRow
from greenroom_server.decisions.wire import NewsOut
from greenroom_server.flags.answers import work_of
from greenroom_server.web.call import Call

MAX_WAIT_S: Final = 60


class Waiting:
    """Answers whoever waits for news of a decision."""

    def __init__(self, store: Store, desk: NewsDesk, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock

    async def news_of(self, call: Call, wait_s: int) -> NewsOut:
        """Returns as soon as there is news, or after `wait_s` seconds. Holds no session meanwhile."""
        async with self._store.reading() as session:
            call.session = session
            row = await get_decision(work_of(call), call.params["project"], call.params["decision"])
        known, turns_at = Marks(row.seq, row.activation, row.revision), _turns_at(row)
        left_s = wait_s if turns_at is None else min(wait_s, (turns_at - self._clock.now()).total_seconds())
        place = Watched(row.project_id, row.environment)
        marks = await self._desk.wait(place, known, left_s) if left_s > 0 else known
        is_due = turns_at is not None and self._clock.now() >= turns_at
        return NewsOut(changed=marks != known or is_due, seq=marks.seq)


def _turns_at(row: DecisionRow) -> datetime | None:
    """When the decision turns by time alone."""
    body: dict[str, Any] = orjson.loads(row.body)
    moments = [datetime.fromisoformat(text) for name in ("retry_at", "expires_at") if (text := body[name]) is not None]
    return min(moments).astimezone(UTC) if moments else None
