"""Counting within evaluations: nothing is lost or counted twice, by whichever threads, and memory has bounds."""

import itertools
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sdk.documents import Json, snapshot

from greenroom.evaluation import Evaluation, evaluate, read_snapshot
from greenroom.rows import Row, hidden_key
from greenroom.tally import MAX_COLLECTED, MAX_ODD, ODD_FORGOTTEN_MS, Limits, Tally

NOON = 1_764_072_000_000  # 2025-11-25T12:00:00Z
DAY_MS = 86_400_000


class Desk:
    """A tally with a clock of the test's own and flags of each mode."""

    def __init__(self, waiting: int = 1000, subjects: int = 1000, **more: Any) -> None:
        self.now = NOON
        numbers = itertools.count()
        self.tally = Tally(Limits(waiting, subjects), lambda: self.now, lambda: next(numbers), **more)
        document = snapshot(1, counts=True, subjects=True, none=True)
        for key in ("subjects", "none"):
            document["flags"][key]["track_exposures"] = key
        self.snapshot = read_snapshot(document)
        self.tally.swapped(self.snapshot)

    def made(self, key: str) -> Evaluation:
        return evaluate(self.snapshot, key, {}, 0)

    def serve(self, key: str, subject: Any = None, times: int = 1) -> None:
        tell = self.tally.teller(self.made(key))
        for _ in range(times):
            tell({} if subject is None else {"targetingKey": subject})

    def collect(self, kind: str | None = None) -> list[Json]:
        return [json.loads(row.data) for row in self.tally.collect() if kind in (None, row.kind)]


def fail(key: str) -> Evaluation:
    return Evaluation(key, None, None, "ERROR", "FLAG_NOT_FOUND", "unknown", {})


def test_counts_are_told_by_flag_variant_reason_and_minute() -> None:
    """The minute is that in which they were counted, even if they are collected later."""
    desk = Desk()
    desk.serve("counts", "dora", times=3)
    desk.now += 59_999
    first = desk.collect()
    desk.serve("counts")
    desk.now += 2
    second = desk.collect()

    (count,) = first
    assert count.pop("id").startswith(f"{NOON + 59_999:012x}"[:8])
    told = {"flag": "counts", "variant": "on", "reason": "STATIC", "minute": "2025-11-25T12:00:00.000Z"}
    assert count == {**told, "count": 3}
    assert [(row["minute"], row["count"]) for row in second] == [("2025-11-25T12:00:00.000Z", 1)]
    assert desk.collect() == []


def test_a_subject_is_told_once() -> None:
    """However often it comes; text and numbers are told apart as buckets do."""
    desk = Desk()
    subjects: list[Any] = ["dora", "dora", 7, "7", 7.0, True, None, "", "\ud800", [], "x" * 1001, "x" * 1000]
    for subject in subjects:
        desk.serve("subjects", subject, times=2)

    exposures = desk.collect("exposures")
    assert [row["targeting_key"] for row in exposures] == ["dora", "7", "true", "x" * 1000]
    assert {(row["flag"], row["variant"], row["at"]) for row in exposures} == {
        ("subjects", "on", "2025-11-25T12:00:00.000Z")
    }
    desk.serve("subjects", "dora")
    assert [row["count"] for row in desk.collect()] == [1]


def test_flags_that_are_not_tracked_tell_nothing() -> None:
    """Neither what they served nor their errors."""
    desk = Desk()
    desk.serve("none", "dora")
    desk.tally.exposed(fail("none"), {})

    assert desk.collect() == []


def test_subjects_come_again_on_a_new_day() -> None:
    """And not before, as long as they are remembered; the day changes at a collection."""
    desk = Desk()
    told = []
    for hours in (0, 6, 7, 12):
        desk.now = NOON + hours * 3_600_000
        desk.collect()
        desk.serve("subjects", "dora")
        told.append(len(desk.collect("exposures")))

    assert told == [1, 0, 0, 1]


