"""Two servers on one database move releases while they are killed (-9) and frozen (SIGSTOP) at every step.

Judged by the audit log, the releases' moves and the flags: no step twice, none left out, none out of order or early.
GREENROOM_RELEASE_CYCLES=200 for the long form.
"""

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess, until
from tests.conftest import run

from greenroom_server.database.connect import Timeouts, connect

CYCLES: Final = int(os.environ.get("GREENROOM_RELEASE_CYCLES", "3"))
SEED: Final = int(os.environ.get("GREENROOM_SEED", "20261125"))
SHARES: Final = (1, 5, 25, 50)
STEPS: Final = len(SHARES) + 1
AFTER_MS: Final = 150
FLAGS: Final = ("checkout", "delivery", "payment")
PROJECT: Final = "/api/v1/projects/venue"


class Pair:
    """Two servers that share the work, and somebody who authors by whichever is up."""

    def __init__(self, servers: list[ServerProcess], database_url: str, token: str) -> None:
        self.servers = servers
        self.database_url = database_url
        self._token = token

    def author(self, server: int = 0) -> Author:
        return Author(self.servers[server].url, self._token, timeout_s=20)

    def plan(self, key: str) -> dict[str, Any]:
        advance = {"after": f"{AFTER_MS}ms"}
        shares = [{"audience": {"percent": share}, "advance": advance} for share in SHARES]
        steps = [*shares, {"audience": "everyone"}]
        return {"key": key, "environment": "production", "flags": [{"flag": flag} for flag in FLAGS], "steps": steps}

    def start(self, key: str) -> None:
        """Make a release of all the flags, and let it go."""
        self.revive()
        with self.author() as author:
            author.send("POST", f"{PROJECT}/releases", self.plan(key))
            author.send("POST", f"{PROJECT}/releases/{key}/go", {})

    def revive(self) -> None:
        """Both run, and neither is frozen."""
        for server in self.servers:
            if not server.is_running:
                server.start()

    def standing(self, key: str) -> tuple[str, int]:
        """State and step, out of the store: no server need be up."""
        ((state, step),) = fetch(self.database_url, f"SELECT state, step FROM named_release WHERE key = '{key}'")
        return str(state), int(str(step))

    def reach(self, key: str, step: int) -> None:
        """Wait until it is so far, or further."""
        until(lambda: self.standing(key)[1] >= step, within_s=30, what=f"step {step} of `{key}`")

    def finish(self, key: str) -> None:
        """Wait until it is finished, then take it back, so that the next release starts from dark flags."""
        until(lambda: self.standing(key)[0] != "running", within_s=30, what=f"the end of `{key}`")
        assert self.standing(key) == ("finished", STEPS), self.judged(key)
        self.revive()
        with self.author() as author:
            author.send("POST", f"{PROJECT}/releases/{key}/undo", {})

    def judged(self, key: str) -> str:
        """All that speaks of the release, for a failure to show."""
        return "\n".join(str(event) for event in self.events(key))

    def events(self, key: str) -> list[dict[str, Any]]:
        query = f"SELECT body FROM audit_event WHERE target = '{PROJECT}/releases/{key}' ORDER BY sequence"
        return [orjson.loads(str(body)) for (body,) in fetch(self.database_url, query)]

    def judge(self, key: str) -> None:
        """Each step once, in order, not before its time, with all of its flags."""
        told = self.judged(key)
        steps = [event for event in self.events(key) if event["action"] == "release.step"]
        taken = [change for event in steps for change in event["changes"] if change["path"] == "/step"]
        assert [(one["from"], one["to"]) for one in taken] == [(number, number + 1) for number in range(STEPS)], told
        moves = fetch(
            self.database_url,
            "SELECT m.kind, m.from_step, m.to_step, m.version, m.at FROM named_release_move m"
            f" JOIN named_release r ON r.id = m.release_id WHERE r.key = '{key}' ORDER BY m.version",
        )
        kinds = [(kind, before, after) for kind, before, after, *_ in moves]
        assert kinds == [*(("step", number, number + 1) for number in range(STEPS)), ("undo", STEPS, 0)], told
        versions = [int(str(version)) for *_, version, _ in moves]
        assert versions[:STEPS] == list(range(versions[0], versions[0] + STEPS)), told
        moments = [at for *_, at in moves if isinstance(at, datetime)]
        for before, after in pairwise(moments[:STEPS]):
            assert after - before >= timedelta(milliseconds=AFTER_MS), told
        # One change of each flag for each step, and one for the undo; the servers' own and the author's alike.
        for flag in FLAGS:
            found = fetch(self.database_url, _changes_since_release(flag, key))
            assert int(str(found[0][0])) == STEPS + 1, (flag, told)


