"""Both clients behind one way to open them, so that each test is about both."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.blackbox.sdk.loop_thread import LoopThread
from tests.blackbox.sdk.sdk_server import SdkServer
from tests.blackbox.server_process import until
from tests.unit.sdk.documents import snapshot

from greenroom import AsyncClient, Client, Options
from greenroom.upkeep import Upkeep

KEY = "gr_srv_test"


class OpenClient:
    """Opens clients of one of both kinds, started and waited for, and closes them. They report only if asked to."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._loop = LoopThread()
        self._clients: list[Any] = []

    def __call__(self, url: str, key: str = KEY, *, timeout_s: float = 5, **options: Any) -> Upkeep:
        made = Options(**{"exposures": False, **options})
        if self._kind == "threads":
            client: Any = Client(url, key, made)
            client.wait_ready(timeout_s)
        else:

            async def make() -> AsyncClient:
                return AsyncClient(url, key, made)

            client = self._loop.call(make())
            self._loop.call(client.wait_ready(timeout_s))
        self._clients.append(client)
        return client  # type: ignore[no-any-return]

    def close(self, client: Any, timeout_s: float = 2.0) -> None:
        if isinstance(client, Client):
            client.close(timeout_s)
        else:
            self._loop.call(client.close(timeout_s))

    def close_all(self) -> None:
        for client in self._clients:
            self.close(client)
        self._loop.close()


@pytest.fixture(params=["threads", "asyncio"])
def open_client(request: pytest.FixtureRequest) -> Iterator[OpenClient]:
    """Opens clients of both kinds, one after the other."""
    opener = OpenClient(request.param)
    yield opener
    opener.close_all()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance is low, so that waits between attempts are a twentieth of their ceilings."""
    monkeypatch.setattr("greenroom.upkeep.random.random", lambda: 0.05)


@pytest.fixture
def server() -> Iterator[SdkServer]:
    """Serves revision 1, in which `a` is False."""
    with SdkServer(snapshot(1, a=False)) as server:
        yield server


def ready(client: Upkeep, within_s: float = 5.0) -> None:
    until(lambda: client.status.state == "ready", within_s, what="`ready`")
