"""Kill -9 of the server around a write, and the same request sent again: one effect and one answer."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.own_postgres import fetch, holding
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import PROJECT, Venue, open_venue
from tests.conftest import execute

CYCLES = int(os.environ.get("GREENROOM_CRASH_CYCLES", "4"))
FLAGS_PATH = f"/api/v1/projects/{PROJECT}/flags"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

DAWDLING = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


@pytest.fixture(scope="module")
def database_url(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture(scope="module")
def venue(database_url: str, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    """Each test finds a server that runs and leaves one that does."""
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        yield open_venue(server)


class Creation:
    """One request to create a flag, which can be sent again word for word."""

    def __init__(self) -> None:
        self.flag = f"flag-{uuid4().hex[:12]}"
        self.idempotency_key = str(uuid4())

    def send(self, author: Author) -> httpx.Response:
        body = {"key": self.flag, "type": "boolean", "purpose": "operational"}
        return author.http.post(FLAGS_PATH, json=body, headers={"Idempotency-Key": self.idempotency_key})

    def stored(self, database_url: str) -> tuple[int, int]:
        """How many flags and how many audit events it made."""
        flags = fetch(database_url, f"SELECT 1 FROM flag WHERE key = '{self.flag}'")
        target = f"{FLAGS_PATH}/{self.flag}"
        events = fetch(database_url, f"SELECT 1 FROM audit_event WHERE target = '{target}'")
        return len(flags), len(events)


@contextmanager
def slow_commits(database_url: str) -> Iterator[None]:
    """A commit that stores a flag takes a second."""
    sleep = "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'"
    execute(database_url, sleep)
    when = "CONSTRAINT TRIGGER dawdle AFTER INSERT ON flag DEFERRABLE INITIALLY DEFERRED"
    execute(database_url, f"CREATE {when} FOR EACH ROW EXECUTE FUNCTION dawdle()")
    try:
        yield
    finally:
        execute(database_url, "DROP FUNCTION dawdle CASCADE")


@contextmanager
def sent(venue: Venue, creation: Creation) -> "Iterator[Future[httpx.Response]]":
    """The request under way; whatever becomes of it."""
    with venue.author() as author, ThreadPoolExecutor(1) as threads:
        yield threads.submit(creation.send, author)


def send_again(venue: Venue, creation: Creation) -> httpx.Response:
    """To the restarted server."""
    venue.server.start()
    with venue.author() as author:
        return creation.send(author)


def test_killed_before_the_commit(venue: Venue, database_url: str) -> None:
    """The write waited for a lock: nothing was done, and the second request does it."""
    creation = Creation()
    with holding(database_url, "SELECT 1 FROM project FOR UPDATE"), sent(venue, creation):
        until(lambda: bool(fetch(database_url, WAITING)), what="the write's waiting")
        venue.server.kill()
    assert creation.stored(database_url) == (0, 0)

    again = send_again(venue, creation)

    assert again.status_code == 201
    assert "idempotency-replayed" not in again.headers
    assert creation.stored(database_url) == (1, 1)


def test_killed_between_commit_and_reply(venue: Venue, database_url: str) -> None:
    """The flag is stored and nobody was told: the second request makes no other, and gets the first one's answer."""
    creation = Creation()
    with slow_commits(database_url), sent(venue, creation) as reply:
        until(lambda: bool(fetch(database_url, DAWDLING)), what="the commit's begin")
        os.killpg(venue.server.process.pid, signal.SIGSTOP)  # from here on no reply leaves it
        until(lambda: creation.stored(database_url) == (1, 1), what="the commit")
        assert not reply.done()
        venue.server.kill()

    again = send_again(venue, creation)

    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["key"] == creation.flag
    assert creation.stored(database_url) == (1, 1)


def test_killed_at_any_moment(venue: Venue, database_url: str) -> None:
    """Over and over: every flag exists exactly once, with one audit event, whether its first answer came or not."""
    seed = int(os.environ.get("GREENROOM_SEED", "20261123"))
    chance = random.Random(seed)
    for _ in range(CYCLES):
        creation = Creation()
        with sent(venue, creation):
            time.sleep(chance.uniform(0, 0.03))
            venue.server.kill()
        again = send_again(venue, creation)

        assert again.status_code == 201, (seed, again.text)
        assert creation.stored(database_url) == (1, 1), seed
