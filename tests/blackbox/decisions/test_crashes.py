"""Kill -9 of the server while pipelines ask: no allow was given that is not stored, with its audit event."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
DECISIONS = int(os.environ.get("GREENROOM_CRASH_DECISIONS", "200"))
KILLS = int(os.environ.get("GREENROOM_CRASH_KILLS", "10"))
PROJECT_PATH = f"/api/v1/projects/{PROJECT}"
DIGEST = "sha256:" + "b" * 64
ASKED = {"action": "deploy", "service": "web", "environment": "production", "digest": DIGEST}


@pytest.fixture(scope="module")
def database_url(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture(scope="module")
def venue(database_url: str, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    """A server with a policy in force, and a build of which everything is well."""
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        made = open_venue(server)
        with made.author() as author:
            _set_scene(author)
        yield made


def _set_scene(author: Author) -> None:
    author.send("POST", f"{PROJECT_PATH}/services", {"key": "web", "name": "Web"})
    put_in_force(author, PROJECT_PATH)
    author.send("POST", f"{PROJECT_PATH}/services/web/builds", {"digests": [DIGEST], "commit": "c" * 40})
    evidence = {
        "kind": "test.unit",
        "suite": "unit",
        "subject": {"digest": DIGEST},
        "outcome": "pass",
        "counts": {"total": 3, "passed": 3},
        "run": {"id": "1"},
        "finished_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    author.send("POST", f"{PROJECT_PATH}/evidence", evidence)


class Pipelines:
    """Several that ask over and over, whatever becomes of the server, and remember what they were told.

    A question that was not answered is asked again under its `Idempotency-Key`.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._ends = threading.Event()
        self.told: list[Json] = []

    def ask(self) -> None:
        with self._venue.author() as author:
            while not self._ends.is_set() and len(self.told) < DECISIONS:
                self.told.append(self._answer_to(author, {"Idempotency-Key": str(uuid4())}))

    def _answer_to(self, author: Author, key: dict[str, str]) -> Json:
        while not self._ends.is_set():
            try:
                url = f"{self._venue.server.url}{PROJECT_PATH}/decisions"
                reply = author.http.post(url, json=ASKED, headers=key)
            except httpx.TransportError:
                continue
            if reply.status_code == 200:
                return reply.json()
            assert reply.status_code == 503 or reply.json()["code"] == "key_in_use", reply.text
        raise AssertionError("the test ended before the server answered")

    def stop(self) -> None:
        self._ends.set()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_allow_without_a_stored_decision(venue: Venue, database_url: str) -> None:
    """200 decisions and ten times kill -9: what was told is stored, once each, and is in the audit log."""
    seed = int(os.environ.get("GREENROOM_SEED", "20261125"))
    chance, pipelines = random.Random(seed), Pipelines(venue)
    with ThreadPoolExecutor(PIPELINES) as threads:
        asking = [threads.submit(pipelines.ask) for _ in range(PIPELINES)]
        for number in range(1, KILLS + 1):
            while len(pipelines.told) < DECISIONS * number // (KILLS + 1):
                assert not any(one.done() for one in asking), seed
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.06))  # anywhere in the next few
            venue.server.kill()
            venue.server.start()
        for one in asking:
            one.result()
        pipelines.stop()

    assert len(pipelines.told) >= DECISIONS, seed
    assert {one["decision"] for one in pipelines.told} == {"allow"}, seed
    stored = {str(row[0]): row[1] for row in fetch(database_url, "SELECT id, inputs_digest FROM decision")}
    assert {one["id"]: one["inputs_digest"] for one in pipelines.told} == stored, seed
    assert len(stored) == len(pipelines.told), seed
    audited = fetch(database_url, "SELECT target FROM audit_event WHERE action = 'decision.deploy'")
    assert sorted(str(row[0]).rpartition("/")[2] for row in audited) == sorted(stored), seed
    with venue.author() as author:
        for one in chance.sample(pipelines.told, 20):
            assert author.send("POST", f"{PROJECT_PATH}/decisions/{one['id']}/replay")["same"] is True, seed
