"""The database goes away while applications evaluate: nobody who only evaluates may notice."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.blackbox.event_stream import EventStream
from tests.blackbox.load import Load
from tests.blackbox.own_postgres import OwnPostgres
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import ENVIRONMENT, FLAG, FLAG_PATH, PROJECT, Venue, open_venue

# How many evaluations each outage has to outlive.
REQUESTS = int(os.environ.get("GREENROOM_OUTAGE_REQUESTS", "100"))
_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'greenroom listen'"


@pytest.fixture(scope="module")
def postgres(data_dir_factory: Callable[[], Path]) -> Iterator[OwnPostgres]:
    with OwnPostgres(data_dir_factory()) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def venue(postgres: OwnPostgres, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    with ServerProcess(data_dir_factory(), database_url=postgres.url) as server:
        yield open_venue(server)


def refused_write(venue: Venue) -> None:
    """A write is refused in time, and says when to come back."""
    begun = time.monotonic()
    with venue.author(timeout_s=8) as author:
        reply = author.http.post(f"{FLAG_PATH}/archive", headers={"If-Match": "*"})

    assert reply.status_code == 503, reply.text
    assert time.monotonic() - begun < 6
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["retry-after"].isdecimal()
    assert int(reply.headers["retry-after"]) >= 1


@pytest.mark.parametrize("trouble", ["killed", "frozen"])
def test_evaluation_goes_on_without_the_database(venue: Venue, postgres: OwnPostgres, trouble: str) -> None:
    """Not one failed evaluation; writes are refused in time, probes tell the truth, and all comes back by itself."""
    with Load(venue.server.url, venue.key, FLAG) as load:
        load.wait_for(50)
        with getattr(postgres, trouble)():
            for _ in range(2):
                refused_write(venue)
            assert httpx.get(f"{venue.server.url}/livez", timeout=1).status_code == 200
            until(lambda: venue.readiness() == (200, "degraded"), within_s=6, what="`degraded`")
            load.wait_for(REQUESTS, within_s=20 + REQUESTS / 20)
        until(lambda: venue.readiness() == (200, "ok"), within_s=10, what="`ok`")
        venue.switch(on=True)
        with venue.application() as app:
            until(lambda: app.value(FLAG) is True, within_s=5, what="the change")
        venue.switch(on=False)

    assert load.failures == []
    assert load.slowest(0.99) < 0.5


@pytest.mark.parametrize("trouble", ["killed", "frozen"])
def test_an_open_stream_outlives_the_database(venue: Venue, postgres: OwnPostgres, trouble: str) -> None:
    """It stays open, and brings the first change after the outage."""
    with EventStream(f"{venue.server.url}/api/v1/sdk/stream", venue.key) as stream:
        stream.wait(lambda stream: bool(stream.events))
        with getattr(postgres, trouble)():
            until(lambda: venue.readiness() == (200, "degraded"), within_s=6, what="`degraded`")
        until(lambda: venue.readiness() == (200, "ok"), within_s=10, what="`ok`")
        venue.switch(on=True)
        stream.wait(lambda stream: bool(stream.named("change")), within_s=5)
        venue.switch(on=False)

        assert not stream.has_ended
        told = [event.name for event in stream.events if event.name != "heartbeat"]  # one may fall into the outage
        assert told[:2] == ["snapshot", "change"]


def test_a_change_arrives_though_every_notification_is_lost(venue: Venue, postgres: OwnPostgres) -> None:
    """The listening backend is terminated again and again; within five seconds the change is there all the same."""
    with venue.application() as app:
        for on in (True, False, True):
            until(lambda: bool(postgres.fetch(_LISTENERS)), what="a listening backend")
            venue.switch(on=on)
            deadline = time.monotonic() + 5
            while app.value(FLAG) is not on:
                postgres.fetch(_LISTENERS)
                assert time.monotonic() < deadline, "the change did not arrive within five seconds"
        venue.switch(on=False)


def test_a_change_larger_than_a_notification_holds(venue: Venue) -> None:
    """PostgreSQL takes 8,000 bytes at most in a NOTIFY; nobody needs to know."""
    text = "x" * 8000
    with venue.author() as author, venue.application() as app:
        variants = {"short": "x", "long": text, "longer": text + "!"}
        author.flag(PROJECT, "large", type="string", variants=variants)
        author.configure(PROJECT, ENVIRONMENT, "large", enabled=True, fallthrough={"variant": "longer"})
        until(lambda: app.evaluate("large").json().get("value") == text + "!", within_s=5, what="the change")
