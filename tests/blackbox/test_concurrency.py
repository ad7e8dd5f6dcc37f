"""Many at once: writers on one version, requests with one key, servers on one empty database."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess
from tests.blackbox.venue import ENVIRONMENT, FLAG, FLAG_PATH, PROJECT, Venue, open_venue

WRITERS = 8
ROUNDS = 5
SERVERS = 4


@pytest.fixture(scope="module")
def database_url(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture(scope="module")
def venue(database_url: str, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        yield open_venue(server)


def at_once(venue: Venue, send: Callable[[httpx.Client, int], httpx.Response]) -> list[httpx.Response]:
    """The answers to as many requests, let go together, each on its own connection."""
    barrier = threading.Barrier(WRITERS)

    def work(number: int) -> httpx.Response:
        with venue.author() as author:
            author.http.get("/livez")  # connects
            barrier.wait()
            return send(author.http, number)

    with ThreadPoolExecutor(WRITERS) as threads:
        return list(threads.map(work, range(WRITERS)))


def test_exactly_one_writer_of_a_version_wins(venue: Venue, database_url: str) -> None:
    """Eight send the same `If-Match`: one is answered 200 and seven 412, and the log knows of one change."""
    path = f"/api/v1/projects/{PROJECT}/environments/{ENVIRONMENT}/flags/{FLAG}"
    for round_ in range(ROUNDS):
        with venue.author() as author:
            reply = author.http.get(path)
            assert reply.status_code == 200, reply.text
            etag = reply.headers["etag"]

        def patch(http: httpx.Client, number: int, etag: str = etag, round_: int = round_) -> httpx.Response:
            rules = [{"id": f"r-{round_}-{number}", "serve": {"variant": "on"}}]
            return http.patch(path, json={"rules": rules}, headers={"If-Match": etag})

        replies = at_once(venue, patch)

        assert Counter(reply.status_code for reply in replies) == {200: 1, 412: WRITERS - 1}
        (winner,) = [reply for reply in replies if reply.status_code == 200]
        with venue.author() as author:
            assert author.http.get(path).json() == winner.json()
    events = f"SELECT 1 FROM audit_event WHERE target = '{path}' AND action = 'configuration.update'"
    assert len(fetch(database_url, events)) == ROUNDS


def test_a_write_without_a_version_is_refused(venue: Venue) -> None:
    """428, so that nobody overwrites what they have not read."""
    with venue.author() as author:
        assert author.http.patch(FLAG_PATH, json={"description": "blind"}).status_code == 428


def test_one_idempotency_key_at_once_is_one_flag(venue: Venue, database_url: str) -> None:
    """Eight times the same creation: all are told 201 or to wait, and there is one flag."""
    body = {"key": "only-one", "type": "boolean", "purpose": "operational"}
    headers = {"Idempotency-Key": '"only-one"'}
    path = f"/api/v1/projects/{PROJECT}/flags"

    replies = at_once(venue, lambda http, _: http.post(path, json=body, headers=headers))

    assert {reply.status_code for reply in replies} <= {201, 409}
    created = [reply for reply in replies if reply.status_code == 201]
    assert len({reply.content for reply in created}) == 1
    assert [reply.headers.get("idempotency-replayed") for reply in created].count(None) == 1
    assert len(fetch(database_url, "SELECT 1 FROM flag WHERE key = 'only-one'")) == 1


def test_one_key_with_eight_bodies_is_one_flag(venue: Venue, database_url: str) -> None:
    """The others are told that the key was used for something else, or that its first use goes on."""
    path = f"/api/v1/projects/{PROJECT}/flags"

    def create(http: httpx.Client, number: int) -> httpx.Response:
        body = {"key": f"one-of-{number}", "type": "boolean", "purpose": "operational"}
        return http.post(path, json=body, headers={"Idempotency-Key": "one-of-eight"})

    statuses = Counter(reply.status_code for reply in at_once(venue, create))

    assert statuses[201] == 1
    assert set(statuses) <= {201, 409, 422}
    assert len(fetch(database_url, "SELECT 1 FROM flag WHERE key LIKE 'one-of-%'")) == 1


def test_writers_in_parallel_lose_nothing(venue: Venue, database_url: str) -> None:
    """Every flag is stored, audited in one unbroken chain, and delivered."""

    def create(http: httpx.Client, number: int) -> httpx.Response:
        body = {"key": f"parallel-{number}", "type": "boolean", "purpose": "operational"}
        return http.post(f"/api/v1/projects/{PROJECT}/flags", json=body)

    assert {reply.status_code for reply in at_once(venue, create)} == {201}
    sequences = fetch(database_url, f"SELECT sequence FROM audit_event WHERE chain = '{PROJECT}' ORDER BY sequence")
    assert [row[0] for row in sequences] == list(range(1, len(sequences) + 1))


def test_servers_that_start_together_on_an_empty_database(
    empty_database_url: str, data_dir_factory: Callable[[], Path]
) -> None:
    """All come up, on one schema and as one installation; whoever uses the token printed last sets all of them up."""
    with ExitStack() as stack:
        servers = [ServerProcess(data_dir_factory(), database_url=empty_database_url) for _ in range(SERVERS)]
        for server in servers:
            stack.callback(server.close)
            server.begin()
        for server in servers:
            server.wait_until_listening()

        answers = [try_set_up(servers[0].url, server.set_up_token()) for server in servers]
        (reply,) = [answer for answer in answers if answer.status_code == 201]
        headers = {"Authorization": f"Bearer {reply.json()['token']}"}
        seen = [httpx.get(f"{server.url}/api/v1/whoami", headers=headers, timeout=5) for server in servers]
        assert [one.status_code for one in seen] == [200] * SERVERS
        assert {answer.status_code for answer in answers} <= {201, 403, 410}
        assert fetch(empty_database_url, "SELECT count(*) FROM installation") == [(1,)]
        assert not any("ERROR" in server.text or "Traceback" in server.text for server in servers)


def try_set_up(url: str, token: str) -> httpx.Response:
    return httpx.post(f"{url}/api/v1/setup", json={"setup_token": token}, timeout=10)