def test_the_memory_for_subjects_has_a_bound() -> None:
    """Those who come again and again stay; those who do not are forgotten, and told again."""
    desk = Desk(waiting=100, subjects=20)
    for number in range(200):
        desk.serve("subjects", f"user-{number}")
        desk.serve("subjects", "regular")
        desk.collect()
        place = desk.tally._places["subjects", "on"]
        assert len(place.young) + len(place.old) <= 21

    desk.serve("subjects", "regular")
    desk.serve("subjects", "user-0")
    assert [row["targeting_key"] for row in desk.collect("exposures")] == ["user-0"]


def test_what_waits_has_a_bound_and_losses_are_counted() -> None:
    """A subject that could not be told is told when it comes again."""
    desk = Desk(waiting=3)
    for number in range(5):
        desk.serve("subjects", f"user-{number}")
    assert len(desk.collect("exposures")) == 3
    assert desk.tally.lost == 2
    desk.serve("subjects", "user-4")

    assert [row["targeting_key"] for row in desk.collect("exposures")] == ["user-4"]


def test_much_is_collected_in_parts() -> None:
    """So that nobody waits long for the first; nothing is left in the end."""
    desk = Desk(waiting=10 * MAX_COLLECTED)
    for number in range(2 * MAX_COLLECTED + 1):
        desk.tally.tracked(f"event-{number}", {"targetingKey": "dora"}, None)
    parts = [desk.collect() for _ in range(4)]

    assert [len(part) for part in parts] == [MAX_COLLECTED, MAX_COLLECTED, 1, 0]
    names = [row["name"] for part in parts for row in part]
    assert names == [f"event-{number}" for number in range(2 * MAX_COLLECTED + 1)]


def test_unknown_flags_are_counted_within_bounds() -> None:
    """Keys that users make up do not fill the memory; when they are idle there is room for others."""
    desk = Desk()
    for number in range(MAX_ODD + 5):
        desk.tally.exposed(fail(f"made-up-{number}"), {})
    for key in ("", "x" * 201, "a\0b", "\ud800"):
        desk.tally.exposed(fail(key), {})
    rows = desk.collect()
    assert len(rows) == MAX_ODD
    assert {(row["variant"], row["reason"], row["count"]) for row in rows} == {(None, "ERROR", 1)}
    assert desk.tally.lost == 9

    desk.now += ODD_FORGOTTEN_MS + 1
    desk.collect()
    desk.tally.exposed(fail("late"), {})
    assert [row["flag"] for row in desk.collect()] == ["late"]


@pytest.mark.parametrize(
    ("event", "context", "value"),
    [
        ("", {"targetingKey": "dora"}, None),
        (None, {"targetingKey": "dora"}, None),
        ("x" * 201, {"targetingKey": "dora"}, None),
        ("paid", {}, None),
        ("paid", None, None),
        ("paid", {"targetingKey": ""}, None),
        ("paid", {"targetingKey": "dora"}, float("nan")),
        ("paid", {"targetingKey": "dora"}, float("-inf")),
        ("paid", {"targetingKey": "dora"}, 10**400),
        ("paid", {"targetingKey": "dora"}, "12"),
    ],
)
def test_an_outcome_that_cannot_be_told_is_counted_as_lost(event: Any, context: Any, value: Any) -> None:
    """The server would refuse it, and a whole batch with it."""
    desk = Desk()

    assert desk.tally.tracked(event, context, value) is False
    assert desk.collect() == []
    assert desk.tally.lost == 1


def test_outcomes_are_told_each_time() -> None:
    """With their value and moment."""
    desk = Desk()
    for value in (None, 12, 0.5):
        assert desk.tally.tracked("paid", {"targetingKey": 7, "mail": "canary"}, value)
    rows = desk.collect()

    assert [(row["name"], row["value"], row["targeting_key"]) for row in rows] == [
        ("paid", None, "7"),
        ("paid", 12.0, "7"),
        ("paid", 0.5, "7"),
    ]
    assert len({row["id"] for row in rows}) == 3
    assert "canary" not in str(rows)


def test_a_private_key_is_hidden() -> None:
    """In exposures and outcomes; whoever has the secret can work out who it was."""
    desk = Desk(hide=lambda key: hidden_key(key, "secret"))
    desk.serve("subjects", "dora")
    desk.tally.tracked("paid", {"targetingKey": "dora"}, None)
    rows = [row for row in desk.collect() if "targeting_key" in row]

    assert {row["targeting_key"] for row in rows} == {hidden_key("dora", b"secret")}
    assert len(rows) == 2
    assert hidden_key("dora") != hidden_key("dora", "secret")


