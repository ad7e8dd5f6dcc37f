"""Reporting, as a pure state machine: rows come in, batches go out, one at a time, and never past the bounds.

A driver adds rows, asks `next_step`, does it, and tells the outcome. Rows go into the open batch; a batch that is full,
or due, is closed and sent until the server has it on disk. With a spool a batch is a file as well: `add` says which
rows belong into which, `take_gone` which files are done with. Time and chance are arguments.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from greenroom.pace import SLOW_STATUSES, Pace
from greenroom.rows import Row
from greenroom.steps import Answer, Wait

# Far below what the server takes, so that no batch is packed too well or read at its leisure.
MAX_BATCH_ROWS: Final = 2_000
MAX_BATCH_BYTES: Final = 512 * 1024
HEARTBEAT_S: Final = 60.0
"""The longest without a report; each is a little earlier, so that instances do not come all at once."""
SPREAD: Final = 0.2
MIN_GAP_S: Final = 1.0
"""The least time between a report and the next one that only tells of a new revision."""
READ_AHEAD: Final = 2
"""So many of the batches that wait stay in memory although they are on disk."""


@dataclass(frozen=True, slots=True)
class Load:
    """Read the rows of this batch from the spool; tell `loaded`."""

    number: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send a report with these rows, maybe none; tell `answered` or `failed`."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Done:
    """After `finish`: there is nothing more to send, or it cannot be sent."""


ReportStep = Wait | Load | Send | Done


class Bounds(NamedTuple):
    """How many rows wait in memory at the most, and how many bytes of them on disk."""

    rows: int
    size_on_disk: int


class Placed(NamedTuple):
    """Rows that were put into a batch."""

    number: int
    rows: list[Row]


@dataclass(slots=True, eq=False)
class _Batch:
    """`rows` is None while they are on disk alone; `kept` of them are there, if the file has just these rows."""

    number: int
    rows: list[Row] | None
    count: int = 0
    size: int = 0
    kept: int = 0
    is_whole: bool = True

    @property
    def is_kept(self) -> bool:
        return self.is_whole and self.kept >= self.count

    @property
    def in_memory(self) -> int:
        return 0 if self.rows is None else self.count


class Outbox:
    """Not safe for threads: drivers take turns."""

    def __init__(
        self, draw: Callable[[], float], bounds: Bounds, *, flush_interval_s: float, change_spread_s: float
    ) -> None:
        self.dropped = 0
        self.cause: str | None = None
        """Why what was last tried did not work."""
        self._draw = draw
        self._bounds = bounds
        self._flush_interval_s = flush_interval_s
        self._change_spread_s = change_spread_s
        self._pace = Pace(draw)
        self._numbers = 0
        self._open = self._new_batch()
        self._closed: deque[_Batch] = deque()
        self._parts: dict[int, int] = {}  # of batches that were split: how many are left
        self._gone: list[int] = []
        self._flying: _Batch | None = None
        self._is_finishing = False
        self._retry_at = self._sent_at = float("-inf")
        self._flush_at = self._heartbeat_at = self._wish_at = float("inf")

    @property
    def waiting(self) -> int:
        """How many rows the server has not confirmed."""
        return self._open.count + sum(batch.count for batch in self._closed)

    @property
    def has_batch(self) -> bool:
        """Whether a batch is full, or was not taken yet."""
        return bool(self._closed)

    def begin(self, now: float) -> None:
        """From now on reports are due; the first one soon."""
        self._flush_at = now + self._spread(self._flush_interval_s)
        self.wish(now)

    def wish(self, now: float) -> None:
        """There is news of the instance itself: tell it soon, but not with everybody else at once."""
        soon = max(now, self._sent_at + MIN_GAP_S) + self._draw() * self._change_spread_s
        self._wish_at = min(self._wish_at, soon)

    def add(self, rows: Sequence[Row]) -> list[Placed]:
        """Put rows into batches; what is too much drops the oldest."""
        placed: list[Placed] = []
        for row in rows:
            batch = self._open
            if batch.count and (batch.count >= MAX_BATCH_ROWS or batch.size + len(row.data) > MAX_BATCH_BYTES):
                self._close_batch()
                batch = self._open
            if not placed or placed[-1].number != batch.number:
                placed.append(Placed(batch.number, []))
            assert batch.rows is not None  # noqa: S101  the open batch is in memory
            batch.rows.append(row)
            batch.count += 1
            batch.size += len(row.data)
            placed[-1].rows.append(row)
        self._shed()
        return placed

    def confirm(self, number: int, count: int) -> None:
        """So many more rows of the batch are on disk."""
        for batch in (self._open, *self._closed):
            if batch.number == number:
                batch.kept += count
        self._shed()

    def new_number(self) -> int:
        """The number for a batch that is adopted."""
        self._numbers += 1
        return self._numbers

    def adopt(self, number: int, count: int, size: int) -> None:
        """A batch that another process left on disk: it comes first."""
        self._closed.insert(0 if self._flying is None else 1, _Batch(number, None, count, size, count))
        self._shed()

    def take_gone(self) -> list[int]:
        """The batches that are done with since this was last asked."""
        gone, self._gone = self._gone, []
        return gone

    def finish(self) -> None:
        """Send what there is, now, and try nothing twice."""
        self._is_finishing = True
        self._retry_at = float("-inf")

    def next_step(self, now: float) -> ReportStep:
        """What to do now. INVARIANT: nothing else is under way."""
        if now < self._retry_at:
            return Done() if self._is_finishing else Wait(self._retry_at - now)
        if not self._closed and (self._is_finishing or now >= min(self._flush_at, self._wish_at)):
            self._flush_at = now + self._spread(self._flush_interval_s)
            if self._open.count:
                self._close_batch()
        if self._closed:
            return self._send_first()
        if self._is_finishing:
            return Done()
        if now >= min(self._wish_at, self._heartbeat_at):
            self._wish_at = self._heartbeat_at = float("inf")
            return Send(())
        return Wait(min(self._flush_at, self._wish_at, self._heartbeat_at) - now)

    def loaded(self, number: int, rows: list[Row] | None) -> None:
        """What the spool has of the batch; None if it cannot be read."""
        batch = self._closed[0] if self._closed else None
        if batch is None or batch.number != number:
            return  # it was dropped meanwhile
        found = [] if rows is None else rows
        self.dropped += max(0, batch.count - len(found))
        batch.rows, batch.count, batch.kept = found, len(found), len(found)
        if not found:
            self._settle(self._closed.popleft())

    def answered(self, answer: Answer, now: float) -> None:
        """What the server said to the report."""
        if answer.status == 202 and _is_receipt(answer.body):
            self._succeed(now)
            self._settle_flying()
        elif answer.status == 413 and self._flying is not None:
            self._split(now)
        elif answer.status == 400 and answer.content_type.startswith("application/problem+json"):
            # The server's own verdict, which would be the same for ever. A proxy's is a failure like others.
            self._succeed(now)
            self.dropped += 0 if self._flying is None else self._flying.count
            self._settle_flying()
            self.cause = f"the server refused a batch, which is dropped{_place_in(answer.body)}"
        else:
            told = "no receipt" if answer.status == 202 else str(answer.status)
            self._fail(now, f"the server answered {told}", answer)

    def failed(self, cause: str, now: float) -> None:
        """There was no answer."""
        self._fail(now, cause, Answer(0))

    def _send_first(self) -> ReportStep:
        batch = self._closed[0]
        if batch.rows is None:
            return Load(batch.number)
        self._flying = batch
        self._wish_at = self._heartbeat_at = float("inf")
        return Send(batch.rows)

    def _succeed(self, now: float) -> None:
        self._pace.succeeded(now)
        self.cause = None
        self._sent_at = now
        self._heartbeat_at = now + HEARTBEAT_S * (1 - SPREAD * self._draw())

    def _fail(self, now: float, cause: str, answer: Answer) -> None:
        self.cause = cause
        self._flying = None
        is_refused = answer.status in SLOW_STATUSES
        self._retry_at = now + self._pace.failed(now, is_refused=is_refused, retry_after_s=answer.retry_after_s)
        self._heartbeat_at = self._retry_at
        if self._is_finishing:
            self._retry_at = float("inf")

    def _split(self, now: float) -> None:
        """The batch was too large for somebody on the way."""
        batch = self._closed[0]
        assert batch.rows is not None  # noqa: S101  it was sent
        if batch.count == 1:
            self.dropped += 1
            self._settle_flying()
            self.cause = "the server refused a row as too large, which is dropped"
            return
        self._flying = None
        self._closed.popleft()
        middle = batch.count // 2
        for rows in (batch.rows[middle:], batch.rows[:middle]):
            size = sum(len(row.data) for row in rows)
            self._closed.appendleft(_Batch(batch.number, rows, len(rows), size, is_whole=False))
        self._parts[batch.number] = self._parts.get(batch.number, 1) + 1
        if not self._is_finishing:
            self._retry_at = now + self._draw() * MIN_GAP_S

    def _settle_flying(self) -> None:
        if self._flying is not None:
            self._flying = None
            self._settle(self._closed.popleft())

    def _settle(self, batch: _Batch) -> None:
        left = self._parts.pop(batch.number, 1) - 1
        if left:
            self._parts[batch.number] = left
        else:
            self._gone.append(batch.number)

    def _close_batch(self) -> None:
        self._closed.append(self._open)
        self._open = self._new_batch()

    def _new_batch(self) -> _Batch:
        return _Batch(self.new_number(), [])

    def _shed(self) -> None:
        """Keep within the bounds: leave to the disk what is there, drop the oldest of the rest."""
        bounds, closed = self._bounds, self._closed
        idle = [batch for batch in closed if batch is not self._flying]
        for batch in idle[READ_AHEAD:]:
            if batch.is_kept:
                batch.rows = None
        while sum(batch.size for batch in closed if batch.is_kept) > bounds.size_on_disk:
            kept = [batch for batch in closed if batch.is_kept and batch is not self._flying]
            if not kept:
                break
            self._drop(kept[0])
        while (excess := self._open.in_memory + sum(batch.in_memory for batch in closed) - bounds.rows) > 0:
            loose = [batch for batch in closed if batch.rows is not None and batch is not self._flying]
            if not loose:
                self._drop_open(excess)
                break
            if loose[0].is_kept:
                loose[0].rows = None
            else:
                self._drop(loose[0])

    def _drop(self, batch: _Batch) -> None:
        self._closed.remove(batch)
        self.dropped += batch.count
        self._settle(batch)

    def _drop_open(self, excess: int) -> None:
        batch = self._open
        assert batch.rows is not None  # noqa: S101  the open batch is in memory
        batch.is_whole = False
        lost = batch.rows[:excess]
        del batch.rows[:excess]
        batch.count -= len(lost)
        batch.size -= sum(len(row.data) for row in lost)
        self.dropped += len(lost)

    def _spread(self, seconds: float) -> float:
        return seconds * (1 - SPREAD + 2 * SPREAD * self._draw())


def _is_receipt(body: bytes) -> bool:
    receipt = _object_in(body)
    return type(receipt.get("accepted")) is int


def _place_in(body: bytes) -> str:
    """Where in the batch the trouble is. Not what: that may hold what users are called."""
    errors = _object_in(body).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    pointer = first.get("pointer") if isinstance(first, dict) else None
    return f": {pointer[:100]}" if isinstance(pointer, str) and pointer.isascii() else ""


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
