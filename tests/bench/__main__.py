"""`make bench`: measures, as ratios to floors in the same run, and prints. It judges nothing by the clock.

    python -m tests.bench [PART ...] [--rounds N] [--case TEXT]

Without names: all but `servers`, in about ten minutes. `peers` installs the other SDKs when it runs first.
`servers` compares uvicorn and granian.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable

from tests.bench.decisions import bench_decisions
from tests.bench.engine import bench_engine
from tests.bench.http import contest, figures, servers
from tests.bench.ingest import contest as ingest
from tests.bench.peers import contest as peers
from tests.bench.policy import bench_policy
from tests.bench.sdk import bench_client
from tests.bench.streams import contest as streams

PARTS = ("engine", "policy", "decisions", "sdk", "peers", "http", "streams", "ingest", "figures", "servers")
_INGEST_ROUNDS = 5
BY_DEFAULT = PARTS[:-1]


def main() -> None:
    """Run the parts and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Greenroom against floors.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; default: all but the last")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each HTTP case (default: 15)")
    parser.add_argument("--case", default="", help="only HTTP cases and SDKs whose name contains this")
    wanted = parser.parse_args()
    unknown = set(wanted.parts) - set(PARTS)
    if unknown or wanted.rounds < 1:
        parser.error(f"no such part: {', '.join(sorted(unknown))}" if unknown else "--rounds must be at least 1")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    runs: dict[str, Callable[[], None]] = {
        "engine": bench_engine.main,
        "policy": bench_policy.main,
        "decisions": bench_decisions.main,
        "sdk": bench_client.main,
        "peers": lambda: print(peers.report(only=wanted.case)),
        "http": lambda: print(contest.report(contest.run(wanted.rounds, only=wanted.case))),
        "streams": lambda: print(streams.report()),
        "ingest": lambda: print(ingest.report(_INGEST_ROUNDS)),
        "figures": lambda: print(figures.report()),
        "servers": lambda: print(servers.report(wanted.rounds)),
    }
    for part in wanted.parts or BY_DEFAULT:
        begun = time.monotonic()
        print(f"\n== {part}\n", flush=True)
        runs[part]()
        print(f"\n({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
