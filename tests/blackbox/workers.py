"""Connections to each worker of a server, told apart by which process holds the other end."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
from tests.blackbox.server_process import ServerProcess

_CONNECTIONS_AT_MOST = 200


@contextmanager
def one_client_per_worker(server: ServerProcess, workers: int) -> Iterator[list[httpx.Client]]:
    """HTTP clients that stay on one kept-alive connection each, every one to another worker."""
    with ExitStack() as stack:
        found: dict[int, httpx.Client] = {}
        for _ in range(_CONNECTIONS_AT_MOST):
            client = stack.enter_context(_client(server.url))
            found.setdefault(_worker_behind(server, client), client)
            if len(found) == workers:
                yield list(found.values())
                return
        raise AssertionError(f"{_CONNECTIONS_AT_MOST} connections reached {len(found)} of {workers} workers")


def _client(url: str) -> httpx.Client:
    limits = httpx.Limits(max_connections=1, keepalive_expiry=60)
    return httpx.Client(base_url=url, timeout=5, limits=limits)


def _worker_behind(server: ServerProcess, client: httpx.Client) -> int:
    response = client.get("/livez")
    stream = response.extensions["network_stream"]
    ours, theirs = (int(stream.get_extra_info(name)[1]) for name in ("client_addr", "server_addr"))
    sockets = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    ends = {(_port(fields[1]), _port(fields[2])): fields[9] for fields in sockets}
    link = f"socket:[{ends[theirs, ours]}]"
    for worker in server.workers():
        if link in _open_files(worker):
            return worker
    raise AssertionError(f"no worker holds the connection from port {ours}")


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def _open_files(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield os.readlink(descriptor)
