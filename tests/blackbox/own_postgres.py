"""A PostgreSQL of a test's own, to be killed, frozen and brought back."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from tests.blackbox.server_process import until
from tests.conftest import DISPOSABLE, execute, run, with_database

from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.embedded import EmbeddedPostgres


class OwnPostgres:
    """Running from the start of the block to its end, but for what a test does to it."""

    def __init__(self, data_dir: Path) -> None:
        self._server = EmbeddedPostgres(data_dir, settings=DISPOSABLE)
        self.url = ""

    def start(self) -> None:
        """Make it run, again if it was killed."""
        self.url = self._server.start()

    def make_database(self) -> str:
        """The URL of a new, empty database on this server."""
        name = f"test_{uuid4().hex}"
        execute(self.url, f'CREATE DATABASE "{name}" STRATEGY FILE_COPY')
        return with_database(self.url, name)

    def kill(self) -> None:
        """Kill -9 the postmaster and wait until its backends noticed."""
        pids = self._pids()
        os.kill(pids[0], signal.SIGKILL)
        until(lambda: not any(_is_alive(pid) for pid in pids), what="the end of all backends")

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Dead for the length of the block."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped (SIGSTOP), all backends too, for the length of the block: it takes connections and never answers."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def fetch(self, query: str) -> list[tuple[object, ...]]:
        """The rows that a query gives."""
        return fetch(self.url, query)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.start()
        self._server.stop()

    def _pids(self) -> list[int]:
        postmaster = self._server.pid
        assert postmaster is not None, "PostgreSQL does not run"
        # The postmaster comes first, so that it starts no more of them.
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]


def fetch(url: str, query: str) -> list[tuple[object, ...]]:
    """The rows that a query gives, on a connection of its own."""

    async def work() -> list[tuple[object, ...]]:
        connection = await connect(url, Timeouts(), purpose="greenroom tests")
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return run(work())


@contextmanager
def holding(url: str, statement: str) -> Iterator[None]:
    """What the statement locks stays locked for the length of the block; nothing is changed."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(connect(url, Timeouts(), purpose="greenroom tests"))
    try:
        loop.run_until_complete(connection.execute(f"BEGIN; {statement}"))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    except OSError:
        return False
