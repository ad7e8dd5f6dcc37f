"""Kill -9 of the server around issuing: no permit was given that is not stored, and never two were open at once."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from tests.blackbox.authoring import Author, Json
from tests.blackbox.decisions.scene import put_in_force
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess
from tests.blackbox.venue import PROJECT, Venue, open_venue

PIPELINES = 4
PERMITS = int(os.environ.get("GREENROOM_CRASH_PERMITS", "100"))
KILLS = 3
PROJECT_PATH = f"/api/v1/projects/{PROJECT}"
DIGEST = "sha256:" + "b" * 64
# A permit whose answer was lost must not hold everybody up for a quarter of an hour.
ASKED = {"service": "web", "environment": "production", "digest": DIGEST, "valid_for_s": 2}
# For each permit how many others were open when it was issued: taken before, not over before, not run out.
OPEN_BESIDE = """
SELECT one.seq, count(other.id) AS others FROM fact one LEFT JOIN fact other ON other.project_id = one.project_id
    AND other.kind = 'permit' AND other.seq < one.seq AND (other.body ->> 'until')::timestamptz > one.at
    AND NOT EXISTS (SELECT FROM fact ending WHERE ending.about = other.id AND ending.kind = 'end'
        AND ending.seq < one.seq)
WHERE one.kind = 'permit' GROUP BY one.seq
"""


@pytest.fixture(scope="module")
def database_url(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture(scope="module")
def venue(database_url: str, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    """A server with a policy in force that lets one deployment at a time go, and a build of which all is well."""
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        made = open_venue(server)
        with made.author() as author:
            author.send("POST", f"{PROJECT_PATH}/services", {"key": "web", "name": "Web"})
            put_in_force(author, PROJECT_PATH)
            author.send("POST", f"{PROJECT_PATH}/services/web/builds", {"digests": [DIGEST], "commit": "c" * 40})
            author.send("POST", f"{PROJECT_PATH}/evidence", _evidence())
        yield made


def _evidence() -> Json:
    return {
        "kind": "test.unit",
        "suite": "unit",
        "subject": {"digest": DIGEST},
        "outcome": "pass",
        "counts": {"total": 3, "passed": 3},
        "run": {"id": "1"},
        "finished_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }


class Pipelines:
    """Several that take permits and give them back, whatever becomes of the server; each asks until it is answered."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._ends = threading.Event()
        self.told: dict[str, Json] = {}

    def take(self) -> None:
        with self._venue.author() as author:
            while not self._ends.is_set() and len(self.told) < PERMITS:
                key = str(uuid4())
                answer = self._answered(author, "permits", ASKED, {"Idempotency-Key": key})
                if answer is not None and answer["permit"] is not None:
                    self.told[key] = answer["permit"]
                    self._answered(author, f"permits/{answer['permit']['id']}/release", {}, {})

    def _answered(self, author: Author, path: str, body: Json, headers: dict[str, str]) -> Json | None:
        """The answer, by the same key again and again; None for a permit that was over before."""
        while not self._ends.is_set():
            try:
                url = f"{self._venue.server.url}{PROJECT_PATH}/{path}"  # it comes back on another port
                reply = author.http.post(url, json=body, headers=headers)
            except httpx.TransportError:
                continue
            if reply.is_success:
                made: Json = reply.json()
                return made
            if reply.status_code == 409:  # released before the server died, or run out
                assert reply.json()["code"] in ("permit_over", "key_in_use"), reply.text
                return None
            assert reply.status_code == 503, reply.text
        return None

    def stop(self) -> None:
        self._ends.set()


@pytest.mark.timeout(180)
def test_permits_that_were_given_are_stored_and_one_at_a_time(venue: Venue, database_url: str) -> None:
    """Over 100 permits with kill -9 in between: each stands as it was told, and no two were open together."""
    seed = int(os.environ.get("GREENROOM_SEED", "20261125"))
    chance, pipelines = random.Random(seed), Pipelines(venue)
    deadline = time.monotonic() + 150
    with ThreadPoolExecutor(PIPELINES) as threads, ExitStack() as stack:
        stack.callback(pipelines.stop)
        taking = [threads.submit(pipelines.take) for _ in range(PIPELINES)]
        for number in range(1, KILLS + 1):
            while len(pipelines.told) < PERMITS * number // (KILLS + 1):
                assert not any(one.done() for one in taking), seed
                assert time.monotonic() < deadline, (seed, len(pipelines.told))
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.02))
            venue.server.kill()
            venue.server.start()
        for one in taking:
            one.result(deadline - time.monotonic())

    stored = {str(row[0]): row[1] for row in fetch(database_url, "SELECT id, body FROM fact WHERE kind = 'permit'")}
    signed = {str(row[0]) for row in fetch(database_url, "SELECT decision_id FROM attestation WHERE kind = 'verdict'")}
    issued = fetch(database_url, "SELECT target FROM audit_event WHERE action = 'permit.issue'")
    assert len(pipelines.told) >= PERMITS, seed
    assert {permit["id"] for permit in pipelines.told.values()} <= stored.keys(), seed
    assert len({permit["id"] for permit in pipelines.told.values()}) == len(pipelines.told), seed
    assert {permit["decision"] for permit in pipelines.told.values()} <= signed, seed
    assert sorted(str(row[0]).rpartition("/")[2] for row in issued) == sorted(stored), seed
    beside = fetch(database_url, OPEN_BESIDE)
    assert len(beside) == len(stored)
    assert [row for row in beside if row[1] != 0] == [], seed
