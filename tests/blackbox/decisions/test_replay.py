"""Every stored decision, whichever way it was asked for, gives the same bytes by the command that replays all."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from tests.blackbox.authoring import FAR_AWAY, Author
from tests.blackbox.decisions.scene import POLICY, put_in_force
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess, surroundings
from tests.blackbox.venue import ENVIRONMENT, PROJECT, Venue, open_venue
from tests.blackbox.webhooks.receiver import Receiver
from tests.conftest import execute

PATH: Final = f"/api/v1/projects/{PROJECT}"
FLAG: Final = "new-page"
SWITCH: Final = f"{PATH}/environments/{ENVIRONMENT}/flags/{FLAG}"
DIGEST: Final = "sha256:" + "b" * 64
COMMIT: Final = "c" * 40
WEB: Final = {"service": "web", "environment": ENVIRONMENT}
DEPLOY: Final = {**WEB, "action": "deploy", "digest": DIGEST}
# What somebody with a database shell could do: the policy says no, and the copy says yes.
FORGE: Final = """
INSERT INTO decision SELECT (jsonb_populate_record(decision, jsonb_build_object(
    'id', gen_random_uuid(), 'body', convert_to(
        replace(convert_from(body, 'UTF8'), '"decision":"deny"', '"decision":"allow"'), 'UTF8')))).*
FROM decision WHERE verdict = 'deny' LIMIT 1
"""


class Scene:
    """A served project whose policy wants tests and permits, and a build that has no tests yet."""

    def __init__(self, venue: Venue, database_url: str, data_dir: Path) -> None:
        self.database_url = database_url
        self.data_dir = data_dir
        self._venue = venue
        self._author = venue.author()
        self._author.send("POST", f"{PATH}/services", {"key": "web", "name": "Web"})
        places = {ENVIRONMENT: {"order": 10, "tier": "production", "permits": "required"}}
        glass = {"roles": ["incident-commander"]}
        put_in_force(self._author, PATH, {**POLICY, "environments": places, "break_glass": glass})
        self._author.flag(PROJECT, FLAG, purpose="release", expires_on=FAR_AWAY, stories=["SHOP-1"])
        self.built("b")

    def close(self) -> None:
        self._author.http.close()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self._author.send(method, path, body, **headers)

    def says(self, person: str, path: str, body: Any, *roles: str) -> Any:
        """The answer to what a person says."""
        token = self._author.token("manager", projects=[PROJECT], person=f"{person}@shop.example", roles=list(roles))
        with Author(self._venue.server.url, token) as author:
            return author.send("POST", f"{PATH}{path}", body)

    def refused(self, path: str) -> str:
        """The code of a POST that changes nothing."""
        reply = self._author.http.post(path, json={})
        assert reply.status_code == 409, reply.text
        return str(reply.json()["code"])

    def built(self, digit: str) -> None:
        """One more build of the one commit."""
        self.send("POST", f"{PATH}/services/web/builds", {"digests": [f"sha256:{digit * 64}"], "commit": COMMIT})

    def tested(self) -> None:
        """The unit tests passed."""
        evidence = {
            "kind": "test.unit",
            "suite": "unit",
            "subject": {"digest": DIGEST},
            "outcome": "pass",
            "counts": {"total": 3, "passed": 3},
            "run": {"id": "1"},
            "finished_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        self.send("POST", f"{PATH}/evidence", evidence)

    def decided(self) -> list[tuple[object, ...]]:
        """Action and verdict of every decision that is kept, oldest first."""
        return fetch(self.database_url, "SELECT action, verdict FROM decision ORDER BY decided_at")

    def replayed(self) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "greenroom_server", "replay-decisions", "--data-dir", str(self.data_dir)]
        settings = surroundings({"GREENROOM_DATABASE_URL": self.database_url})
        return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def scene(make_database: Callable[[], str], data_dir_factory: Callable[[], Path]) -> Iterator[Scene]:
    url, data = make_database(), data_dir_factory()
    with ServerProcess(data, database_url=url, webhook_insecure="true") as server:
        made = Scene(open_venue(server), url, data)
        yield made
        made.close()


def test_all_ways_to_a_decision_replay(scene: Scene) -> None:
    """Questions, the gate of flags, permits and callbacks: all come out as they are kept, and a forged one does not."""
    with Receiver() as receiver:
        asked = scene.send("POST", f"{PATH}/decisions", {**DEPLOY, "callback": {"url": receiver.url}})
        _ask_by_flag(scene)
        scene.tested()
        (message,) = receiver.wait_for(1)
    _ask_by_permit(scene)
    scene.built("d")
    by_commit = scene.send("POST", f"{PATH}/decisions", {**WEB, "action": "deploy", "commit": COMMIT})
    teleport = scene.send("POST", f"{PATH}/decisions", {**WEB, "action": "teleport"})

    honest = scene.replayed()
    execute(scene.database_url, FORGE)
    forged = scene.replayed()

    assert message.document["data"]["asked"] == asked["id"]
    assert [by_commit["decision"], teleport["decision"]] == ["deny", "deny"]
    decided = scene.decided()
    told = {
        *(("deploy", verdict) for verdict in ("wait", "allow", "deny")),
        *(("release", "wait"), ("darken", "allow"), ("teleport", "deny")),
    }
    assert set(decided) == told
    count = len(decided) - 1
    assert (honest.returncode, honest.stdout) == (0, f"{count} decisions, 0 of them come out otherwise\n")
    assert forged.returncode == 1
    assert forged.stdout.startswith(f"{count + 1} decisions, 1 of them come out otherwise\n")


def _ask_by_flag(scene: Scene) -> None:
    """Refused, let through and told, and taken back: three decisions."""
    gate = f"{PATH}/environments/{ENVIRONMENT}/release-gate"
    scene.send("PUT", gate, {"mode": "enforce"}, If_Match="*")
    assert scene.refused(f"{SWITCH}/enable") == "release_waits"
    scene.send("PUT", gate, {"mode": "observe"}, If_Match="*")
    scene.send("POST", f"{SWITCH}/enable")
    scene.send("POST", f"{SWITCH}/disable")


def _ask_by_permit(scene: Scene) -> None:
    """One that is used, one that waits for it, one that a veto revokes, and one by break-glass in spite of the veto."""
    permits, asked = f"{PATH}/permits", {**WEB, "digest": DIGEST}
    first = scene.send("POST", permits, asked)["permit"]
    assert scene.send("POST", permits, asked)["permit"] is None
    scene.send("POST", f"{permits}/{first['id']}/use")
    scene.send("POST", f"{permits}/{first['id']}/release", {})
    second = scene.send("POST", permits, asked)["permit"]
    scene.says("zoe", "/vetoes", {"environment": ENVIRONMENT, "reason": "no"}, "product")
    assert scene.refused(f"{permits}/{second['id']}/use") == "permit_revoked"
    why = {**DEPLOY, "reason": "customers cannot pay", "ticket": "INC-1"}
    glass = scene.says("ada", "/break-glass", why, "incident-commander")
    scene.says("bo", f"/break-glass/{glass['id']}/confirm", {})
    assert scene.send("POST", permits, asked)["permit"]["break_glass"] == glass["id"]
