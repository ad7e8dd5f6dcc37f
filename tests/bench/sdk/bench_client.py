"""Measures evaluation through the public `Client` against the engine and the hand-written floor, in interleaved rounds.

    python -m tests.bench.sdk.bench_client

The workloads, their verified answers and the floor are those of `tests/bench/engine/`. `told` is with a sink that
counts by identity, which is what exposures will cost at the least.
"""

import platform
from typing import Any

from tests.bench.engine.bench_engine import ROUNDS, TYPES, Loop, loop_over, measure
from tests.bench.engine.floor import Client as Floor
from tests.bench.engine.workload import KEYS, NOW_MS, contexts, snapshot_document, verify_all, verify_one

from greenroom import Client, Evaluation, Options
from greenroom.evaluation import Snapshot, evaluate, read_snapshot

METHODS = {"boolean": "bool", "string": "str", "object": "object"}
COLUMNS = ("floor, value", "client, value", "told, value", "floor, details", "client, details", "engine")


class CountingSink:
    """Counts evaluations by identity."""

    def __init__(self) -> None:
        self._counts: dict[Evaluation, int] = {}

    def exposed(self, evaluation: Evaluation, context: Any) -> None:
        counts = self._counts
        counts[evaluation] = counts.get(evaluation, 0) + 1

    def tracked(self, event: str, context: Any, value: float | None) -> None: ...
    def swapped(self, snapshot: Snapshot) -> None: ...
    def forked(self) -> None: ...
    def close(self, timeout_s: float) -> None: ...


def offline(sink: CountingSink | None = None) -> Client:
    return Client(options=Options(is_offline=True, bootstrap=snapshot_document(), sink=sink))


def contestants() -> dict[str, dict[str, tuple[Loop, list[Any]]]]:
    """Workload -> column -> (loop, contexts); every answer has been verified."""
    people, floor, client, told = contexts(), Floor(), offline(), offline(CountingSink())
    snapshot = read_snapshot(snapshot_document())
    names = {"fl": floor, "cl": client, "to": told, "s": snapshot, "ev": evaluate, "now": NOW_MS}
    table = {}
    for workload, key in KEYS.items():
        name = METHODS[TYPES[workload]]
        read = getattr(client, f"{name}_value")
        verify_one(workload, [read(key, None, who) for who in people], people)
        expressions = (
            f"fl.get({key!r}, c, None)",
            f"cl.{name}_value({key!r}, None, c)",
            f"to.{name}_value({key!r}, None, c)",
            f"fl.details({key!r}, c, None).value",
            f"cl.{name}_details({key!r}, None, c).value",
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
