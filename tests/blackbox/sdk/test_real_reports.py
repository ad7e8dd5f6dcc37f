"""Reports and a real server: what applications told is stored once, and people see what runs where."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.blackbox.own_postgres import fetch
from tests.blackbox.sdk.conftest import OpenClient
from tests.blackbox.sdk.fault_proxy import FaultProxy, Faults
from tests.blackbox.sdk.spools import files_of_rows
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import ENVIRONMENT, FLAG, FLAG_PATH, PROJECT, Venue, open_venue

from greenroom import ExposureOptions

VIEWS = f"/api/v1/projects/{PROJECT}/environments/{ENVIRONMENT}"
SENT_AGAIN = 5  # one of so many
SUBJECTS = 2_000

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def database_url(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture(scope="module")
def venue(database_url: str, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    """`banner` tells of each subject."""
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        venue = open_venue(server)
        with venue.author() as author:
            flag = author.http.get(FLAG_PATH)
            changed = {"track_exposures": "subjects"}
            author.http.patch(FLAG_PATH, json=changed, headers={"If-Match": flag.headers["etag"]}).raise_for_status()
        yield venue


def seen(venue: Venue, path: str) -> Any:
    with venue.author() as author:
        return author.http.get(VIEWS + path).raise_for_status().json()


def test_what_is_sent_again_is_stored_once(venue: Venue, database_url: str, open_client: OpenClient) -> None:
    """A fifth of the answers is lost on the way, so that the batch comes again; every row is there, once."""
    name = f"paid-{random.randrange(10**9)}"
    (before,) = fetch(database_url, "SELECT coalesce(sum(count), 0) FROM exposure_count WHERE flag = 'banner'")
    sent = 0

    def choose(request: str) -> Faults:
        nonlocal sent
        sent += "/exposures" in request
        is_lost = "/exposures" in request and sent % SENT_AGAIN == 0
        return Faults(cut_after=0, is_reset=sent % 2 == 0) if is_lost else Faults()

    with FaultProxy(venue.server.url) as proxy:
        how = ExposureOptions(flush_interval_s=0.1)
        client = open_client(proxy.url, venue.key, exposures=how)
        until(lambda: seen(venue, "/propagation")["instances"] > 0, what="the first report")
        proxy.choose = choose
        for number in range(SUBJECTS):
            subject = {"targetingKey": f"{name}-{number}"}
            for _ in range(2):
                client.bool_value(FLAG, False, subject)
            client.track(name, subject, 0.5)
            if number % 100 == 99:
                until(lambda number=number: _outcomes(database_url, name) > number, 30, "the rows")  # type: ignore[misc]
        until(lambda: _outcomes(database_url, name) == SUBJECTS and client.status.unreported == 0, 30, "all reports")
        open_client.close(client)

    keys = fetch(database_url, f"SELECT targeting_key FROM exposure WHERE targeting_key LIKE '{name}-%'")
    (after,) = fetch(database_url, "SELECT sum(count) FROM exposure_count WHERE flag = 'banner'")
    assert sent >= 4 * SENT_AGAIN
    assert Counter(str(row[0]) for row in keys) == {f"{name}-{number}": 1 for number in range(SUBJECTS)}
    assert _outcomes(database_url, name) == SUBJECTS
    assert int(str(after[0])) - int(str(before[0])) == 2 * SUBJECTS
    assert client.status.dropped == 0
    (outcome,) = [row for row in seen(venue, "/outcomes")["items"] if row["name"] == name]
    assert (outcome["count"], outcome["subjects"], outcome["total"]) == (SUBJECTS, SUBJECTS, SUBJECTS / 2)


def _outcomes(database_url: str, name: str) -> int:
    (row,) = fetch(database_url, f"SELECT count(*) FROM outcome WHERE name = '{name}'")
    return int(str(row[0]))


def test_people_see_how_far_a_revision_has_come_and_which_builds_run(venue: Venue, open_client: OpenClient) -> None:
    """Within seconds, though nothing else would be due; and keys that are no flags."""
    build = f"sha256:{random.randrange(10**9)}"
    how = ExposureOptions(flush_interval_s=600, report_changes_within_s=0.2)
    client = open_client(venue.server.url, venue.key, exposures=how, application="shop", version="1.2", build=build)
    until(lambda: _mine(venue, build) == 1, what="the instance")
    for on in (True, False):
        venue.switch(on=on)
        until(lambda on=on: client.bool_value(FLAG, not on) is on, what="the change")  # type: ignore[misc]
        spent = until(lambda: build not in str(seen(venue, "/propagation")["laggards"]), 5, "its way")
        print(f"seen in the view {spent * 1000:.0f} ms after it was in force")
    client.bool_value("no-such-flag", False)
    open_client.close(client)

    (row,) = [row for row in seen(venue, "/builds")["items"] if row["build"] == build]
    assert (row["application"], row["version"]) == ("shop", "1.2")
    assert "no-such-flag" in [row["flag"] for row in seen(venue, "/coverage")["unknown"]]
    assert httpx.get(f"{venue.server.url}/livez", timeout=5).status_code == 200


def _mine(venue: Venue, build: str) -> int:
    return sum(row["instances"] for row in seen(venue, "/builds")["items"] if row["build"] == build)


def test_a_killed_server_loses_nothing(
    venue: Venue, database_url: str, open_client: OpenClient, tmp_path: Path
) -> None:
    """What was told while it was away is there once it is back."""
    name = f"away-{random.randrange(10**9)}"
    with FaultProxy(venue.server.url) as proxy:
        how = ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path)
        client = open_client(proxy.url, venue.key, exposures=how)
        venue.server.kill()
        for number in range(500):
            client.track(name, {"targetingKey": f"user-{number}"})
        until(lambda: "reporting does not work" in str(client.status.warnings), what="the cause")
        venue.server.start()
        proxy.retarget(venue.server.url)
        until(lambda: _outcomes(database_url, name) == 500 and client.status.unreported == 0, 60, "the reports")
        until(lambda: not files_of_rows(tmp_path), what="the spool to be empty")
