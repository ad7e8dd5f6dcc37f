"""The state machine of reporting: what it sends and when, what it gives up, and that nothing is lost unseen."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.exposures import (
    HEARTBEAT_S,
    MAX_BATCH_BYTES,
    MAX_BATCH_ROWS,
    Bounds,
    Done,
    Load,
    Outbox,
    ReportStep,
    Send,
)
from greenroom.rows import Row, report_body
from greenroom.steps import Answer, Wait

RECEIPT = Answer(202, "application/json", 0.0, b'{"accepted":1,"ignored":0}')
PROBLEM = Answer(400, "application/problem+json", 0.0, b'{"errors":[{"pointer":"/counts/0/flag","detail":"`dora`"}]}')
DAY_S = 86_400.0


def rows(number: int, size: int = 20, start: int = 0) -> list[Row]:
    return [Row("counts", f"{start + index:0{size}d}".encode()) for index in range(number)]


class Desk:
    """Time moves only by the waits that are asked for."""

    def __init__(self, *, chance: float = 0.5, bounds: Bounds | None = None, flush_s: float = 10.0) -> None:
        self.now = 1000.0
        self._step: ReportStep | None = None
        self.outbox = Outbox(
            lambda: chance, bounds or Bounds(50_000, 2**26), flush_interval_s=flush_s, change_spread_s=2.0
        )
        self.outbox.begin(self.now)

    def step(self) -> ReportStep:
        """What is to be done; it is asked for anew once it was done."""
        if self._step is None or isinstance(self._step, Wait):
            self._step = self.outbox.next_step(self.now)
        return self._step

    def wait(self) -> float:
        """Sit through the waits that come; how long they were."""
        waited = 0.0
        while isinstance(step := self.step(), Wait):
            assert step.seconds > 0
            waited += step.seconds
            self.now += step.seconds
        return waited

    def send(self) -> list[Row]:
        """The rows of the next report, once it is due."""
        self.wait()
        step, self._step = self.step(), None
        assert isinstance(step, Send), step
        return list(step.rows)

    def report(self, answer: Answer = RECEIPT) -> list[Row]:
        sent = self.send()
        self.outbox.answered(answer, self.now)
        return sent


def test_the_first_report_is_soon_and_tells_of_the_instance() -> None:
    """Within the time for changes, though there is nothing else to tell."""
    desk = Desk()

    assert desk.wait() == 1.0
    assert desk.report() == []


def test_rows_are_sent_at_the_interval() -> None:
    """Spread by a fifth; all that came until then in one report."""
    desk = Desk(chance=1.0)
    desk.report()
    desk.outbox.add(rows(3))
    desk.outbox.add(rows(2, start=3))

    assert desk.wait() == pytest.approx(12.0)
    assert desk.report() == rows(5)
    assert desk.outbox.waiting == 0


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_there_is_a_heartbeat_once_a_minute(chance: float) -> None:
    """Though nothing is told; never later."""
    desk = Desk(chance=chance)
    desk.report()
    for _ in range(5):
        waited = desk.wait()
        assert HEARTBEAT_S * 0.8 - 0.001 <= waited <= HEARTBEAT_S
        assert desk.report() == []


def test_a_new_revision_is_told_soon() -> None:
    """Spread over the time for it, and with whatever waits; two in a row have a second between them."""
    desk = Desk(chance=0.5)
    desk.report()
    desk.now += 5
    desk.outbox.add(rows(1))
    desk.outbox.wish(desk.now)
    assert desk.wait() == 1.0
    assert desk.report() == rows(1)
    desk.outbox.wish(desk.now)
    desk.outbox.wish(desk.now)
    assert desk.wait() == 2.0
    assert desk.report() == []


def test_news_during_a_report_are_told_by_the_next_one() -> None:
    """The one under way was written before."""
    desk = Desk()
    desk.send()
    desk.outbox.wish(desk.now)
    desk.outbox.answered(RECEIPT, desk.now)

    assert desk.wait() <= 2.0
    assert desk.report() == []


def test_full_batches_go_at_once() -> None:
    """One after the other, within the limits of rows and bytes."""
    desk = Desk()
    desk.report()
    desk.outbox.add(rows(2 * MAX_BATCH_ROWS + 1))
    assert isinstance(desk.step(), Send)
    assert [len(desk.report()), len(desk.report())] == [MAX_BATCH_ROWS] * 2
    assert isinstance(desk.step(), Wait)

    desk.outbox.add(rows(9, size=MAX_BATCH_BYTES // 4))
    assert sum(len(row.data) for row in desk.report()) <= MAX_BATCH_BYTES


@pytest.mark.parametrize("status", [0, 200, 202, 302, 400, 408, 413, 429, 500, 502, 503, 504])
def test_waits_after_failures_double_up_to_thirty_seconds(status: int) -> None:
    """The same rows again each time; a 400 or 202 of somebody else's is a failure too, and so is a heartbeat's 413."""
    desk = Desk(chance=1.0)
    if status != 413:
        desk.outbox.add(rows(3))
    waits = []
    for _ in range(8):
        waits.append(desk.wait())
        sent = desk.send()
        assert sent == ([] if status == 413 else rows(3))
        if status:
            desk.outbox.answered(Answer(status, "text/html", 0.0, b"<html>"), desk.now)
        else:
            desk.outbox.failed("no answer", desk.now)

    assert waits == [2, 1, 2, 4, 8, 16, 30, 30]
    assert desk.outbox.cause is not None
    assert desk.outbox.dropped == 0


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize(("chance", "expected"), [(0.0, 150.0), (1.0, 300.0)])
def test_a_refusal_is_slow_and_never_the_end(status: int, chance: float, expected: float) -> None:
    """For a week; then the rows go out as if nothing had been."""
    desk = Desk(chance=chance)
    desk.outbox.add(rows(3))
    desk.report(Answer(status))
    while desk.now < 7 * DAY_S:
        assert desk.wait() == expected
        desk.report(Answer(status))

    assert desk.report() == rows(3)
    assert desk.outbox.cause is None


@pytest.mark.parametrize(("said", "expected"), [(0.5, 1.0), (20.0, 20.0), (86_400.0, 300.0)])
def test_retry_after_is_kept_up_to_five_minutes(said: float, expected: float) -> None:
    """It never shortens a wait."""
    desk = Desk(chance=1.0)
    desk.outbox.add(rows(3))
    desk.report(Answer(429, retry_after_s=said))

    assert desk.wait() == expected


def test_a_minute_of_health_begins_anew() -> None:
    """The next failure is the first again."""
    desk = Desk(chance=1.0)
    for _ in range(5):
        desk.report(Answer(500))
    desk.report()
    desk.report()
    desk.report()
    desk.report(Answer(500))

    assert desk.wait() == 1.0


def test_a_batch_that_the_server_refuses_is_dropped_once() -> None:
    """Counted, with the place and never the value as the cause; what comes after it goes on."""
    desk = Desk()
    desk.outbox.add(rows(5))
    desk.report(PROBLEM)
    causes = [desk.outbox.cause]
    desk.outbox.add(rows(2))
    assert desk.report() == rows(2)

    assert causes == ["the server refused a batch, which is dropped: /counts/0/flag"]
    assert desk.outbox.cause is None
    assert desk.outbox.dropped == 5


def test_a_batch_that_is_too_large_is_split() -> None:
    """Until the pieces fit; a row that alone is too much is dropped, and counted."""
    desk = Desk()
    desk.outbox.add([*rows(6), Row("counts", b"x" * 1000), *rows(6, start=6)])
    got: list[Row] = []
    for _ in range(40):
        if desk.outbox.waiting == 0:
            break
        sent = desk.send()
        is_fitting = sum(len(row.data) for row in sent) <= 100
        desk.outbox.answered(RECEIPT if is_fitting else Answer(413), desk.now)
        got += sent if is_fitting else []

    assert got == rows(12)
    assert desk.outbox.dropped == 1
    assert desk.outbox.take_gone() == [1]


def test_past_the_bound_the_oldest_are_dropped() -> None:
    """Never those that are under way."""
    desk = Desk(bounds=Bounds(3 * MAX_BATCH_ROWS, 0))
    desk.outbox.add(rows(MAX_BATCH_ROWS + 1))
    flying = desk.send()
    desk.outbox.add(rows(4 * MAX_BATCH_ROWS, start=MAX_BATCH_ROWS + 1))
    assert desk.outbox.waiting <= 3 * MAX_BATCH_ROWS
    desk.outbox.answered(RECEIPT, desk.now)
    got = list(flying)
    while desk.outbox.waiting:
        got += desk.report()

    assert len(got) + desk.outbox.dropped == 5 * MAX_BATCH_ROWS + 1
    assert got[: len(flying)] == flying
    assert got[-1] == rows(1, start=5 * MAX_BATCH_ROWS)[0]


def test_a_bound_below_a_batch_holds_too() -> None:
    """The open batch loses its oldest rows."""
    desk = Desk(bounds=Bounds(10, 0))
    desk.outbox.add(rows(25))

    assert desk.report() == rows(25)[15:]
    assert desk.outbox.dropped == 15


def test_at_the_end_everything_goes_at_once_and_nothing_twice() -> None:
    """Also while a failure is being waited for; the first failure is the last."""
    desk = Desk(chance=1.0)
    desk.outbox.add(rows(MAX_BATCH_ROWS + 5))
    desk.report(Answer(500))
    desk.outbox.finish()
    assert len(desk.report()) == MAX_BATCH_ROWS
    desk.report(Answer(500))

    assert isinstance(desk.step(), Done)
    assert desk.outbox.waiting == 5


def test_at_the_end_with_nothing_to_tell_nothing_is_sent() -> None:
    """Not even a heartbeat."""
    desk = Desk()
    desk.outbox.finish()

    assert isinstance(desk.step(), Done)


def test_what_is_on_disk_leaves_the_memory_and_comes_back() -> None:
    """In order; what cannot be read is counted as dropped."""
    desk = Desk(bounds=Bounds(MAX_BATCH_ROWS, 2**26))
    files: dict[int, list[Row]] = {}
    for start in range(0, 5 * MAX_BATCH_ROWS, 1000):
        for number, placed in desk.outbox.add(rows(1000, start=start)):
            files.setdefault(number, []).extend(placed)
            desk.outbox.confirm(number, len(placed))
    files[3] = files[3][:-7]  # a torn tail
    del files[4]
    got: list[Row] = []
    while desk.outbox.waiting:
        desk.wait()
        step = desk.step()
        if isinstance(step, Load):
            desk._step = None
            desk.outbox.loaded(step.number, files.get(step.number))
        else:
            got += desk.report()

    assert desk.outbox.dropped == MAX_BATCH_ROWS + 7
    assert len(got) == 4 * MAX_BATCH_ROWS - 7
    assert got == sorted(got)
    assert sorted(desk.outbox.take_gone()) == [1, 2, 3, 4, 5]


def test_the_disk_has_a_bound_too() -> None:
    """The oldest files go first, and are counted."""
    desk = Desk(bounds=Bounds(50_000, 100 * 20))
    for number in range(1, 5):
        desk.outbox.adopt(desk.outbox.new_number(), 50, 50 * 20)
        assert desk.outbox.waiting <= 100, number

    assert desk.outbox.dropped == 100
    assert len(desk.outbox.take_gone()) == 2


def test_the_body_is_what_the_wire_wants() -> None:
    """Each kind in its list; a kind without rows is left out."""
    found = [Row("counts", b'{"a":1}'), Row("events", b'{"b":2}'), Row("counts", b'{"c":3}')]

    assert json.loads(report_body({"id": "ä"}, found, 7)) == {
        "instance": {"id": "ä"},
        "counts": [{"a": 1}, {"c": 3}],
        "events": [{"b": 2}],
        "dropped": 7,
    }


class World:
    """An outbox, a disk and a server that does what it likes; each keeps books of its own."""

    def __init__(self, seed: int, bounds: Bounds, *, has_disk: bool) -> None:
        self.dice = random.Random(seed)
        self.now = 0.0
        self.bounds = bounds
        self.outbox = Outbox(self.dice.random, bounds, flush_interval_s=1.0, change_spread_s=0.1)
        self.outbox.begin(0.0)
        self.has_disk = has_disk
        self.disk: dict[int, list[Row]] = {}
        self.made = 0
        self.acknowledged: set[bytes] = set()
        self.stored: set[bytes] = set()

    def add(self, number: int, size: int) -> None:
        for batch, placed in self.outbox.add(rows(number, size, self.made)):
            if self.has_disk and self.dice.random() < 0.8:
                self.disk.setdefault(batch, []).extend(placed)
                self.outbox.confirm(batch, len(placed))
        self.made += number
        self.forget()

    def forget(self) -> None:
        for number in self.outbox.take_gone():
            self.disk.pop(number, None)

    def turn(self, *, is_good: bool) -> ReportStep:
        step = self.outbox.next_step(self.now)
        match step:
            case Wait(seconds):
                self.now += seconds
            case Load(number):
                self.outbox.loaded(number, self.disk.get(number))
            case Send(sent):
                self.answer([row.data for row in sent], is_good=is_good)
        self.forget()
        return step

    def answer(self, sent: list[bytes], *, is_good: bool) -> None:
        assert not self.acknowledged & set(sent), "what was acknowledged is sent again"
        chance = 1.0 if is_good else self.dice.random()
        if chance < 0.2:
            self.outbox.failed("lost on the way", self.now)
        elif chance < 0.4:
            self.stored |= set(sent)
            self.outbox.failed("the answer was lost", self.now)
        elif chance < 0.5:
            self.outbox.answered(Answer(413), self.now)
        elif chance < 0.6:
            self.outbox.answered(self.dice.choice([Answer(500), Answer(429), Answer(401), PROBLEM]), self.now)
        else:
            self.stored |= set(sent)
            self.acknowledged |= set(sent)
            self.outbox.answered(RECEIPT, self.now)


plans = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 3000), st.sampled_from([10, 300])),
        st.tuples(st.just("turn"), st.integers(1, 8), st.just(0)),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=120)
@given(plans, st.integers(0, 2**32), st.sampled_from([50, 3000, 50_000]), st.booleans())
def test_nothing_is_lost_unseen_and_nothing_acknowledged_is_sent_again(
    plan: list[tuple[str, int, int]], seed: int, most: int, has_disk: bool
) -> None:
    """Each row is acknowledged or counted as dropped in the end, whatever the server and the disk did."""
    world = World(seed, Bounds(most, 1_000_000 if has_disk else 0), has_disk=has_disk)
    for what, number, size in plan:
        if what == "add":
            world.add(number, size)
        else:
            for _ in range(number):
                world.turn(is_good=False)
        assert _in_memory(world.outbox) <= most + MAX_BATCH_ROWS * 2  # what is under way is never dropped
    world.outbox.finish()
    while not isinstance(world.turn(is_good=True), Done):
        pass

    assert world.outbox.waiting == 0
    assert len(world.acknowledged) + world.outbox.dropped == world.made
    assert world.acknowledged <= world.stored
    assert world.disk == {}


def _in_memory(outbox: Any) -> int:
    return sum(batch.in_memory for batch in (outbox._open, *outbox._closed))
