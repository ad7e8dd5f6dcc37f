"""Runs the app on uvicorn, in one process or several that share one listening socket."""

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
import tempfile
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from greenroom_server.app import Server, create_app
from greenroom_server.observability.logs import configure_logging
from greenroom_server.observability.metrics import MULTIPROCESS_DIR, forget_process
from greenroom_server.settings import Settings
from greenroom_server.web.http_protocol import BoundedHttpProtocol

_SHUTDOWN_S = 8
_START_S = 30.0
_BACKLOG = 4096
# How requests are read and answers written; the benchmark's floors run on the same.
UVICORN: Final[dict[str, Any]] = {
    "loop": "uvloop",
    "http": BoundedHttpProtocol,
    "ws": "none",
    "lifespan": "on",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": _SHUTDOWN_S,
}


def app_from_environment() -> ASGIApp:
    """What each worker process runs; its settings come from the environment, like its parent's."""
    settings = Settings()
    configure_logging(settings.log_format, settings.log_level)
    _calm_garbage_collection()
    app = create_app(settings)
    _say_goodbye_on(signal.SIGTERM, app)
    _say_goodbye_on(signal.SIGINT, app)
    return app


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code."""
    os.environ["GREENROOM_DATABASE_URL"] = settings.database_url or ""
    _allow_many_files()
    listener = _listen(settings)
    config = uvicorn.Config(
        f"{__name__}:app_from_environment",
        factory=True,
        workers=settings.workers,
        **UVICORN,
    )
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    announcement = f"listening on http://{address}:{port}\n"
    if settings.workers == 1:
        server = _AnnouncingServer(config, announcement)
        server.run(sockets=[listener])
        return 0 if server.started else 1
    with tempfile.TemporaryDirectory(prefix="greenroom-metrics-") as folder:
        os.environ[MULTIPROCESS_DIR] = folder
        _AnnouncingWorkers(config, [listener], announcement).run()
    return 0


def _allow_many_files() -> None:
    """Every stream is an open file, and the soft limit is often 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _calm_garbage_collection() -> None:
    """Full collections are what makes the slowest pushes to thousands of streams slow.

    What is imported by now stays for ever and need not be looked at again; the rest is looked at more rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _say_goodbye_on(number: signal.Signals, app: Server) -> None:
    """Begin the goodbye to streams as soon as the signal comes.

    uvicorn ends an app's lifespan only after it waited for all connections, and streams would never end by themselves.
    """
    loop = asyncio.get_running_loop()
    before = signal.getsignal(number)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(app.begin_goodbye)
        if callable(before):
            before(number, frame)

    signal.signal(number, handle)


class _AnnouncingServer(uvicorn.Server):
    """Says on standard output where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _announce(self._announcement)


class _AnnouncingWorkers(Multiprocess):
    """The same for several processes, once all of them are ready."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], announcement: str) -> None:
        super().__init__(config, sockets)
        self._announcement = announcement
        self._pids: set[int | None] = set()

    def init_processes(self) -> None:
        super().init_processes()
        self._pids = {process.pid for process in self.processes}
        if all(process.wait_until_ready(_START_S, self.should_exit) for process in self.processes):
            _announce(self._announcement)

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        pids = {process.pid for process in self.processes}
        for pid in self._pids - pids:
            forget_process(pid or 0)
        self._pids = pids


def _announce(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    return listener