def _changes_since_release(flag: str, key: str) -> str:
    target = f"{PROJECT}/environments/production/flags/{flag}"
    made = f"SELECT min(sequence) FROM audit_event WHERE target = '{PROJECT}/releases/{key}'"
    undone = f"SELECT max(sequence) FROM audit_event WHERE target = '{PROJECT}/releases/{key}'"
    return (
        f"SELECT count(*) FROM audit_event WHERE target = '{target}'"
        f" AND sequence BETWEEN ({made}) AND ({undone}) AND action = 'configuration.update'"
    )


@pytest.fixture(scope="module")
def pair(make_database: Callable[[], str], data_dir_factory: Callable[[], Path]) -> Iterator[Pair]:
    """Two servers that look at the releases twenty times a second."""
    url = make_database()
    servers = [
        ServerProcess(data_dir_factory(), database_url=url, release_interval_s="0.05", pool_size="5") for _ in range(2)
    ]
    try:
        token = servers[0].start().set_up()
        servers[1].start()
        made = Pair(servers, url, token)
        with made.author() as author:
            author.project("venue", "production")
            for flag in FLAGS:
                author.flag("venue", flag)
        yield made
    finally:
        for server in servers:
            _signal(server, signal.SIGCONT)
            server.close()


@pytest.mark.timeout(60 + 20 * CYCLES)
def test_killed_and_frozen_at_every_step(pair: Pair) -> None:
    """At a random moment of each step one of the servers is killed or frozen; the other, or its successor, goes on."""
    chance = random.Random(SEED)
    for cycle in range(CYCLES):
        key = f"cycle-{cycle}"
        pair.start(key)
        for step in range(1, STEPS):
            pair.reach(key, step)
            victim = chance.choice(pair.servers)
            time.sleep(chance.uniform(0, 2 * AFTER_MS / 1000))
            if chance.random() < 0.4 and all(server.is_running for server in pair.servers):
                victim.kill()
            elif victim.is_running:
                _freeze(victim, chance.uniform(0.05, 0.4))
        pair.finish(key)
        pair.judge(key)


def test_killed_while_it_waits_in_the_middle_of_a_step(pair: Pair) -> None:
    """Both servers are at the same step and wait for the project's lock when one of them dies: the other takes it."""
    pair.start("locked")
    with _both_waiting(pair):
        pair.servers[0].kill()

    pair.finish("locked")
    pair.judge("locked")


def test_a_frozen_server_that_wakes_up_writes_nothing(pair: Pair) -> None:
    """Both frozen in the middle of a step, and one thawed: it goes on alone. The other wakes up to another version."""
    pair.start("frozen")
    with _both_waiting(pair):
        for server in pair.servers:
            _signal(server, signal.SIGSTOP)
    try:
        _signal(pair.servers[1], signal.SIGCONT)
        until(lambda: pair.standing("frozen")[0] == "finished", within_s=40, what="the other server's steps")
    finally:
        _signal(pair.servers[0], signal.SIGCONT)

    pair.finish("frozen")
    pair.judge("frozen")


def _freeze(server: ServerProcess, for_s: float) -> None:
    _signal(server, signal.SIGSTOP)
    time.sleep(for_s)
    _signal(server, signal.SIGCONT)


def _signal(server: ServerProcess, number: int) -> None:
    if server.is_running:
        os.killpg(server.process.pid, number)


@contextmanager
def _both_waiting(pair: Pair) -> Iterator[None]:
    """Hold the project's row; the block begins once both servers wait for it in the middle of a step."""
    taken, let_go = threading.Event(), threading.Event()

    async def hold() -> None:
        connection: Any = await connect(pair.database_url, Timeouts(), purpose="greenroom tests")
        try:
            async with connection.transaction():
                await connection.execute("SELECT FROM project WHERE key = 'venue' FOR UPDATE")
                taken.set()
                await asyncio.to_thread(let_go.wait)
        finally:
            await connection.close()

    holder = threading.Thread(target=lambda: run(hold()))
    holder.start()
    try:
        assert taken.wait(10)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        until(lambda: int(str(fetch(pair.database_url, waiting)[0][0])) >= 2, what="two servers at one step")
        yield
    finally:
        let_go.set()
        holder.join()
