"""Two servers, change requests that have a moment, and kill -9 at that moment: each is applied once and whole."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.server_process import ServerProcess, until

ROUNDS = 3
REQUESTS = 5
SHOP = "/api/v1/projects/shop"
REQUESTS_PATH = f"{SHOP}/environments/production/change-requests"


@pytest.mark.slow
def test_a_moment_comes_once_whoever_dies(
    make_database: Callable[[], str], data_dir_factory: Callable[[], Path]
) -> None:
    """One server is killed as the moment comes; what it had not committed the other one does, and nothing twice."""
    database_url = make_database()
    first, second = (ServerProcess(data_dir_factory(), database_url=database_url) for _ in range(2))
    with first, second:
        admin = second.set_up()  # the token that was printed last
        with Author(first.url, admin) as author:
            author.project("shop", "production")
            tokens = [author.token("manager", person=f"{name}@shop.example") for name in ("an", "bo")]
            settings = f"{SHOP}/environments/production/approval-settings"
            author.send("PATCH", settings, {"required": 1}, If_Match="*")
            for number in range(ROUNDS * REQUESTS):
                for key in (f"one-{number}", f"other-{number}"):
                    author.flag("shop", key)
        servers = [first, second]
        for round_ in range(ROUNDS):
            victim, survivor = random.sample(servers, 2)
            moment = datetime.now(UTC) + timedelta(seconds=4)
            numbers = range(round_ * REQUESTS, (round_ + 1) * REQUESTS)
            _ask(survivor, tokens, numbers, moment)
            time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()) + random.uniform(0, 1.0))
            victim.kill()
            with Author(survivor.url, admin) as author:
                _all_applied(author, (round_ + 1) * REQUESTS)
            victim.start()
        with Author(first.url, admin) as author:
            _each_once(author)


def _ask(server: ServerProcess, tokens: list[str], numbers: range, moment: datetime) -> None:
    asking, agreeing = (Author(server.url, token) for token in tokens)
    with asking, agreeing:
        for number in numbers:
            changes = [{"op": "enable", "flag": f"{name}-{number}"} for name in ("one", "other")]
            wanted = {"title": f"change {number}", "changes": changes, "apply_at": moment.isoformat()}
            made = asking.send("POST", REQUESTS_PATH, wanted)
            agreeing.send("POST", f"{REQUESTS_PATH}/{made['number']}/approve", {"hash": made["hash"]})


def _all_applied(author: Author, count: int) -> None:
    def is_done() -> bool:
        items = author.send("GET", f"{REQUESTS_PATH}?limit=200")["items"]
        return [one["state"] for one in items].count("applied") == count

    until(is_done, within_s=20, what="every request to be applied")


def _each_once(author: Author) -> None:
    flags = author.send("GET", f"{SHOP}/flags?limit=200")["items"]
    assert {one["environments"][0]["version"] for one in flags} == {2}, "a flag was switched on twice, or not at all"
    for action, count in (("change_request.applied", ROUNDS * REQUESTS), ("flag.enable", 2 * ROUNDS * REQUESTS)):
        events = author.send("GET", f"{SHOP}/audit?action={action}&limit=200")["items"]
        assert len({one["target"] for one in events}) == len(events) == count
    assert author.send("GET", f"{SHOP}/audit?action=change_request.held")["items"] == []
