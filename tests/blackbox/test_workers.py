"""Several processes behind one address behave like one server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import ENVIRONMENT, FLAG, PROJECT, Venue, open_venue
from tests.blackbox.workers import one_client_per_worker

WORKERS = 2
CHANGES = 6


@pytest.fixture(scope="module")
def venue(make_database: Callable[[], str], data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    with ServerProcess(data_dir_factory(), database_url=make_database(), workers=WORKERS) as server:
        yield open_venue(server)


@pytest.fixture
def clients(venue: Venue) -> Iterator[list[httpx.Client]]:
    """One connection to each worker."""
    with one_client_per_worker(venue.server, WORKERS) as clients:
        yield clients


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def value(client: httpx.Client, key: str) -> object:
    body = {"context": {"targetingKey": "user-1"}}
    reply = client.post(f"/ofrep/v1/evaluate/flags/{FLAG}", json=body, headers=bearer(key))
    assert reply.status_code == 200, reply.text
    return reply.json()["value"]


def knows(client: httpx.Client, token: str) -> bool:
    status = client.get("/api/v1/whoami", headers=bearer(token)).status_code
    assert status in (200, 401)
    return status == 200


def until_all(clients: list[httpx.Client], condition: Callable[[httpx.Client], bool], within_s: float) -> None:
    """Wait until the condition holds at every worker."""
    until(lambda: all(condition(client) for client in clients), within_s=within_s)


@pytest.mark.parametrize("number", range(CHANGES))
def test_a_change_through_one_is_seen_through_all(venue: Venue, clients: list[httpx.Client], number: int) -> None:
    """Within two seconds, whichever worker took the write."""
    on = number % 2 == 0
    path = f"/api/v1/projects/{PROJECT}/environments/{ENVIRONMENT}/flags/{FLAG}/{'enable' if on else 'disable'}"
    assert clients[number // 2 % WORKERS].post(path, headers=bearer(venue.token)).status_code == 200

    until_all(clients, lambda client: value(client, venue.key) is on, within_s=2)


@pytest.mark.parametrize("number", range(WORKERS))
def test_a_new_key_is_known_at_once(venue: Venue, clients: list[httpx.Client], number: int) -> None:
    """Whichever worker made it, the first request with it is answered by any."""
    body = {"name": "new", "kind": "server", "project": PROJECT, "environment": ENVIRONMENT}
    for client in (clients[1 - number], clients[number]):
        reply = clients[number].post("/api/v1/tokens", json=body, headers=bearer(venue.token))
        assert reply.status_code == 201, reply.text
        key = reply.json()["token"]

        assert value(client, key) is not None
        assert knows(client, key)


@pytest.mark.parametrize("number", range(WORKERS))
def test_a_revocation_bites_everywhere(venue: Venue, clients: list[httpx.Client], number: int) -> None:
    """Within a second, whichever worker took it."""
    with venue.author() as author:
        made = author.make_token("server", project=PROJECT, environment=ENVIRONMENT)
    assert all(knows(client, made["token"]) for client in clients)

    reply = clients[number].delete(f"/api/v1/tokens/{made['id']}", headers=bearer(venue.token))
    assert reply.status_code == 200, reply.text

    until_all(clients, lambda client: not knows(client, made["token"]), within_s=1)


def test_an_idempotency_key_counts_in_all_of_them(venue: Venue, clients: list[httpx.Client]) -> None:
    """The second worker repeats the first one's answer."""
    body = {"key": "made-once", "type": "boolean", "purpose": "operational"}
    headers = {**bearer(venue.token), "Idempotency-Key": "made-once"}
    replies = [client.post(f"/api/v1/projects/{PROJECT}/flags", json=body, headers=headers) for client in clients]

    assert [reply.status_code for reply in replies] == [201] * WORKERS
    assert len({reply.content for reply in replies}) == 1


def test_metrics_cover_all_of_them(venue: Venue, clients: list[httpx.Client]) -> None:
    """Whichever worker is asked, it soon tells of all evaluations."""
    before = max(evaluations(client, venue.token) for client in clients)
    for client in clients:
        for _ in range(5):
            value(client, venue.key)

    until_all(clients, lambda client: evaluations(client, venue.token) == before + 5 * WORKERS, within_s=12)


def evaluations(client: httpx.Client, token: str) -> float:
    text = client.get("/metrics", headers=bearer(token)).text
    lines = [line for line in text.splitlines() if "evaluations_total" in line and not line.startswith("#")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
