"""The server under test: a real `greenroom-server serve` with a PostgreSQL, 100 flags and keys to ask for them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from tests.bench.http.workload import ENVIRONMENT, PROJECT, project_document, toggled_flags
from tests.blackbox.authoring import Author
from tests.blackbox.server_process import ServerProcess


@dataclass(frozen=True, slots=True)
class Stage:
    """A server that runs, an administrator's token and a server SDK key."""

    server: ServerProcess
    admin: str
    key: str

    @property
    def port(self) -> int:
        return urlsplit(self.server.url).port or 0

    @property
    def serving_pids(self) -> list[int]:
        """The processes that answer requests; the database is not among them."""
        pid = self.server.process.pid
        commands = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in self.server.workers()}
        workers = [child for child, command in commands.items() if b"spawn_main" in command]
        return workers or [pid]

    @property
    def authorization(self) -> dict[str, str]:
        """The header of an application that asks."""
        return {"authorization": f"Bearer {self.key}"}


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that PostgreSQL may enter: started by root, it runs as somebody else."""
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def open_stage(*, workers: int = 1, with_toggles: bool = False) -> Iterator[Stage]:
    """Start the server on an embedded PostgreSQL that keeps what it acknowledges, and import the flags."""
    with temporary_folder() as folder, ServerProcess(folder / "data", workers=workers) as server:
        yield set_up(server, with_toggles=with_toggles)


def set_up(server: ServerProcess, *, with_toggles: bool = False) -> Stage:
    """Fill a fresh server."""
    admin = server.set_up()
    with Author(server.url, admin, timeout_s=60) as author:
        author.send("POST", "/api/v1/import", project_document())
        for flag in toggled_flags() if with_toggles else ():
            author.send("POST", f"/api/v1/projects/{PROJECT}/flags", flag)
        key = author.sdk_key(PROJECT, ENVIRONMENT)
    reply = httpx.get(f"{server.url}/api/v1/sdk/snapshot", headers={"authorization": f"Bearer {key}"}, timeout=10)
    reply.raise_for_status()
    return Stage(server, admin, key)
