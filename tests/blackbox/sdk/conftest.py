"""Both clients behind one way to open them, so that each test is about both."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.blackbox.sdk.loop_thread import LoopThread
from tests.blackbox.sdk.sdk_server import SdkServer
from tests.blackbox.server_process import until
from tests.unit.sdk.documents import snapshot

from greenroom import AsyncClient, Client, Options
from greenroom.upkeep import Upkeep

KEY = "gr_srv_test"
OpenClient = Callable[..., Upkeep]


@pytest.fixture(params=["threads", "asyncio"])
def open_client(request: pytest.FixtureRequest) -> Iterator[OpenClient]:
    """Opens clients of one of both kinds, started and waited for, and closes them. They report only if asked to."""
    loop = LoopThread()
    clients: list[Any] = []

    def open_one(url: str, key: str = KEY, *, timeout_s: float = 5, **options: Any) -> Upkeep:
        made = Options(**{"exposures": False, **options})
        if request.param == "threads":
            client: Any = Client(url, key, made)
            client.wait_ready(timeout_s)
        else:

            async def make() -> AsyncClient:
                return AsyncClient(url, key, made)

            client = loop.call(make())
            loop.call(client.wait_ready(timeout_s))
        clients.append(client)
        return client  # type: ignore[no-any-return]

    yield open_one
    for client in clients:
        if isinstance(client, Client):
            client.close()
        else:
            loop.call(client.close())
    loop.close()


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
