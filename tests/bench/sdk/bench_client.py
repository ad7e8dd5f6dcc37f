"""Measures evaluation through the public `Client` against the engine and the hand-written floor, in interleaved rounds.

    python -m tests.bench.sdk.bench_client

The workloads, their verified answers and the floor are those of `tests/bench/engine/`. `counted` is with exposures
being counted for the server, `subjects` with each subject told as well, after the first time.
"""

import os
import platform
import time
from typing import Any

from tests.bench.engine.bench_engine import ROUNDS, TYPES, Loop, loop_over, measure
from tests.bench.engine.floor import Client as Floor
from tests.bench.engine.workload import KEYS, NOW_MS, contexts, snapshot_document, verify_all, verify_one

from greenroom import Client, ExposureSink, Options
from greenroom.evaluation import evaluate, read_snapshot
from greenroom.tally import Limits, Tally

METHODS = {"boolean": "bool", "string": "str", "object": "object"}
COLUMNS = (
    "floor, value", "client, value", "counted, value", "subjects, value", "floor, details", "client, details",
    "counted, details", "engine",
)  # fmt: skip


class CountingSink(Tally):
    """What the SDK counts with, without anybody who reports it."""

    def __init__(self) -> None:
        limits = Limits(waiting=100_000, subjects=100_000)
        super().__init__(limits, lambda: time.time_ns() // 1_000_000, lambda: int.from_bytes(os.urandom(10)))

    def forked(self) -> None: ...
    def close(self, timeout_s: float) -> None: ...


def offline(sink: ExposureSink | None = None, track_exposures: str = "counts") -> Client:
    document = snapshot_document()
    for flag in document["flags"].values():
        flag["track_exposures"] = track_exposures
    return Client(options=Options(is_offline=True, bootstrap=document, sink=sink))


def contestants() -> dict[str, dict[str, tuple[Loop, list[Any]]]]:
    """Workload -> column -> (loop, contexts); every answer has been verified."""
    people, floor, client, snapshot = contexts(), Floor(), offline(), read_snapshot(snapshot_document())
    counted, subjects = offline(CountingSink()), offline(CountingSink(), "subjects")
    names = {
        "fl": floor, "cl": client, "co": counted, "su": subjects, "s": snapshot, "ev": evaluate, "now": NOW_MS
    }  # fmt: skip
    table = {}
    for workload, key in KEYS.items():
        name = METHODS[TYPES[workload]]
        read = getattr(client, f"{name}_value")
        verify_one(workload, [read(key, None, who) for who in people], people)
        expressions = (
            f"fl.get({key!r}, c, None)",
            f"cl.{name}_value({key!r}, None, c)",
            f"co.{name}_value({key!r}, None, c)",
            f"su.{name}_value({key!r}, None, c)",
            f"fl.details({key!r}, c, None).value",
            f"cl.{name}_details({key!r}, None, c).value",
            f"co.{name}_details({key!r}, None, c).value",
            f"ev(s, {key!r}, c, now).value",
        )
        table[workload] = {c: (loop_over(text, names), people) for c, text in zip(COLUMNS, expressions, strict=True)}
    verify_all(client.all_values(people[0]), people[0])
    bulk = {"floor, value": "fl.all(c)", "client, value": "cl.all_values(c)", "client, details": "cl.all_details(c)"}
    table["W6"] = {column: (loop_over(text, names), people[:10]) for column, text in bulk.items()}
    return table


def main() -> None:
    """Print the table."""
    medians = measure(contestants())
    print(f"Python {platform.python_version()}, ns per evaluation (W6: 200 flags), medians of {ROUNDS} rounds\n")
    print(f"{'':4}" + "".join(f"{column:>17}" for column in COLUMNS) + f"{'client x floor':>17}")
    for workload, row in medians.items():
        cells = "".join(f"{row[column]:17,.0f}" if column in row else f"{'':>17}" for column in COLUMNS)
        print(f"{workload:4}{cells}{row['client, value'] / row['floor, value']:17.2f}")


if __name__ == "__main__":
    main()
