"""Measures decisions of a real server: asked by several pipelines at once, each stored with its audit event.

    python -m tests.bench decisions

The pure core's share is measured on the very inputs that the server stored, and so is their replay. Facts are kept in
memory while nothing changes, so decisions are also asked for right after a change of the facts, one at a time.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Any, Final

import orjson
import zstandard
from tests.bench.http import workload
from tests.bench.http.processes import processor_time_s
from tests.bench.http.stage import Stage, set_up, temporary_folder
from tests.bench.http.toggles import quantiles, require_ok
from tests.bench.http.wire import Connection
from tests.blackbox.authoring import Author
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess, surroundings
from tests.conftest import execute

from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.policy.canonical import decision_bytes
from greenroom_server.policy.compiled import Policy, compile_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.initial import render_template
from greenroom_server.policy.stored import read_request, read_snapshot
from greenroom_server.web.yaml_codec import read_yaml

PIPELINES: Final = 8
ASKED_EACH: Final = 40
ROUNDS: Final = 5
CHANGES: Final = 100
REPLAYED: Final = 10_000
PROJECT: Final = f"/api/v1/projects/{workload.PROJECT}"
DIGEST: Final = f"sha256:{7:064x}"
SUITES: Final = {"unit": "test.unit", "component": "test.component", "acceptance": "test.acceptance"}
ILITIES: Final = ("test.capacity", "test.availability", "test.security", "test.integration")


def main() -> None:
    """Print the figures."""
    with temporary_folder() as folder, EmbeddedPostgres(folder / "postgres") as url:
        with ServerProcess(folder / "data", database_url=url) as server:
            stage = set_up(server)
            policy = _set_scene(stage)
            _ask(stage)  # warms up
            rounds = [_ask(stage) for _ in range(ROUNDS)]
            changed_ms = _ask_after_changes(stage, url)
        inputs, core_ms = _core(url, policy)
        rate, each = median(one.per_s for one in rounds), median(one.each_ms for one in rounds)
        spent = [seconds for one in rounds for seconds in one.spent]
        print(f"decisions on {_facts(inputs)} facts, {PIPELINES} at a time: {rate:.0f}/s, {quantiles(spent)}")
        print(f"  processor time of the server {each:.2f} ms each, of which the core {core_ms:.2f} ms")
        print(f"  on a core of its own: {1000 / each:.0f}/s (goal 1,000)")
        print(
            f"  right after the facts changed: {changed_ms:.2f} ms each, {1000 / changed_ms:.0f}/s on a core of its own"
        )
        took_s, processor_s = _replayed_s(folder / "data", url)
        print(
            f"  replay of {REPLAYED:,} stored decisions: {processor_s:.1f} s of processor time, {took_s:.1f} s in all"
        )
        print("  (goal 20 s on a core of its own)")


class _Round:
    def __init__(self, seconds: float, each_ms: float, spent: Sequence[float]) -> None:
        self.per_s = len(spent) / seconds
        self.each_ms = each_ms
        self.spent = spent


def _question(stage: Stage) -> bytes:
    body = {"action": "deploy", "service": "web", "environment": "production", "digest": DIGEST}
    return workload.post(f"{PROJECT}/decisions", body, {"authorization": f"Bearer {stage.admin}"})


def _ask(stage: Stage) -> _Round:
    request = _question(stage)

    def pipeline(_: int) -> list[float]:
        spent = []
        with Connection(stage.port) as connection:
            for _ in range(ASKED_EACH):
                begun = time.perf_counter()
                require_ok(connection.ask(request))
                spent.append(time.perf_counter() - begun)
        return spent

    with ThreadPoolExecutor(PIPELINES) as pool:
        begun, processor = time.perf_counter(), processor_time_s(stage.serving_pids)
        spent = [one for several in pool.map(pipeline, range(PIPELINES)) for one in several]
        seconds = time.perf_counter() - begun
    return _Round(seconds, (processor_time_s(stage.serving_pids) - processor) / len(spent) * 1000, spent)


def _ask_after_changes(stage: Stage, url: str) -> float:
    """The server's processor time in ms for a decision whose facts have to be loaded.

    To the server the ledger looks as after a new fact; it is written past it, so that only decisions are measured.
    """
    request, spent = _question(stage), 0.0
    with Connection(stage.port) as connection:
        for _ in range(CHANGES):
            execute(url, "UPDATE release_ledger SET seq = seq")
            before = processor_time_s(stage.serving_pids)
            require_ok(connection.ask(request))
            spent += processor_time_s(stage.serving_pids) - before
    return spent / CHANGES * 1000


def _core(url: str, policy: Policy) -> tuple[dict[str, Any], float]:
    """What a decision was made from, and the core's processor time for one, its bytes included."""
    rows: Any = fetch(url, "SELECT inputs, body FROM decision ORDER BY decided_at DESC LIMIT 1")
    packed, body = rows[0]
    inputs = orjson.loads(zstandard.decompress(bytes(packed), max_output_size=1 << 26))
    snapshot, request = read_snapshot(inputs["snapshot"]), read_request(inputs["request"])
    if decision_bytes(decide(snapshot, request, policy, inputs["now"])) != bytes(body):
        raise SystemExit("the core gives other bytes than the server stored")
    begun = time.process_time()
    for _ in range(300):
        decision_bytes(decide(snapshot, request, policy, inputs["now"]))
    return inputs, (time.process_time() - begun) / 300 * 1000


