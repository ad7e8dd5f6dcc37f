"""One server with one scene for all client tests, and each kind of client connected to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.blackbox.clients.node_process import NodeProcess
from tests.blackbox.clients.stage import Stage, build_stage
from tests.blackbox.server_process import ServerProcess


@pytest.fixture(scope="session")
def stage(make_database: Callable[[], str], data_dir_factory: Callable[[], Path]) -> Iterator[Stage]:
    """The scene, being served."""
    database_url = make_database()
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        made = build_stage(server, database_url)
        yield made
        made.author.http.close()


@pytest.fixture(scope="session")
def node_server(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Iterator[NodeProcess]:
    """The Node.js application; its client `app` is connected with the server key."""
    with NodeProcess("server.mjs", tmp_path_factory.mktemp("node")) as node:
        node.call("connect", name="app", url=stage.url, headers={"Authorization": f"Bearer {stage.server_key}"})
        yield node


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """The page; nothing is connected."""
    with NodeProcess("web.mjs", tmp_path_factory.mktemp("page")) as node:
        yield node
