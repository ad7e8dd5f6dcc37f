"""Controllers ask a real server again and again: Argo's web metric and Flagger's webhooks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.blackbox.adapters.test_forges import INTEGRATIONS, PATH, SECRET, Scene
from tests.blackbox.decisions.scene import put_in_force
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess
from tests.blackbox.venue import PROJECT, Venue, open_venue
from tests.conftest import execute

CANARY = f"{INTEGRATIONS}/canary/flagger"


@pytest.fixture(scope="module")
def database_url(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture(scope="module")
def venue(database_url: str, data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    """A policy in force, and an integration with a patience of an hour."""
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        made = open_venue(server)
        with made.author() as author:
            author.send("POST", f"{PATH}/services", {"key": "web", "name": "Web"})
            put_in_force(author, PATH)
            wanted = {"key": "canary", "kind": "flagger", "service": "web", "secret": SECRET, "patience_s": 3600}
            author.send("POST", INTEGRATIONS, wanted)
        yield made


@pytest.fixture
def scene(venue: Venue, request: pytest.FixtureRequest) -> Scene:
    return Scene(venue, sum(request.node.name.encode()))


def ask(scene: Scene, what: str, **metadata: str) -> httpx.Response:
    """As Flagger does, with a canary of the test's own build."""
    told = {"token": SECRET, "environment": "production", "digest": scene.digest, **metadata}
    canary = {"name": "web", "namespace": "shop", "phase": "Progressing", "checksum": scene.commit, "metadata": told}
    return httpx.post(f"{scene.venue.server.url}{CANARY}/{what}", json=canary, timeout=10)


def test_flagger_goes_on_once_it_may(scene: Scene) -> None:
    """409 while it waits, and 200 when the tests ran; there is no reason to roll back."""
    waits = ask(scene, "confirm")
    assert (waits.status_code, waits.json()["code"]) == (409, "canary_waits")
    assert "evidence.missing" in waits.json()["detail"]
    goes_on = ask(scene, "rollback")
    assert (goes_on.status_code, goes_on.json()["code"]) == (409, "canary_goes_on")
    scene.tests_ran()

    confirmed = ask(scene, "confirm")
    assert (confirmed.status_code, confirmed.json()["result"]) == (200, "allow")
    kept = scene.send("GET", f"{PATH}/decisions/{confirmed.json()['decision']}")
    assert kept["subject"]["digest"] == scene.digest


def test_a_red_canary_is_denied_and_rolled_back(scene: Scene) -> None:
    """403 to the one question and 200 to the other; both decisions are kept."""
    scene.tests_ran("fail")

    denied, rolled_back = ask(scene, "confirm"), ask(scene, "rollback")
    assert (denied.status_code, denied.json()["code"]) == (403, "canary_denied")
    assert (rolled_back.status_code, rolled_back.json()["result"]) == (200, "deny")


def test_patience_ends(scene: Scene, database_url: str) -> None:
    """Flagger waits for ever; we do not. A canary that is asked about anew has the whole time again."""
    assert ask(scene, "confirm").status_code == 409
    late = f"UPDATE gate_request SET created_at = now() - interval '61 minutes' WHERE ticket LIKE '%{scene.commit}'"
    execute(database_url, late)

    rolled_back = ask(scene, "rollback")
    assert (rolled_back.status_code, rolled_back.json()["result"]) == (200, "wait")
    assert ask(scene, "rollback").status_code == 409


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({"token": "guessed"}, 401),
        ({"environment": "nowhere"}, 403),
        ({"digest": "latest"}, 403),
    ],
)
def test_what_is_not_right_goes_nowhere(scene: Scene, metadata: dict[str, str], status: int) -> None:
    """A wrong secret says nothing; an unknown environment and a digest that is none are denied."""
    scene.tests_ran()

    assert ask(scene, "confirm", **metadata).status_code == status


def test_the_secret_is_nowhere_to_be_seen(scene: Scene, database_url: str) -> None:
    """Not in the integration, nor in the audit log, nor in what was asked."""
    ask(scene, "confirm")
    shown: Any = [scene.send("GET", INTEGRATIONS), scene.send("GET", f"{PATH}/audit")]
    kept = fetch(database_url, "SELECT coalesce(string_agg(reply::text, ''), '') FROM gate_request")

    assert SECRET not in f"{shown}{kept}{scene.venue.server.text}"


def test_argo_measures(scene: Scene) -> None:
    """200 whatever is decided, since all else is an error to Argo; the image's digest is what is asked about."""
    with scene.venue.author() as author:
        token = author.token("pipeline")
    path = f"{scene.venue.server.url}/api/v1/projects/{PROJECT}/adapters/argo"
    measured = {"service": "web", "environment": "production", "image": f"registry.example/web@{scene.digest}"}

    def measure() -> Any:
        reply = httpx.post(path, json=measured, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    assert measure() == "wait"
    scene.tests_ran()
    assert measure() == "allow"
    scene.tests_ran("fail")
    assert measure() == "deny"
