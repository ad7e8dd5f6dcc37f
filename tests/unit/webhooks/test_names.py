"""Looking up names: answers and failures come through, and name servers that hang cost a bounded number of threads."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from greenroom_server.webhooks.names import Lookups

pytestmark = pytest.mark.asyncio


async def test_the_machine_is_asked() -> None:
    """An address stands for itself."""
    assert list(await Lookups()("127.0.0.1", 443)) == ["127.0.0.1"]


async def test_failures_come_through() -> None:
    """As the resolver raised them."""

    def fail(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(socket.gaierror):
        await Lookups(fail)("hooks.example.test", 443)


async def test_given_up_looks_still_count() -> None:
    """Nobody waits longer than they want, and no look begins while as many as may hang do so."""
    begun, let_go = [], threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        begun.append(threading.current_thread())
        let_go.wait(20)
        return [host]

    lookups = Lookups(hang, at_once=2)
    for _ in range(4):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await lookups("hooks.example.test", 443)
    assert len(begun) == 2
    assert all(thread.daemon for thread in begun)

    let_go.set()
    assert await lookups("192.0.2.1", 443) == ["192.0.2.1"]
