"""Measures one SDK in a fresh process, and prints one line of JSON. Started by `contest`, with the SDK's own Python.

    python -m tests.bench.peers.child ADAPTER

Answers are verified before anything is timed. The loop around each read is compiled, so nobody pays a call for it; it
costs everybody the same few nanoseconds.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

from tests.bench.engine.workload import FLAGS, GATED_FLAG, KEYS, WrongAnswer, contexts, probes, verify_all, verify_one
from tests.bench.peers.flags import flags
from tests.bench.peers.peer import LOOP, Peer, Read
from tests.bench.peers.register import ADAPTERS

SLICES = 5
SLICE_NS = 40_000_000
Loop = Callable[[int, list[Any], list[Any]], int]


def loop_over(read: Read, *, keeps: bool = False) -> Loop:
    """Reads for each context, `n` times over; the nanoseconds that took. `keeps`: answers go to the third argument."""
    statement = f"out.append({read.expression})" if keeps else read.expression
    names = ", ".join(read.names)
    source = (
        f"{'async ' if read.is_async else ''}def loop(n, cs, out, {names}):\n"
        f"  start = clock()\n  for _ in range(n):\n    for c in cs:\n      {statement}\n  return clock() - start\n"
    )
    space: dict[str, Any] = {"clock": time.perf_counter_ns}
    exec(source, space)
    loop = space["loop"]
    if read.is_async:
        return lambda n, cs, out: int(LOOP.run_until_complete(loop(n, cs, out, **read.names)))
    return lambda n, cs, out: int(loop(n, cs, out, **read.names))


def answers(read: Read, asked: list[Any]) -> list[Any]:
    out: list[Any] = []
    loop_over(read, keeps=True)(1, asked, out)
    return out if read.plain is None else [read.plain(one) for one in out]


def verify(peer: Peer, reads: dict[str, Read], people: list[Any]) -> None:
    """Raise WrongAnswer unless every workload is answered rightly, and the same way twice."""
    for workload in KEYS:
        given = answers(reads[workload], reads[workload].contexts)
        verify_one(workload, given, people)
        if given != answers(reads[workload], reads[workload].contexts):
            raise WrongAnswer(f"{workload} is not sticky")
    if not peer.is_close:
        given = answers(reads["W2"], reads["W2"].probes)
        if given != [variant for _, variant in probes()]:
            raise WrongAnswer(f"W2 gives the probes {given}")
    for who, given_all in zip(people, answers(reads["W6"], reads["W6"].contexts), strict=False):
        verify_all(_completed(peer, given_all), who)


def _completed(peer: Peer, values: dict[str, Any]) -> dict[str, Any]:
    """What a peer's model lacks is put right, so that the rest is verified as strictly as everybody's."""
    values = dict(values)
    if not peer.has_prerequisites:
        values[GATED_FLAG] = None
    if peer.omits_off:
        values |= {flag.key: False for flag in flags() if flag.key not in values and flag.kind != "w2"}
    return {key: values[key] for key in values if key[:2] in ("w1", "w2", "w3", "w4", "w5")}


def measure(read: Read) -> list[float]:
    """Nanoseconds a read, slice by slice, after a warm-up."""
    loop = loop_over(read)
    asked = read.contexts
    per_read = loop(1, asked[:20], []) / len(asked[:20])
    asked = asked[: max(10, int(SLICE_NS / max(per_read, 1.0)))]
    repeats = max(1, int(SLICE_NS / max(loop(1, asked, []), 1)))
    loop(repeats, asked, [])
    found = []
    for _ in range(SLICES):
        gc.collect()
        found.append(loop(repeats, asked, []) / (repeats * len(asked)))
    return found


def main(name: str) -> None:
    """Verify, measure and print."""
    people = contexts()
    peer = ADAPTERS[name]()
    reads = peer.reads(people, [context for context, _ in probes()])
    try:
        verify(peer, reads, people)
        medians = {workload: statistics.median(measure(read)) for workload, read in reads.items()}
    finally:
        peer.close()
    versions = {package: metadata.version(package) for package in peer.packages}
    print(json.dumps({"peer": name, "flags": FLAGS, "versions": versions, "ns": medians}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
