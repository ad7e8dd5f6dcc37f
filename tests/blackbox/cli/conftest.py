"""The console script in a process of its own, against a seeded server."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.terminal import Inside, Terminal
from tests.blackbox.server_process import ServerProcess, surroundings

SCRIPT = Path(sys.executable).with_name("greenroom")
_NUMBERS = count(1)


@dataclass
class Shop:
    """The served example, and its tokens by their names in `shop.env`."""

    server: ServerProcess
    tokens: dict[str, str]


@pytest.fixture(scope="session")
def shop(make_database: Callable[..., str], data_dir_factory: Callable[[], Path]) -> Iterator[Shop]:
    """One seeded server for all tests; a test that changes things works in a project of its own."""
    data, database_url = data_dir_factory(), make_database()
    command = [sys.executable, "-m", "greenroom_server", "seed", "--data-dir", str(data)]
    command += ["--database-url", database_url, "--tokens", str(data / "shop.env")]
    subprocess.run(command, check=True, env=surroundings({}), timeout=60, stdout=subprocess.DEVNULL)
    tokens = dict(re.findall(r"export (\w+)=(\S+)", (data / "shop.env").read_text()))
    with ServerProcess(data, database_url=database_url) as server:
        yield Shop(server, tokens)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """Nobody is logged in."""
    return Terminal(SCRIPT, tmp_path)


@pytest.fixture
def manager(shop: Shop, terminal: Terminal) -> Terminal:
    """The example's product manager, by variables."""
    return terminal.having(**_as(shop, "MANAGER_TOKEN", "shop"))


@pytest.fixture
def copy(shop: Shop) -> str:
    """A copy of the example for this test alone; its key."""
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        document = author.send("GET", "/api/v1/projects/shop/export")
        document["project"]["key"] = f"shop-{next(_NUMBERS)}"
        author.send("POST", "/api/v1/import", document)
    return str(document["project"]["key"])


@pytest.fixture
def admin(shop: Shop, copy: str, terminal: Terminal) -> Terminal:
    """The administrator, in the copy."""
    return terminal.having(**_as(shop, "ADMIN_TOKEN", copy))


@pytest.fixture
def inside(shop: Shop, copy: str) -> Inside:
    """The administrator in the copy, without a process for each command."""
    return Inside(**_as(shop, "ADMIN_TOKEN", copy))


def _as(shop: Shop, token: str, project: str) -> dict[str, str]:
    return {"GREENROOM_URL": shop.server.url, "GREENROOM_TOKEN": shop.tokens[token], "GREENROOM_PROJECT": project}
