"""Keeping a snapshot fresh, as a pure state machine: what happened goes in, what to do next comes out.

A driver asks `next_step`, does it, tells the outcome, and takes the `news`. The steps come one at a time: first one
fetch, then the stream; after three failed streams polling, with the stream tried again now and then (`pace.py`).
Whatever arrives is good as a whole or changes nothing. Time and chance are arguments.
"""

from collections.abc import Callable
from typing import Any, Final

from greenroom import pace
from greenroom.errors import Unusable
from greenroom.held import (
    MAX_DOCUMENT_BYTES,
    Held,
    changed_flags,
    parse_object,
    parse_sealed,
    read_sealed,
)
from greenroom.held import with_change as held_with_change
from greenroom.pace import Pace
from greenroom.sse import Event, EventParser, EventTooLarge
from greenroom.status import Health
from greenroom.steps import Answer, Fetch, News, Open, Read, Step, Swap, Wait

MAX_EVENT_BYTES: Final = MAX_DOCUMENT_BYTES + 4096
MAX_GOODBYE_S: Final = 300.0
NO_ANSWER: Final = Answer(0)
REFUSED: Final = frozenset((401, 403))


class Updates:
    """The state machine. Not safe for threads: one driver calls it."""

    def __init__(
        self,
        held: Held | None,
        draw: Callable[[], float],
        *,
        is_streaming: bool = True,
        poll_interval_s: float = pace.POLL_S,
    ) -> None:
        self.held = held
        self.health = Health("starting") if held is None else Health("stale", "not confirmed by the server yet")
        self._pace = Pace(draw)
        self._poll_interval_s = poll_interval_s
        self._news: list[News] = []
        self._due = 0.0
        self._must_fetch = True
        self._is_polling = not is_streaming
        self._stream_due = 0.0 if is_streaming else float("inf")
        self._stream_failures = 0
        self._is_opening = False  # the last step was `Open`
        self._is_down = False  # the last fetch got nothing good, or nobody was there
        self._parser: EventParser | None = None
        self._opened_at = self._heard_at = 0.0

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished event there is: applying it may take a while."""
        return 0 if self._parser is None else self._parser.pending_bytes

    def take_news(self) -> list[News]:
        """What is new since this was last asked, in order."""
        news, self._news = self._news, []
        return news

    def next_step(self, now: float) -> Step:
        """What to do now."""
        if self._parser is not None:
            left = self._heard_at + pace.SILENT_S - now
            if left > 0:
                return Read(left)
            self._must_fetch = True
            self._lose_stream(now, f"the stream was silent for {pace.SILENT_S:g} seconds", is_blind=True)
        if now < self._due:
            return Wait(self._due - now)
        tag = self.held.tag if self.held is not None and self.held.origin != "bootstrap" else None
        self._is_opening = not self._must_fetch and not (self._is_polling and now < self._stream_due)
        if self._is_opening:
            return Open(tag)
        return Fetch(None if tag is None else f'"{tag}"')

    def opened(self, answer: Answer, now: float) -> None:
        """The head of the stream's answer is there."""
        if answer.status != 200:
            self._fail_stream(now, _told(answer), answer)
        elif not answer.content_type.startswith("text/event-stream"):
            self._fail_stream(now, f"the stream is `{answer.content_type[:100]}` and no event stream", answer)
        else:
            self._parser = EventParser(MAX_EVENT_BYTES)
            self._opened_at = self._heard_at = now
            self._succeed(now)

    def received(self, data: bytes, now: float) -> None:
        """Bytes of the stream; none if it ended."""
        if self._parser is None:
            return
        if not data:
            self._lose_stream(now, "the stream ended")
            return
        self._heard_at = now
        try:
            for event in self._parser.feed(data):
                if not self._take(event, now):
                    break
        except (Unusable, EventTooLarge) as error:
            self._must_fetch = True
            self._lose_stream(now, f"the stream brought what cannot be used: {error}", is_blind=True)

    def fetched(self, answer: Answer, now: float) -> None:
        """The answer to a fetch."""
        if answer.status == 200:
            try:
                self._accept(read_sealed(answer.body, "server"))
            except Unusable as error:
                self._fail_fetch(now, f"the snapshot cannot be used: {error}", answer)
                return
        elif answer.status == 304 and self.held is not None:
            self._confirm(self.held)
        else:
            self._fail_fetch(now, _told(answer), answer)
            return
        self._must_fetch = False
        if self._is_down and self._stream_due != float("inf"):
            # All was down, not streams alone: they deserve new attempts.
            self._is_polling, self._stream_failures = False, 0
        self._succeed(now)
        self._due = now
        if self._is_polling:
            self._due = min(now + self._pace.until_poll(self._poll_interval_s), max(now, self._stream_due))

    def failed(self, cause: str, now: float, *, is_connected: bool = True) -> None:
        """A fetch or an attempt to open the stream got no answer, or the open stream broke.

        Without a connection it is not streams that fail.
        """
        if self._parser is not None:
            self._lose_stream(now, cause)
        elif self._is_opening:
            self._is_down = self._is_down or not is_connected
            self._fail_stream(now, cause)
        else:
            self._fail_fetch(now, cause)

    def _take(self, event: Event, now: float) -> bool:
        """Whether more may come."""
        match event.name:
            case "snapshot":
                self._accept(read_sealed(event.data, "server"))
            case "change":
                self._apply(parse_sealed(event.data))
            case "heartbeat":
                revision = parse_object(event.data).get("revision")
                if type(revision) is int and (self.held is None or revision > self.held.snapshot.revision):
                    raise Unusable(f"a heartbeat of revision {revision}, of which there was no word")
            case "goodbye":
                self._leave(parse_object(event.data).get("delay_ms"), now)
                return False
        return True

    def _accept(self, new: Held) -> None:
        """Take a whole snapshot, unless what is held is as new."""
        old = self.held
        if old is not None and old.origin != "bootstrap":
            mine, other = old.snapshot, new.snapshot
            if old.origin == "server" and (mine.project, mine.environment) != (other.project, other.environment):
                raise Unusable(f"it is of another environment, `{other.project}/{other.environment}`")
            is_same = (mine.project, mine.environment, mine.epoch) == (other.project, other.environment, other.epoch)
            if is_same and other.revision <= mine.revision:
                self._confirm(old)
                return
        self._swap(new, changed_flags(old, new))

    def _confirm(self, held: Held) -> None:
        if held.origin == "disk":
            self._swap(held.is_confirmed_by("server"), frozenset())

    def _apply(self, change: dict[str, Any]) -> None:
        if self.held is None:
            raise Unusable("a change of nothing")
        mine = self.held.snapshot
        to = change.get("to")
        if change.get("epoch") == mine.epoch and type(to) is int and to <= mine.revision:
            return  # it came twice
        new = held_with_change(self.held, change)
        self._swap(new, changed_flags(self.held, new))

    def _leave(self, delay_ms: Any, now: float) -> None:
        """The server goes; it said when to come back. That is no failure, but it must not become a loop."""
        self._parser = None
        delay_s = min(delay_ms / 1000, MAX_GOODBYE_S) if type(delay_ms) is int and delay_ms > 0 else 0.0
        if now - self._opened_at < pace.HEALTHY_S or delay_ms is None:
            delay_s = max(delay_s, self._pace.failed(now))
        self._due = now + delay_s

    def _lose_stream(self, now: float, cause: str, *, is_blind: bool = False) -> None:
        """An open stream is gone. That is stale only if something was missed, or if the next attempt fails."""
        self._parser = None
        if now - self._opened_at >= pace.HEALTHY_S:
            self._is_polling, self._stream_failures = False, 0
        self._count_stream_failure(now)
        self._due = now + self._pace.failed(now)
        if is_blind:
            self._tell_failure(NO_ANSWER, cause)

    def _fail_stream(self, now: float, cause: str, answer: Answer = NO_ANSWER) -> None:
        """The stream could not be opened; while polls bring the news, that is nobody's worry."""
        if not self._is_polling:
            self._tell_failure(answer, cause)
        if answer.status in pace.SLOW_STATUSES:
            self._stream_failures = pace.STREAM_FAILURES  # streams are not for us: see whether fetches are
        if answer.status in pace.LATER_STATUSES and answer.retry_after_s:
            self._must_fetch = True  # streams are well, there was no room: until there is, each attempt brings the news
        else:
            self._count_stream_failure(now)
        self._due = now + self._delay(now, answer)

    def _fail_fetch(self, now: float, cause: str, answer: Answer = NO_ANSWER) -> None:
        self._is_down, self._must_fetch = True, False
        self._tell_failure(answer, cause)
        self._due = now + self._delay(now, answer)

    def _delay(self, now: float, answer: Answer) -> float:
        is_refused = answer.status in pace.SLOW_STATUSES
        return self._pace.failed(now, is_refused=is_refused, retry_after_s=answer.retry_after_s)

    def _count_stream_failure(self, now: float) -> None:
        self._stream_failures += 1
        if self._is_polling or self._stream_failures >= pace.STREAM_FAILURES:
            self._is_polling = True
            self._stream_due = now + pace.STREAM_AGAIN_S * (1 - pace.POLL_SPREAD * self._pace.draw())

    def _succeed(self, now: float) -> None:
        self._pace.succeeded(now)
        self._is_down = False
        if self.held is not None:
            self._tell(Health("ready"))

    def _tell_failure(self, answer: Answer, cause: str) -> None:
        self._tell(Health("error" if self.held is None else "stale", cause, answer.status in REFUSED))

    def _tell(self, health: Health) -> None:
        if health != self.health:
            self.health = health
            self._news.append(health)

    def _swap(self, held: Held, changed: frozenset[str]) -> None:
        self.held = held
        self._news.append(Swap(held, changed))
        if self._parser is not None:
            self._tell(Health("ready"))


def _told(answer: Answer) -> str:
    return f"the server answered {answer.status}"
