"""Real servers and a real receiver: an alert from cause to signed message, kill -9, and what is never reached."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.exposures.batches import PATH, batch, count
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import ENVIRONMENT, FLAG, PROJECT, Venue, open_venue
from tests.blackbox.webhooks.receiver import Answer, Receiver
from tests.conftest import execute

WEBHOOKS = f"/api/v1/projects/{PROJECT}/webhooks"
TRIED = "webhook_delivery WHERE type = 'webhook.test' AND attempts > 0"


class Place:
    """A server that may send to the loopback, a project on it, a receiver, and somebody who may do everything."""

    def __init__(self, venue: Venue, database_url: str, receiver: Receiver) -> None:
        self.venue = venue
        self.server = venue.server
        self.database_url = database_url
        self.receiver = receiver

    def asks(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.venue.token}"}
        reply = httpx.request(method, self.server.url + path, json=body, headers=headers, timeout=10)
        assert reply.is_success, reply.text
        return reply.json()

    def subscribes(self, *events: str) -> str:
        """A webhook to the receiver; its secret."""
        wanted = {"key": "ops", "url": self.receiver.url, "events": list(events), "environments": [ENVIRONMENT]}
        return str(self.asks("POST", WEBHOOKS, wanted)["secret"])

    def deliveries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.asks("GET", f"{WEBHOOKS}/ops/deliveries")["items"]
        return found

    def metrics(self) -> str:
        headers = {"Authorization": f"Bearer {self.venue.token}"}
        return httpx.get(f"{self.server.url}/metrics", headers=headers, timeout=10).text


def tried(database_url: str, times: int) -> bool:
    """Whether so many tests were tried to be sent."""
    return fetch(database_url, f"SELECT count(*) FROM {TRIED}") == [(times,)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def place(
    make_database: Callable[[], str], data_dir_factory: Callable[[], Path], receiver: Receiver
) -> Iterator[Place]:
    """Two workers, so that they share the work."""
    url = make_database()
    with ServerProcess(
        data_dir_factory(), database_url=url, workers=2, webhook_insecure="true", alert_interval_s="0.2"
    ) as server:
        yield Place(open_venue(server), url, receiver)


def test_a_dark_flag_that_is_served_is_told(place: Place) -> None:
    """An application counts a variant of a flag that went dark half an hour ago: the receiver gets it, signed, once."""
    secret = place.subscribes("flag.served_while_dark")
    execute(place.database_url, "UPDATE flag_configuration SET updated_at = now() - interval '30 minutes'")
    report = batch(counts=[count(9, flag=FLAG, variant="on")])
    reply = httpx.post(
        place.server.url + PATH, json=report, headers={"Authorization": f"Bearer {place.venue.key}"}, timeout=10
    )
    assert reply.status_code == 202, reply.text

    (message,) = place.receiver.wait_for(1)
    told = message.verified_by(secret)
    (alert,) = place.asks("GET", f"/api/v1/projects/{PROJECT}/darkness-alerts")["items"]
    assert told["type"] == "flag.served_while_dark"
    assert told["data"] == {
        "project": PROJECT,
        "environment": ENVIRONMENT,
        "flag": FLAG,
        "variant": "on",
        "evaluations": 9,
        "since": told["data"]["since"],
    }
    assert told["data"]["since"][:19] == alert["dark_since"][:19]
    until(lambda: place.deliveries()[0]["state"] == "delivered", what="the outcome to be written down")
    assert len(place.receiver.messages) == 1


def test_changes_are_told_as_they_are_audited(place: Place) -> None:
    """Every change arrives once, as the audit log has it; neither log nor metrics tell a secret."""
    secret = place.subscribes("flag.*")
    for _ in range(5):
        place.venue.switch(on=True)
        place.venue.switch(on=False)

    messages = place.receiver.wait_for(10)
    told = sorted((message.verified_by(secret)["data"] for message in messages), key=lambda data: data["sequence"])
    audited = place.asks("GET", f"/api/v1/projects/{PROJECT}/audit")["items"]
    switches = [one for one in audited if one["action"] in ("flag.enable", "flag.disable")]
    assert told == sorted(switches, key=lambda one: one["sequence"])
    until(lambda: "greenroom_webhook_deliveries_total 10.0" in place.metrics(), what="all outcomes")
    assert {one["state"] for one in place.deliveries()} == {"delivered"}
    assert secret not in place.metrics() + place.server.text


def test_a_killed_server_s_message_is_sent_again_under_its_id(place: Place) -> None:
    """Killed after the receiver got it and before anybody noted it; when the lease is over another server sends it."""
    secret = place.subscribes("webhook.test")
    place.receiver.plan = [Answer(hangs=True)]
    place.asks("POST", f"{WEBHOOKS}/ops/test")
    place.receiver.wait_for(1)
    place.server.kill()
    place.server.start()
    execute(place.database_url, "UPDATE webhook_delivery SET leased_until = now()")  # as if a minute had gone by

    first, second = place.receiver.wait_for(2)
    assert (first.id, first.verified_by(secret)) == (second.id, second.verified_by(secret))
    until(lambda: place.deliveries()[0]["state"] == "delivered", what="the outcome to be written down")
    assert place.deliveries()[0]["id"] == second.id


def test_a_server_as_it_comes_reaches_nothing_inside(
    make_database: Callable[[], str], data_dir_factory: Callable[[], Path], receiver: Receiver
) -> None:
    """Such a webhook cannot be made; one that stands in the store all the same is refused when something is sent."""
    url = make_database()
    with ServerProcess(data_dir_factory(), database_url=url) as server:
        place = Place(open_venue(server), url, receiver)
        wanted = {"key": "ops", "url": receiver.url, "events": ["*"]}
        headers = {"Authorization": f"Bearer {place.venue.token}"}
        refused = httpx.post(server.url + WEBHOOKS, json=wanted, headers=headers, timeout=10)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/url")
        place.asks("POST", WEBHOOKS, {**wanted, "url": "https://hooks.invalid/"})
        inside = [receiver.url, f"https://127.0.0.1:{receiver.port}/", f"https://localhost:{receiver.port}/"]
        for number, address in enumerate(inside, start=1):
            execute(url, f"UPDATE webhook SET url = '{address}', paused_until = NULL, failing_since = NULL")
            place.asks("POST", f"{WEBHOOKS}/ops/test")
            until(partial(tried, url, number), what="a try")

    errors = fetch(url, f"SELECT DISTINCT last_error FROM {TRIED}")
    assert (errors, receiver.connections) == ([("refused",)], 0)
