"""Servers of a test's own, to be killed and frozen; conditions to wait for."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from greenroom_server.database.embedded import EmbeddedPostgres

FAST = {"fsync": "off", "full_page_writes": "off", "greenroom.disposable": "on"}
Freeze = Callable[[int], AbstractContextManager[None]]
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's account can reach, which pytest's own cannot be when root runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def own_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server that this test may do anything to."""
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def frozen() -> Freeze:
    """Stops (SIGSTOP) a postmaster and its backends for the length of a block."""

    @contextmanager
    def freeze(postmaster: int) -> Iterator[None]:
        # The postmaster first, so that it starts no more of them.
        os.kill(postmaster, signal.SIGSTOP)
        pids = [postmaster, *children_of(postmaster)]
        for pid in pids[1:]:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    return freeze


@pytest.fixture
def until() -> Until:
    """Waits in a thread of its own kind, for tests without a loop: until the condition holds, ten seconds at most."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not happen within ten seconds"
            time.sleep(0.01)

    return wait


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], "asyncio.Future[None]"]:
    """Like `until`, for tests in a loop."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  what is waited for happens in another process
                await asyncio.sleep(0.01)

    return lambda condition: asyncio.ensure_future(wait(condition))


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
