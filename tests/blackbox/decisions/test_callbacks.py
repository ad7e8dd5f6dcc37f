"""Callbacks, from the question to a signed message at a real receiver: by real servers, and through kill -9."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.decisions.scene import put_in_force
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import PROJECT, Venue, open_venue
from tests.blackbox.webhooks.receiver import Answer, Receiver
from tests.conftest import execute

PATH: Final = f"/api/v1/projects/{PROJECT}"
DIGEST: Final = "sha256:" + "b" * 64
SECRET: Final = "whsec_" + base64.b64encode(b"s" * 32).decode()


class Gate:
    """A served project with a policy that wants unit tests, and a build that has none yet."""

    def __init__(self, server: ServerProcess, database_url: str, receiver: Receiver) -> None:
        self.server = server
        self.database_url = database_url
        self.receiver = receiver
        self.token = self._opened(open_venue(server))

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        with Author(self.server.url, self.token) as author:
            return author.send(method, f"{PATH}{path}", body, **headers)

    def asks(self, **callback: Any) -> Any:
        """The answer to: may the build go to production?"""
        question = {"action": "deploy", "service": "web", "environment": "production", "digest": DIGEST}
        return self.send("POST", "/decisions", {**question, "callback": callback})

    def tests(self, outcome: str, run: str = "1") -> None:
        """The unit tests ran."""
        bad = outcome != "pass"
        evidence = {
            "kind": "test.unit",
            "suite": "unit",
            "subject": {"digest": DIGEST},
            "outcome": outcome,
            "counts": {"total": 3, "passed": 2 if bad else 3, "failed": int(bad)},
            "run": {"id": run},
            "finished_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        self.send("POST", "/evidence", evidence)

    def has(self, number: int, what: str) -> bool:
        """Whether there are so many of them in the store."""
        return fetch(self.database_url, f"SELECT count(*) FROM {what}") == [(number,)]

    def _opened(self, venue: Venue) -> str:
        with venue.author() as author:
            author.send("POST", f"{PATH}/services", {"key": "web", "name": "Web"})
            put_in_force(author, PATH)
            author.send("POST", f"{PATH}/services/web/builds", {"digests": [DIGEST], "commit": "c" * 40})
        return venue.token


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def gate(make_database: Callable[[], str], data_dir_factory: Callable[[], Path], receiver: Receiver) -> Iterator[Gate]:
    """Two workers, of which one at a time looks after callbacks."""
    url = make_database()
    with ServerProcess(data_dir_factory(), database_url=url, workers=2, webhook_insecure="true") as server:
        yield Gate(server, url, receiver)


def test_who_waits_is_told_once_it_may_go(gate: Gate) -> None:
    """The tests pass: both ways of asking get one signed message, and the decision it names is stored and replays."""
    own = gate.send("POST", "/webhooks", {"key": "ops", "url": gate.receiver.url + "/ops", "events": ["flag.*"]})
    by_key = gate.asks(webhook="ops")
    to_url = gate.asks(url=gate.receiver.url)
    assert by_key["decision"] == to_url["decision"] == "wait"

    gate.tests("pass")
    messages = {message.path: message for message in gate.receiver.wait_for(2)}

    told = {
        by_key["id"]: messages["/in/ops"].verified_by(own["secret"]),
        to_url["id"]: messages["/in"].verified_by(to_url["callback"]["secret"]),
    }
    for asked, message in told.items():
        assert message["type"] == "callback.decided"
        assert message["data"] == {
            "callback": (by_key if asked == by_key["id"] else to_url)["callback"]["id"],
            "project": PROJECT,
            "asked": asked,
            "id": message["data"]["id"],
            "decision": "allow",
            "action": "deploy",
            "service": "web",
            "environment": "production",
            "subject": DIGEST,
        }
        decided = gate.send("GET", f"/decisions/{message['data']['id']}")
        assert decided["decision"] == "allow"
        assert gate.send("POST", f"/decisions/{decided['id']}/replay")["same"] is True
    assert gate.has(0, "decision_callback")
    until(lambda: gate.has(0, "webhook_delivery WHERE state = 'waiting'"), what="the outcomes to be written down")
    assert len(gate.receiver.messages) == 2


def test_facts_that_leave_the_answer_as_it_is_are_not_told(gate: Gate) -> None:
    """Other facts come in, the answer stays wait, nobody is bothered; red tests then make it deny, and that is told."""
    asked = gate.asks(url=gate.receiver.url, secret=SECRET)
    obstacle = gate.send("POST", "/obstacles", {"text": "the lift is out of order", "service": "web"})
    until(lambda: gate.has(1, f"decision_callback WHERE seq >= {obstacle['seq']}"), what="a look at the new fact")
    assert gate.receiver.messages == []

    gate.tests("fail")
    (message,) = gate.receiver.wait_for(1)

    told = message.verified_by(SECRET)
    assert (told["type"], told["data"]["decision"], told["data"]["asked"]) == ("callback.decided", "deny", asked["id"])


def test_a_callback_outlives_kill_9(gate: Gate) -> None:
    """Killed before the facts come, and again while the receiver hangs: the message arrives, under one id."""
    gate.receiver.plan = [Answer(hangs=True)]
    asked = gate.asks(url=gate.receiver.url, secret=SECRET)
    gate.server.kill()
    gate.server.start()
    gate.tests("pass")
    gate.receiver.wait_for(1)
    gate.server.kill()
    execute(gate.database_url, "UPDATE webhook_delivery SET leased_until = now()")
    gate.server.start()

    messages = gate.receiver.wait_for(2)

    assert {message.verified_by(SECRET)["data"]["asked"] for message in messages} == {asked["id"]}
    assert len({message.id for message in messages}) == 1
    assert gate.has(1, "decision WHERE verdict = 'allow'")


def test_when_the_time_is_up_that_is_told(gate: Gate) -> None:
    """It ends with the answer that still stands, and later facts are told to nobody."""
    asked = gate.asks(url=gate.receiver.url, secret=SECRET, expires_in_hours=1)
    past = datetime.now(UTC) - timedelta(seconds=1)
    execute(gate.database_url, f"UPDATE decision_callback SET expires_at = '{past}', due_at = '{past}'")

    (message,) = gate.receiver.wait_for(1)

    told = message.verified_by(SECRET)
    assert told["type"] == "callback.expired"
    assert (told["data"]["id"], told["data"]["decision"]) == (asked["id"], "wait")
    assert gate.has(0, "decision_callback")


def test_a_revoked_token_hears_nothing_more(gate: Gate) -> None:
    """Who may not ask any more is not told either."""
    with Author(gate.server.url, gate.token) as author:
        pipeline = author.make_token("pipeline", projects=[PROJECT])
        mine, gate.token = gate.token, pipeline["token"]
        gate.asks(url=gate.receiver.url)
        gate.token = mine
        author.send("DELETE", f"/api/v1/tokens/{pipeline['id']}")

    gate.tests("pass")
    until(lambda: gate.has(0, "decision_callback"), what="the callback to be given up")

    assert gate.receiver.messages == []
    assert gate.has(0, "decision WHERE verdict = 'allow'")


def test_a_destination_that_is_gone_is_given_up(gate: Gate) -> None:
    """The callback ends, and the others are looked after all the same."""
    gate.send("POST", "/webhooks", {"key": "ops", "url": gate.receiver.url + "/ops", "events": ["flag.*"]})
    gate.asks(webhook="ops")
    gate.asks(url=gate.receiver.url, secret=SECRET)
    gate.send("DELETE", "/webhooks/ops", If_Match="*")

    gate.tests("pass")

    (message,) = gate.receiver.wait_for(1)
    assert message.verified_by(SECRET)["data"]["decision"] == "allow"
    until(lambda: gate.has(0, "decision_callback"), what="the other callback to be given up")