def test_hostile_contexts_are_no_subjects() -> None:
    """A teller never raises: the reader would tell a second time."""

    class Hostile:
        def __getitem__(self, name: str) -> Any:
            raise RuntimeError(name)

    desk = Desk()
    tell = desk.tally.teller(desk.made("subjects"))
    contexts: list[Any] = [None, 5, [], "text", Hostile(), {"targetingKey": Hostile()}]
    for context in contexts:
        tell(context)

    (row,) = desk.collect()
    assert row["count"] == 6


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _told(rows: list[Row]) -> tuple[Counter[str], list[str]]:
    sums: Counter[str] = Counter()
    for row in rows:
        if row.kind == "counts":
            found = json.loads(row.data)
            sums[found["flag"]] += found["count"]
    return sums, [json.loads(row.data)["targeting_key"] for row in rows if row.kind == "exposures"]


@pytest.mark.usefixtures("restless")
def test_threads_lose_nothing_and_count_nothing_twice() -> None:
    """Eight of them, with all switches of threads that can be had, while a ninth collects."""
    desk = Desk(waiting=10**9, subjects=10**9)
    threads, turns, people = 8, 50_000, [f"user-{number}" for number in range(500)]
    rows: list[Row] = []
    done = threading.Event()

    def work() -> None:
        # As a reader does: the teller is asked for now and then, the unknown flag each time anew.
        for turn in range(turns):
            if turn % 1000 == 0:
                tell, meet = (desk.tally.teller(desk.made(key)) for key in ("counts", "subjects"))
            tell({})
            meet({"targetingKey": people[turn % len(people)]})
            if turn % 100 == 0:
                desk.tally.exposed(fail("unknown"), {})

    def gather() -> None:
        while not done.is_set():
            rows.extend(desk.tally.collect())

    workers = [threading.Thread(target=work) for _ in range(threads)]
    gatherer = threading.Thread(target=gather)
    for thread in (*workers, gatherer):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    gatherer.join()
    rows += desk.tally.collect()

    sums, subjects = _told(rows)
    assert sums == {"counts": threads * turns, "subjects": threads * turns, "unknown": threads * turns // 100}
    assert sorted(subjects) == sorted(people)


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["counts", "subjects", "none", "unknown"]), st.integers(0, 6)),
        st.tuples(st.just("collect"), st.integers(0, 90_000)),
        st.tuples(st.just("track"), st.integers(0, 3)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(steps, st.integers(1, 6), st.integers(1, 8))
def test_whatever_is_told_is_reported_or_counted_as_lost(
    plan: list[tuple[str, int]], waiting: int, subjects: int
) -> None:
    """Counts add up; each subject is told at least once or lost; ids are never the same; bounds hold."""
    desk = Desk(waiting, subjects)
    told: Counter[str] = Counter()
    met: set[str] = set()
    rows: list[Json] = []
    for what, number in plan:
        if what == "collect":
            desk.now += number
            rows += desk.collect()
        elif what == "track":
            told["events"] += 1
            desk.tally.tracked("paid", {"targetingKey": f"u{number}"}, None)
        elif what == "unknown":
            told["unknown"] += 1
            desk.tally.exposed(fail("unknown"), {})
        else:
            desk.serve(what, f"u{number}")
            told[what] += what != "none"
            met |= {f"u{number}"} if what == "subjects" else set()
        assert len(desk.tally._waiting) <= waiting
    rows += desk.collect()

    for flag in ("counts", "subjects", "none", "unknown"):
        assert sum(row["count"] for row in rows if row.get("flag") == flag and "count" in row) == told[flag]
    exposures = [row["targeting_key"] for row in rows if "flag" in row and "targeting_key" in row]
    events = [row for row in rows if "name" in row]
    assert set(exposures) <= met
    missing = len(met - set(exposures)) + told["events"] - len(events)
    assert desk.tally.lost >= missing
    assert bool(desk.tally.lost) >= bool(missing)
    assert len({row["id"] for row in rows}) == len(rows)
