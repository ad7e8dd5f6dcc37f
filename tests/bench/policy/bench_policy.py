"""Measures decisions with some 50 facts against the same policy written out by hand, in interleaved rounds.

    python -m tests.bench policy

Answers are verified before anything is timed. The whole server is to make 1,000 decisions a second on one core, so the
core has to be several times as quick.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import fields, replace

import orjson
from tests.bench.policy import floor
from tests.unit.policy.situations import DAY, NOW, asking, changed, facts, green, policy

from greenroom_server.policy.canonical import decision_bytes
from greenroom_server.policy.decide import decide, decide_on
from greenroom_server.policy.facts import Obstacle, Scope
from greenroom_server.policy.fixtures import Situation
from greenroom_server.policy.question import Index
from greenroom_server.policy.stored import read_request, read_snapshot

ROUNDS = 21
SLICE_NS = 25_000_000
BLOCKED = {"pending", "fail"}


def situations() -> dict[str, Situation]:
    """One that is allowed, and some that are not, each with about 50 facts."""
    fixture = green()
    evidence = fixture.snapshot.evidence
    older = tuple(
        replace(one, id=f"{one.id}-{age}", finished_at=one.finished_at - age * DAY)
        for one in evidence
        for age in (1, 2, 3)
    )
    other = Obstacle("o", Scope("bakery"), NOW, 1)
    full = facts(fixture, evidence=(*evidence, *older), obstacles=(other,))
    red = changed(full.snapshot.evidence, "acceptance-1", outcome="fail")
    return {
        "allow": full,
        "deny: a red suite": facts(full, evidence=red),
        "wait: no approval": facts(full, approvals=()),
        "wait: Friday evening": replace(full, now=NOW + 3 * DAY + 8 * 3_600_000),
        "allow, scheduled": asking(full, scheduled_for=NOW + 3_600_000),
    }


def verify(name: str, situation: Situation) -> None:
    """Stop unless the floor blocks for the same rules, and a replay gives the same bytes."""
    decision = decide(situation.snapshot, situation.request, policy(), situation.now)
    blocked, digest = floor.decide(orjson.loads(decision.inputs))
    ours = {one.id for one in decision.rules if one.finding.outcome in BLOCKED} - {"new-sbom"}
    if (blocked, f"sha256:{digest}") != (ours, decision.inputs_digest):
        raise SystemExit(f"{name}: the floor blocks for {sorted(blocked)}, and the core for {sorted(ours)}")
    if replay(decision.inputs) != decision_bytes(decision):
        raise SystemExit(f"{name}: a replay gives other bytes")


def replay(stored: bytes) -> bytes:
    """The bytes of a decision, computed again from its stored inputs."""
    inputs = orjson.loads(stored)
    return decision_bytes(
        decide(read_snapshot(inputs["snapshot"]), read_request(inputs["request"]), policy(), inputs["now"])
    )


def contestants(situation: Situation) -> dict[str, Callable[[], object]]:
    """Column -> what is timed."""
    snapshot, request, under, now = situation.snapshot, situation.request, policy(), situation.now
    stored = decide(snapshot, request, under, now).inputs
    inputs, known = orjson.loads(stored), Index(snapshot)
    return {
        "floor": lambda: floor.decide(inputs),
        "decide": lambda: decide(snapshot, request, under, now),
        "known facts": lambda: decide_on(known, request, under, now),
        "and bytes": lambda: decision_bytes(decide(snapshot, request, under, now)),
        "replay": lambda: replay(stored),
    }


def measure(table: dict[str, dict[str, Callable[[], object]]]) -> dict[str, dict[str, float]]:
    """Medians in ns of processor time for each decision; in every round everybody gets one slice."""
    times: dict[str, dict[str, list[float]]] = {name: {column: [] for column in row} for name, row in table.items()}
    for _ in range(ROUNDS):
        gc.collect()
        for name, row in table.items():
            for column, run in row.items():
                count, begun = 0, time.process_time_ns()
                while time.process_time_ns() - begun < SLICE_NS:
                    for _ in range(5):
                        run()
                    count += 5
                times[name][column].append((time.process_time_ns() - begun) / count)
    return {name: {column: statistics.median(held) for column, held in row.items()} for name, row in times.items()}


def main() -> None:
    """Print the table."""
    made = situations()
    for name, situation in made.items():
        verify(name, situation)
    held = made["allow"].snapshot
    count = sum(len(value) for field in fields(held) if isinstance(value := getattr(held, field.name), tuple))
    medians = measure({name: contestants(situation) for name, situation in made.items()})
    columns = ("floor", "decide", "known facts", "and bytes", "replay")
    print(f"decisions/s of processor time with {count} facts, medians of {ROUNDS} rounds\n")
    print(f"{'':22}" + "".join(f"{column:>13}" for column in columns) + f"{'x floor':>10}")
    for name, row in medians.items():
        print(
            f"{name:22}"
            + "".join(f"{1e9 / row[column]:13,.0f}" for column in columns)
            + f"{row['decide'] / row['floor']:10.1f}"
        )
    print("\nfloor: the same policy written out by hand, which knows no other moment than now")


if __name__ == "__main__":
    main()
