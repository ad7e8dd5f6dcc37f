"""Reported events per second, acknowledged on disk, against a bare COPY of the same rows; and what evaluation feels.

Rounds of both alternate, on one PostgreSQL that syncs its commits. Batches are made up and packed beforehand.
Evaluation is looked at alone, beside batches for its own server process, and beside as many for another process: what
the last two differ by is the process's doing, the rest is that of the machine's cores.
"""

import asyncio
import gzip
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from tests.api.exposures.batches import batch, exposure
from tests.bench.http import workload
from tests.bench.http.hammer import Hammer, Hits
from tests.bench.http.stage import Stage, set_up, temporary_folder
from tests.bench.http.wire import ask_once
from tests.blackbox.server_process import ServerProcess

from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.embedded import EmbeddedPostgres

ROWS: Final = 500
BATCHES: Final = 60
SENDERS: Final = 8
WRITERS: Final = 2
# Events per second beside which evaluation is looked at.
PACE: Final = 10_000
_EVALUATIONS: Final = 6_000
_LOOKS: Final = 3
_PACKED_S: Final = 10  # seconds for which batches are ready
_COLUMNS: Final = ("id", "environment_id", "flag", "variant", "targeting_key", "at")
# Found by id, as ours is; ours has an index for the views too.
_BARE: Final = """
DROP TABLE IF EXISTS bare;
CREATE TABLE bare (
    id uuid PRIMARY KEY, environment_id uuid, flag text, variant text, targeting_key text, at timestamptz
)
"""
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """Events per second of both, and how long a batch waited for its answer."""

    reported: float
    copied: float
    p50_ms: float
    p99_ms: float


def report(rounds: int) -> str:
    """Measure, and say it in a few lines."""
    with (
        temporary_folder() as folder,
        EmbeddedPostgres(folder / "postgres") as url,
        ServerProcess(folder / "data", database_url=url) as server,
    ):
        stage = set_up(server)
        asyncio.run(_round(stage, url))  # connections, partitions, caches
        found = [asyncio.run(_round(stage, url)) for _ in range(rounds)]
        with ServerProcess(folder / "other", database_url=url) as other:
            seen = [_evaluation(stage, urlsplit(other.url).port or 0) for _ in range(_LOOKS)]
    quiet, busy, elsewhere = (statistics.median(hits.p99_ms for hits in looks) for looks in zip(*seen, strict=True))
    ratio = statistics.median(one.reported / one.copied for one in found)
    reported, copied = (statistics.median(getattr(one, name) for one in found) for name in ("reported", "copied"))
    p50, p99 = (statistics.median(getattr(one, name) for one in found) for name in ("p50_ms", "p99_ms"))
    return "\n".join(
        (
            f"exposures acknowledged on disk: {reported:,.0f}/s in batches of {ROWS}, {SENDERS} at a time",
            f"bare COPY of the same rows: {copied:,.0f}/s, {WRITERS} at a time; ratio {ratio:.2f} (goal 0.4)",
            f"a batch's answer: p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            f"OFREP single, one connection: p99 {quiet:.2f} ms alone, {busy:.2f} ms while {PACE:,} events/s come in,"
            f" {elsewhere:.2f} ms while they go to another process",
            f"  x alone: {busy / quiet:.1f}, of which the process's own doing {busy / elsewhere:.2f} (goal 1.2)",
        )
    )


async def _round(stage: Stage, url: str) -> Round:
    bodies = [_rows() for _ in range(BATCHES)]
    latencies: list[float] = []
    reported = await _send(stage.port, [_request(stage, rows) for rows in bodies], latencies)
    copied = await _copy(url, [[_record(row) for row in rows] for rows in bodies])
    number = BATCHES * ROWS
    ordered = sorted(latencies)
    return Round(number / reported, number / copied, ordered[len(ordered) // 2] * 1e3, ordered[-1] * 1e3)


async def _send(port: int, requests: list[bytes], latencies: list[float]) -> float:
    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while requests:
            begun = time.perf_counter()
            writer.write(requests.pop())
            await _accepted(reader)
            latencies.append(time.perf_counter() - begun)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(SENDERS)))
    return time.perf_counter() - begun


async def _accepted(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(int(length.partition(b":")[2]))
    if not head.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(f"{head!r} {body!r}")


async def _copy(url: str, batches: list[list[Row]]) -> float:
    connections: list[Any] = [await connect(url, Timeouts(), purpose="bench") for _ in range(WRITERS)]
    await connections[0].execute(_BARE)

    async def copy(connection: Any) -> None:
        while batches:
            await connection.copy_records_to_table("bare", records=batches.pop(), columns=_COLUMNS)

    begun = time.perf_counter()
    await asyncio.gather(*map(copy, connections))
    seconds = time.perf_counter() - begun
    for connection in connections:
        await connection.close()
    return seconds


def _evaluation(stage: Stage, other_port: int) -> tuple[Hits, Hits, Hits]:
    """Evaluation by one client: alone, while batches come in at `PACE`, and while they go elsewhere."""
    question = workload.post(workload.SINGLE_PATH, {"context": workload.PEOPLE[0]}, stage.authorization)
    size = ask_once(stage.port, question).size
    with Hammer() as hammer:

        def ask() -> Hits:
            return hammer.hit(stage.port, [question], size, status=200, count=_EVALUATIONS)

        return ask(), asyncio.run(_beside(stage, stage.port, ask)), asyncio.run(_beside(stage, other_port, ask))


async def _beside(stage: Stage, port: int, ask: Callable[[], Hits]) -> Hits:
    waiting = [_request(stage, _rows()) for _ in range(_PACKED_S * PACE // ROWS)]
    asked = asyncio.create_task(asyncio.to_thread(ask))
    while not asked.done():
        begun = time.perf_counter()
        await _send(port, [waiting.pop()], [])
        await asyncio.sleep(max(0.0, begun + ROWS / PACE - time.perf_counter()))
    return await asked


def _rows() -> list[dict[str, Any]]:
    return [exposure(f"user-{number}") for number in range(ROWS)]


def _request(stage: Stage, rows: list[dict[str, Any]]) -> bytes:
    body = gzip.compress(orjson.dumps(batch(exposures=rows)), 6)
    head = (
        f"POST /api/v1/sdk/exposures HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {stage.key}\r\n"
        f"content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _record(row: dict[str, Any]) -> Row:
    return (
        row["id"],
        UUID(int=1),
        row["flag"],
        row["variant"],
        row["targeting_key"],
        datetime.fromisoformat(row["at"]),
    )
