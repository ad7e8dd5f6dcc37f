"""Looking up the addresses behind names, by the machine's resolver and without ever holding anything else up.

The resolver blocks, for half a minute if its name servers hang. So each look has a thread of its own, which nobody
waits for at the end of the process, and there are only so many of them, given up ones included.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

Addresses = Sequence[str]

_AT_ONCE: Final = 16


def machine_resolver(host: str, port: int) -> Addresses:
    """What `getaddrinfo` says; raises OSError."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Lookups:
    """`await lookups(host, port)`; raises what the resolver raises."""

    def __init__(self, resolve: Callable[[str, int], Addresses] = machine_resolver, *, at_once: int = _AT_ONCE) -> None:
        self._resolve = resolve
        self._room = asyncio.Semaphore(at_once)

    async def __call__(self, host: str, port: int) -> Addresses:
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Addresses] = loop.create_future()

        def end(addresses: Addresses, error: Exception | None) -> None:
            self._room.release()  # not earlier: who gave up did not end the thread
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look() -> None:
            addresses: Addresses = ()
            problem: Exception | None = None
            try:
                addresses = self._resolve(host, port)
            except Exception as error:  # a name that cannot even be put into a question is a ValueError
                problem = error
            with suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(end, addresses, problem)

        threading.Thread(target=look, name="webhook-dns", daemon=True).start()
        return await found
