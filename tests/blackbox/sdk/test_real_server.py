"""The SDK and a real server: changes arrive, and whatever dies, applications notice nothing but age."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.blackbox.own_postgres import OwnPostgres
from tests.blackbox.sdk.conftest import OpenClient, ready
from tests.blackbox.sdk.fault_proxy import FaultProxy
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import ENVIRONMENT, FLAG, PROJECT, Venue, open_venue

from greenroom import Client

CHANGES = 20


@pytest.fixture(scope="module")
def postgres(data_dir_factory: Callable[[], Path]) -> Iterator[OwnPostgres]:
    with OwnPostgres(data_dir_factory()) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def venue(postgres: OwnPostgres, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    with ServerProcess(data_dir_factory(), database_url=postgres.url) as server:
        yield open_venue(server)


@pytest.fixture(autouse=True)
def dark(venue: Venue, quick: None) -> None:
    """The flag is off when a test begins, whatever the one before did."""
    venue.switch(on=False)
    with venue.application() as application:
        until(lambda: application.value(FLAG) is False, 5, "the flag to be off")


def test_a_change_arrives_at_once(venue: Venue, open_client: OpenClient) -> None:
    """By the stream; listeners are told its key. What it takes is printed."""
    client = open_client(venue.server.url, venue.key)
    told: list[str] = []
    client.on_change(told.append)
    spent = []
    with venue.author() as author:
        for turn in range(CHANGES):
            author.switch(PROJECT, ENVIRONMENT, FLAG, on=turn % 2 == 0)
            begun = time.perf_counter()
            until(lambda turn=turn: client.bool_value(FLAG, turn % 2 != 0) is (turn % 2 == 0), 2)  # type: ignore[misc]
            spent.append(time.perf_counter() - begun)

    until(lambda: told == [FLAG] * CHANGES)
    spent.sort()
    print(f"answered to applied: median {spent[len(spent) // 2] * 1000:.1f} ms, slowest {spent[-1] * 1000:.1f} ms")
    assert spent[len(spent) // 2] < 0.3


def test_the_flags_are_those_of_the_server(venue: Venue, open_client: OpenClient) -> None:
    """Value, variant, reason and metadata are what evaluation at the server gives."""
    client = open_client(venue.server.url, venue.key)
    with venue.application() as application:
        answer = application.evaluate(FLAG).json()

    details = client.bool_details(FLAG, True, {"targetingKey": "user-1"})
    assert (details.value, details.variant, details.reason) == (answer["value"], answer["variant"], answer["reason"])
    assert details.metadata["version"] == answer["metadata"]["version"]
    assert (client.status.project, client.status.environment) == (PROJECT, ENVIRONMENT)


def test_the_database_may_be_gone(venue: Venue, postgres: OwnPostgres, open_client: OpenClient) -> None:
    """A client that is there stays ready, one that starts gets its flags, and the first change after it arrives."""
    client = open_client(venue.server.url, venue.key)
    with postgres.killed():
        until(lambda: venue.readiness()[1] == "degraded", 6, "`degraded`")
        late = open_client(venue.server.url, venue.key)
        assert late.bool_value(FLAG, True) is False
        assert (client.status.state, late.status.state) == ("ready", "ready")
    until(lambda: venue.readiness()[1] == "ok", 10, "`ok`")
    venue.switch(on=True)
    until(lambda: client.bool_value(FLAG, False) and late.bool_value(FLAG, False), 5, "the change")
    venue.switch(on=False)


def test_a_key_that_is_refused_is_told(venue: Venue) -> None:
    """Without waiting for the time to be up; the key is in no message."""
    key = venue.key[:-1]
    with Client(venue.server.url, key) as client:
        begun = time.monotonic()
        assert not client.wait_ready(10)

        assert time.monotonic() - begun < 5
        assert (client.status.state, client.status.is_refused) == ("error", True)
        assert key not in repr(client.status)


def test_a_revoked_key_keeps_the_last_flags(venue: Venue, open_client: OpenClient) -> None:
    """The stream is cut; what is held stays, marked as stale."""
    with venue.author() as author:
        made = author.make_token("server", project=PROJECT, environment=ENVIRONMENT)
        client = open_client(venue.server.url, made["token"])
        author.http.delete(f"/api/v1/tokens/{made['id']}").raise_for_status()

    until(lambda: client.status.is_refused, 10, "the refusal")
    assert client.status.state == "stale"
    assert client.bool_value(FLAG, True) is False


def test_kill_9_and_restart(venue: Venue, open_client: OpenClient) -> None:
    """Evaluating goes on without one wrong answer; when a server is back, so are changes."""
    with FaultProxy(venue.server.url) as proxy:
        client = open_client(proxy.url, venue.key)
        venue.server.kill()
        until(lambda: client.status.state == "stale", 10, "`stale`")
        ended = time.monotonic() + 1
        while time.monotonic() < ended:
            assert client.bool_value(FLAG, True) is False
        venue.server.start()
        proxy.retarget(venue.server.url)
        ready(client, within_s=30)
        venue.switch(on=True)
        until(lambda: client.bool_value(FLAG, False), 5, "the change")


def test_a_graceful_stop_and_restart(venue: Venue, open_client: OpenClient) -> None:
    """The server says goodbye; changes arrive again once it is back."""
    with FaultProxy(venue.server.url) as proxy:
        client = open_client(proxy.url, venue.key)
        venue.server.terminate()
        venue.server.start()
        proxy.retarget(venue.server.url)
        venue.switch(on=True)
        until(lambda: client.bool_value(FLAG, False) is True, 30, "the change")
