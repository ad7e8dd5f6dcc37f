"""Measures the engine against a hand-written floor, all in one process and in interleaved rounds.

    python tests/bench/engine/bench_engine.py      (or: python -m tests.bench.engine.bench_engine)

Answers are verified before anything is timed. Figures are medians per evaluation; only the ratios mean something
beyond this machine. The goal is a full evaluation with its details within 1.5 x the floor with details.
"""

import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # for a run by path

from tests.bench.engine.floor import Client
from tests.bench.engine.workload import KEYS, NOW_MS, contexts, probes, snapshot_document, verify_all, verify_one

from greenroom.evaluation import evaluate, evaluate_all, evaluate_typed, read_snapshot

ROUNDS = 21
SLICE_NS = 12_000_000
TYPES = {"W1": "boolean", "W2": "string", "W3": "boolean", "W4": "boolean", "W5": "object"}
COLUMNS = ("floor, value", "floor, details", "evaluate", "evaluate_typed")

Loop = Callable[[int, list[Any]], None]


def loop_over(expression: str, names: dict[str, Any]) -> Loop:
    """A loop that evaluates the expression for each context `c`, without a call of its own around it."""
    source = (
        f"def loop(n, cs, {', '.join(names)}):\n  for _ in range(n):\n    for c in cs:\n      {expression}\n"
        f"def bound(n, cs): loop(n, cs, {', '.join(f'NAMES[{name!r}]' for name in names)})\n"
    )
    space: dict[str, Any] = {"NAMES": names}
    exec(source, space)
    bound: Loop = space["bound"]
    return bound


def contestants() -> dict[str, dict[str, tuple[Loop, list[Any]]]]:
    """Workload -> column -> (loop, contexts); every answer has been verified."""
    people, client, snapshot = contexts(), Client(), read_snapshot(snapshot_document())
    verify(client, snapshot, people)
    names = {"cl": client, "s": snapshot, "now": NOW_MS, "ev": evaluate, "et": evaluate_typed, "ea": evaluate_all}
    table = {}
    for workload, key in KEYS.items():
        expressions = (
            f"cl.get({key!r}, c, None)",
            f"cl.details({key!r}, c, None).value",
            f"ev(s, {key!r}, c, now).value",
            f"et(s, {key!r}, {TYPES[workload]!r}, None, c, now).value",
        )
        loops = {column: loop_over(text, names) for column, text in zip(COLUMNS, expressions, strict=True)}
        table[workload] = {column: (loop, people) for column, loop in loops.items()}
    bulk = {COLUMNS[0]: "cl.all(c)", COLUMNS[1]: "cl.all_details(c)", COLUMNS[2]: "ea(s, c, now)"}
    table["W6"] = {column: (loop_over(text, names), people[:10]) for column, text in bulk.items()}
    return table


def verify(client: Client, snapshot: Any, people: list[Any]) -> None:
    """Raise WrongAnswer unless floor and engine both answer rightly."""
    for workload, key in KEYS.items():
        verify_one(workload, [client.details(key, who, None).value for who in people], people)
        verify_one(workload, [evaluate(snapshot, key, who, NOW_MS).value for who in people], people)
    for who in people[:10]:
        verify_all({key: details.value for key, details in client.all_details(who).items()}, who)
        verify_all({made.flag_key: made.value for made in evaluate_all(snapshot, who, NOW_MS)}, who)
    for who, variant in probes():
        if evaluate(snapshot, KEYS["W2"], who, NOW_MS).variant != variant:
            raise SystemExit(f"W2 is wrong for {who}")


def measure(table: dict[str, dict[str, tuple[Loop, list[Any]]]]) -> dict[str, dict[str, float]]:
    """Medians in ns per evaluation; in every round everybody gets one slice of time."""
    times: dict[str, dict[str, list[float]]] = {w: {c: [] for c in row} for w, row in table.items()}
    repeats: dict[tuple[str, str], int] = {}
    for turn in range(ROUNDS + 1):
        gc.collect()
        for workload, row in table.items():
            for column, (loop, people) in row.items():
                repeat = repeats.get((workload, column), 1)
                start = time.perf_counter_ns()
                loop(repeat, people)
                spent = time.perf_counter_ns() - start
                if turn:
                    times[workload][column].append(spent / (repeat * len(people)))
                else:  # the first round warms up and finds out how often to repeat
                    repeats[workload, column] = max(1, SLICE_NS // max(spent, 1))
    return {w: {c: statistics.median(values) for c, values in row.items()} for w, row in times.items()}


def main() -> None:
    """Print the table."""
    medians = measure(contestants())
    print(f"Python {platform.python_version()}, ns per evaluation (W6: 200 flags), medians of {ROUNDS} rounds\n")
    print(f"{'':4}" + "".join(f"{column:>17}" for column in COLUMNS) + f"{'x details':>12}{'x value':>10}")
    for workload, row in medians.items():
        cells = "".join(f"{row[column]:17,.0f}" if column in row else f"{'':>17}" for column in COLUMNS)
        ours = row[COLUMNS[2]]
        print(f"{workload:4}{cells}{ours / row[COLUMNS[1]]:12.2f}{ours / row[COLUMNS[0]]:10.2f}")
    print("\ngoal: `evaluate` at most 1.50 x the floor with details")


if __name__ == "__main__":
    main()
