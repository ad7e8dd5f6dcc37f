"""A running PostgreSQL server as its data folder tells: found by `postmaster.pid`, watched, stopped by signal.

The pid file belongs to PostgreSQL: it is read here and never written or deleted.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL_S = 0.02
_REAPED_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server process of one data folder, seen at one moment."""

    pid: int
    socket_folder: Path | None
    status: str

    @property
    def is_ready(self) -> bool:
        return self.status == "ready" and self.socket_folder is not None


def find_postmaster(cluster: Path) -> Postmaster | None:
    """The live server of this data folder; None if there is none, whatever an old pid file says."""
    found = read_pid_file(cluster)
    return found if found is not None and (is_postmaster(found.pid, cluster) or _answers(found)) else None


def read_pid_file(cluster: Path) -> Postmaster | None:
    """What `postmaster.pid` says; the process may be long gone, or its number be another process's by now."""
    try:
        lines = (cluster / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        pid = abs(int(lines[0]))
    except (OSError, ValueError, IndexError):
        return None
    folder = lines[4].strip() if len(lines) > 4 else ""
    status = lines[7].strip() if len(lines) > 7 else "starting"
    return Postmaster(pid, Path(folder) if folder else None, status)


def is_postmaster(pid: int, cluster: Path) -> bool:
    """Whether this process is alive and serves this data folder."""
    process = Path("/proc", str(pid))
    try:
        state = (process / "stat").read_bytes().rpartition(b")")[2].split()[0]
        # The command line, not the working folder: root in a container may not look at the latter.
        arguments = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False if Path("/proc/self").exists() else _is_alive(pid)
    return state not in b"ZX" and os.fsencode(cluster) in arguments


def _answers(found: Postmaster) -> bool:
    # Two containers that share a volume do not see each other's processes, and neither does PostgreSQL, which would
    # run a second server on the same files. The socket tells: a dead server's refuses.
    if found.socket_folder is None:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(found.socket_folder / ".s.PGSQL.5432"))
        except (TimeoutError, BlockingIOError):  # the queue of a hanging one is full
            return True
        except OSError:
            return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stop_postmaster(pid: int, cluster: Path, *, timeout_s: float, child: subprocess.Popen[bytes] | None) -> bool:
    """Fast shutdown, and an immediate one when that takes too long; whether the process is gone.

    An immediate shutdown loses nothing: the next start replays the log.
    """
    for number, patience_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 5.0)):
        if not is_postmaster(pid, cluster):
            break
        os.kill(pid, number)
        if _wait_until_gone(pid, cluster, patience_s, child):
            break
    return not is_postmaster(pid, cluster)


def _wait_until_gone(pid: int, cluster: Path, patience_s: float, child: subprocess.Popen[bytes] | None) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if child is not None:
            child.poll()  # reaps it
        if not is_postmaster(pid, cluster):
            if child is not None and child.pid == pid:
                # On its way out a process shows no command line any more, a moment before it can be reaped.
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_REAPED_WITHIN_S)
            return True
        time.sleep(_POLL_S)
    return False


def reap_later(child: subprocess.Popen[bytes]) -> None:
    """Let go of a server that goes on for others, without leaving a zombie when it ends."""
    threading.Thread(target=child.wait, name="postgres-reaper", daemon=True).start()
