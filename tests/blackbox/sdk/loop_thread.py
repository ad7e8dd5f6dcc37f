"""An event loop in a thread, for servers and clients beside a test."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

WITHIN_S = 10.0
T = TypeVar("T")


class LoopThread:
    """Runs from its making until `close`, which cancels whatever still runs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WITHIN_S)

    def close(self) -> None:
        self.call(_cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WITHIN_S)
        self.loop.close()


async def stop_listening(server: asyncio.Server) -> None:
    """As `Server.close`, but a connection that is being accepted right now is not left half made by asyncio."""
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    await asyncio.sleep(0.01)
    server.close()


async def _cancel_all() -> None:
    await asyncio.sleep(0.02)  # a task that is cancelled before it began closes nothing
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others)
    await asyncio.sleep(0.01)  # aborted connections are closed in the next turns
