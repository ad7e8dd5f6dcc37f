"""Databases and data folders for servers that run beside the tests."""

import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url
from tests.blackbox.server_process import ServerProcess
from tests.conftest import execute, with_database

SHOWN_CHARACTERS = 8000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what its servers wrote."""
    report = yield
    if report.failed:
        given = getattr(item, "funcargs", {}).values()
        servers = (getattr(value, "server", value) for value in given)
        for server in servers:
            if isinstance(server, ServerProcess):
                report.sections.append(("greenroom-server", server.text[-SHOWN_CHARACTERS:]))
    return report


@pytest.fixture(scope="session")
def make_database(postgres_url: str, template: str) -> Iterator[Callable[..., str]]:
    """Makes databases, which live until the end of the run: migrated and empty, or copies of one that nobody uses."""
    made: list[str] = []

    def make(copied_url: str | None = None) -> str:
        name = f"test_{uuid4().hex}"
        copied = template if copied_url is None else make_url(copied_url).database
        execute(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{copied}" STRATEGY FILE_COPY')
        made.append(name)
        return with_database(postgres_url, name)

    yield make
    for name in made:
        execute(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def data_dir_factory() -> Iterator[Callable[[], Path]]:
    """Makes data folders that PostgreSQL's account can reach, which pytest's own cannot be when root runs the tests."""
    made: list[Path] = []

    def make() -> Path:
        folder = Path(tempfile.mkdtemp(prefix="greenroom-blackbox-"))
        folder.chmod(0o711)
        made.append(folder)
        return folder / "data"

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def data_dir(data_dir_factory: Callable[[], Path]) -> Path:
    """A data folder of this test's own, not there yet."""
    return data_dir_factory()
