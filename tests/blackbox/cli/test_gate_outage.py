"""The gate while the store is down: no answer is no permission, and it comes back by itself."""

from collections.abc import Callable
from pathlib import Path

import httpx
from tests.blackbox.cli.terminal import Terminal
from tests.blackbox.decisions.scene import put_in_force
from tests.blackbox.own_postgres import OwnPostgres
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import PROJECT, open_venue

PATH = f"/api/v1/projects/{PROJECT}"


def test_a_dead_store_is_503_and_exit_3(data_dir_factory: Callable[[], Path], terminal: Terminal) -> None:
    """The server says 503, the command ends with 3; with the store back it decides again."""
    with (
        OwnPostgres(data_dir_factory()) as postgres,
        ServerProcess(data_dir_factory(), database_url=postgres.make_database()) as server,
    ):
        venue = open_venue(server)
        with venue.author() as author:
            put_in_force(author, PATH)
            author.send("POST", f"{PATH}/services", {"key": "web", "name": "Web"})
            token = author.token("pipeline", projects=[PROJECT])
        where = {"GREENROOM_URL": server.url, "GREENROOM_TOKEN": token, "GREENROOM_PROJECT": PROJECT}
        gate = terminal.having(**where)
        asked = ("gate", "check", "--service", "web", "-e", "production", "--digest", "sha256:" + "a" * 64)
        assert "digest.unknown" in gate.run(*asked).expect(20).out

        with postgres.killed():
            body = {"action": "deploy", "service": "web", "environment": "production", "digest": asked[-1]}
            headers = {"Authorization": f"Bearer {token}"}
            reply = httpx.post(f"{server.url}{PATH}/decisions", json=body, headers=headers, timeout=10)
            ended = gate.run(*asked)

        assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
        assert ended.expect(3).out == ""
        until(lambda: gate.run(*asked).code == 20, within_s=20, what="a decision")
