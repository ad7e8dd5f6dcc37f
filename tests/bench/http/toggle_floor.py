"""The floor of persisted toggles: the statements of a switch and nothing else, on bare asyncpg and uvloop.

    python -m tests.bench.http.toggle_floor URL PROJECT ENVIRONMENT COUNT FLAG...

One connection for each flag, COUNT switches of each. Prints one line of JSON: seconds, and processor time per switch.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import uvloop

from greenroom_server.audit.service import APPEND
from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.flags.service_place import LOCKED_PLACE, STORE_PLACE

_BODY = '{"at":"2026-11-25T10:00:00+00:00","actor":"admin:1","action":"flag.enable","target":"/","changes":[]}'


async def _switch(connection: Any, path: tuple[str, str, str]) -> None:
    await connection.execute("BEGIN")
    found = await connection.fetchrow(LOCKED_PLACE, *path)
    now = datetime.now(UTC)
    stored = (found["enabled"], found["off_variant"], found["prerequisites"], found["rules"], found["fallthrough"])
    ids = (found["flag_id"], found["environment_id"], found["revision"] + 1, path[2])
    derived = (found["version"] + 1, found["reach"], found["document_bytes"], now)
    await connection.fetch(STORE_PLACE, *ids, not stored[0], *stored[1:], *derived)
    chain = (path[0], now, "admin:1", "flag.enable", "/", f'{{"chain":"{path[0]}","sequence":', "," + _BODY[1:])
    await connection.fetchrow(APPEND, *chain)
    await connection.execute('NOTIFY "greenroom"; COMMIT')


async def _work(url: str, path: tuple[str, str, str], count: int, ready: asyncio.Barrier) -> None:
    connection: Any = await connect(url, Timeouts(), purpose="greenroom bench")
    await _switch(connection, path)  # prepares the statements
    await ready.wait()
    for _ in range(count):
        await _switch(connection, path)
    await connection.close()


async def _run(url: str, project: str, environment: str, count: int, flags: list[str]) -> dict[str, float]:
    ready = asyncio.Barrier(len(flags) + 1)
    async with asyncio.TaskGroup() as group:
        for flag in flags:
            group.create_task(_work(url, (project, environment, flag), count, ready))
        await ready.wait()
        begun, spent = time.perf_counter(), time.process_time()
    each = (time.process_time() - spent) / (count * len(flags))
    return {"seconds": time.perf_counter() - begun, "each_s": each}


if __name__ == "__main__":
    _, url, project, environment, count, *flags = sys.argv
    sys.stdout.write(json.dumps(uvloop.run(_run(url, project, environment, int(count), flags))) + "\n")