def _facts(inputs: dict[str, Any]) -> int:
    return sum(len(value) for value in inputs["snapshot"].values() if isinstance(value, list))


def _replayed_s(data: Path, url: str) -> tuple[float, float]:
    """The stored decisions, copied until there are enough, replayed by the command that checks all of them.

    How long it took, and the command's own processor time.
    """
    have = fetch(url, "SELECT count(*) FROM decision")[0][0]
    columns = "project_id, service, environment, action, verdict, subject, requester, seq, activation, revision"
    columns += ", policy_version_id, inputs_digest, inputs, body, decided_at"
    execute(
        url,
        f"INSERT INTO decision (id, {columns}) SELECT gen_random_uuid(), {columns} FROM decision, "
        f"generate_series(1, {REPLAYED // int(str(have)) + 1}) LIMIT {REPLAYED - int(str(have))}",
    )
    command = [sys.executable, "-m", "greenroom_server", "replay-decisions", "--data-dir", str(data)]
    begun, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env=surroundings({"GREENROOM_DATABASE_URL": url}), check=True, capture_output=True, text=True
    )
    if f"{REPLAYED} decisions" not in done.stdout:
        raise SystemExit(done.stdout)
    after = getrusage(RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, processor_s


def _set_scene(stage: Stage) -> Policy:
    """A policy in force, and a build with some 50 facts, all of them well."""
    document = read_yaml(
        render_template(
            "business-release", name="web", time_zone="UTC", environments=("staging", "production")
        ).encode(),
        nodes=10_000,
    )
    document["calendars"] = {"office": {"type": "allow", "weekly": ["Mon-Sun 00:00-24:00"]}}
    document.pop("tests", None)
    with Author(stage.server.url, stage.admin, timeout_s=60) as author:
        _send_facts(author)
        author.send("PATCH", f"{PROJECT}/policy-settings", {"four_eyes": False}, If_Match="*")
        author.send("POST", f"{PROJECT}/policies", document)
        author.send("POST", f"{PROJECT}/policies/web/versions/1/activate", {})
    return compile_policy(document, 1)


def _send_facts(author: Author) -> None:
    then = datetime.now(UTC) - timedelta(hours=1)

    def ago(minutes: float) -> str:
        return (then - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")

    environments = {one["key"] for one in author.send("GET", f"{PROJECT}/environments")["items"]}
    if "staging" not in environments:
        body = {"key": "staging", "name": "Staging", "tier": "staging", "production_like": True}
        author.send("POST", f"{PROJECT}/environments", body)
    author.send("POST", f"{PROJECT}/services", {"key": "web", "name": "Web"})
    parent = None
    for number in range(1, 8):
        body = {"digests": [f"sha256:{number:064x}"], "commit": f"{number:040x}", "parent": parent}
        body["commits"] = [{"id": f"{number:040x}", "authors": ["ada@shop.example"], "stories": ["SHOP-1"]}]
        author.send("POST", f"{PROJECT}/services/web/builds", {k: v for k, v in body.items() if v is not None})
        parent = f"sha256:{number:064x}"
    evidence = [
        {"kind": kind, "suite": suite, "counts": {"total": 100, "passed": 100}, "age": age}
        for age in (1, 2, 3, 4)
        for suite, kind in [*SUITES.items(), *((None, kind) for kind in ILITIES)]
    ]
    for number, one in enumerate(evidence):
        body = {
            "kind": one["kind"],
            "subject": {"digest": DIGEST},
            "outcome": "pass",
            "counts": one["counts"],
            "run": {"id": f"run-{number}"},
            "environment": "staging",
            "finished_at": ago(float(str(one["age"]))),
        }
        author.send("POST", f"{PROJECT}/evidence", {**body, **({"suite": one["suite"]} if one["suite"] else {})})
    for environment, digest in (("production", f"sha256:{1:064x}"), ("staging", DIGEST)):
        body = {"digest": digest, "environment": environment}
        started = author.send("POST", f"{PROJECT}/services/web/deployments", body)
        author.send("POST", f"{PROJECT}/deployments/{started['id']}/finish", {})
    for number in range(10):
        made = author.send("POST", f"{PROJECT}/obstacles", {"service": "web", "text": f"obstacle {number}"})
        author.send("POST", f"{PROJECT}/obstacles/{made['id']}/close", {"reason": "gone"})


if __name__ == "__main__":
    main()
