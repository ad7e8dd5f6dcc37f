"""Evaluation through Greenroom's public `Client` beside every other SDK, in one run.

Each SDK runs in processes of its own and, since their dependencies disagree, in one of three environments that are
installed from `requirements/peers*.txt` below the project's own environment when they are needed first. Rounds are
interleaved: in each, everybody runs once, in another order.
"""

import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.bench.peers.register import ADAPTERS

ROUNDS: Final = 3
WORKLOADS: Final = ("W1", "W2", "W3", "W4", "W5", "W6")
OURS: Final = "Greenroom"
# Those that the goal names: at least ten times as quick as them.
TEN_TIMES: Final = ("LaunchDarkly, no events", "Unleash 6", "Flipt")
_ROOT: Final = Path(__file__).resolve().parents[3]
_TIMEOUT_S: Final = 180
_ELSEWHERE: Final = {"DevCycle": "peers-devcycle", "Unleash 5": "peers-unleash5"}


def report(rounds: int = ROUNDS, only: str = "") -> str:
    """Run everybody whose name contains `only`, ourselves always, and make the table."""
    names = [name for name in ADAPTERS if name.startswith(OURS) or only.lower() in name.lower()]
    pythons = {name: _python_of(name) for name in names}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    for turn in range(rounds):
        for name in random.Random(turn).sample(names, len(names)):
            if name in failures:
                continue
            try:
                found[name].append(_run(pythons[name], name))
            except ChildFailed as error:
                failures[name] = str(error)
    medians = {name: _medians(runs) for name, runs in found.items() if runs and name not in failures}
    return _table(medians, found, failures)


class ChildFailed(Exception):
    """an SDK's process failed or answered wrongly"""


def _python_of(name: str) -> str:
    if name.startswith(OURS):
        return sys.executable
    environment = _ELSEWHERE.get(name, "peers")
    folder = Path(sys.prefix) / environment
    pins = _ROOT / "requirements" / f"{environment}.txt"
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.stat().st_mtime < pins.stat().st_mtime:
        print(f"installing {environment}", file=sys.stderr, flush=True)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        subprocess.run([*uv, "venv", "--clear", "--python", str(base), str(folder)], check=True)
        install = [*uv, "pip", "install", "--python", str(python), "--require-hashes", "-r", str(pins)]
        subprocess.run(install, check=True)
        stamp.touch()
    return str(python)


def _run(python: str, name: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "ignore"}
    command = [python, "-m", "tests.bench.peers.child", name]
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"no answer in {_TIMEOUT_S} s") from None
    if done.returncode:
        raise ChildFailed((done.stderr or done.stdout).strip().rpartition("\n")[2][:200])
    result: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return result


def _medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {workload: statistics.median(run["ns"][workload] for run in runs) for workload in WORKLOADS}


def _table(
    medians: dict[str, dict[str, float]], found: dict[str, list[dict[str, Any]]], failures: dict[str, str]
) -> str:
    ours = medians[OURS]
    lines = [
        "ns per evaluation (W6: all of 200 flags), medians; in brackets how many times as long as Greenroom's client",
        "",
        f"{'':26}" + "".join(f"{workload:>20}" for workload in WORKLOADS),
    ]
    for name, row in sorted(medians.items(), key=lambda item: item[1]["W2"]):
        cells = "".join(f"{row[w]:11,.0f} ({row[w] / ours[w]:6.1f})" for w in WORKLOADS)
        lines.append(f"{name:26}{cells}")
    lines += ["", "; ".join(sorted({_versions(runs) for runs in found.values() if runs}))]
    lines += [f"FAILED {name}: {why}" for name, why in failures.items()]
    others = {name: row for name, row in medians.items() if not name.startswith(OURS)}
    if others:
        lines += ["", _least("ahead of every peer", others, ours)]
    ten = {name: row for name, row in others.items() if name in TEN_TIMES}
    if ten:
        lines.append(_least("goal 10 x: LaunchDarkly, Unleash, Flipt", ten, ours))
    return "\n".join(lines)


def _least(what: str, rows: dict[str, dict[str, float]], ours: dict[str, float]) -> str:
    name, workload = min(((n, w) for n in rows for w in WORKLOADS), key=lambda at: rows[at[0]][at[1]] / ours[at[1]])
    return f"{what}: by at least {rows[name][workload] / ours[workload]:.1f} x ({name}, {workload})"


def _versions(runs: list[dict[str, Any]]) -> str:
    return ", ".join(f"{package} {number}" for package, number in runs[0]["versions"].items())
