"""The console script in a process of its own, against a seeded server."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from tests.blackbox.cli.terminal import Terminal
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
    return terminal.having(
        GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=shop.tokens["MANAGER_TOKEN"], GREENROOM_PROJECT="shop"
    )


@pytest.fixture
def admin(shop: Shop, terminal: Terminal) -> Terminal:
    """The administrator, with a copy of the example for this test alone."""
    held = terminal.having(GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=shop.tokens["ADMIN_TOKEN"])
    document = held.json("export", "--project", "shop")
    document["project"]["key"] = key = f"shop-{next(_NUMBERS)}"
    file = held.write("shop.json", document)
    held.run("import", "--file", str(file), "--yes").expect(0)
    return held.having(GREENROOM_PROJECT=key)
