"""Long computations in short slices, so that whoever shares the process hardly waits."""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final, TypeVar

from greenroom_server.errors import TooManyRequests

T = TypeVar("T")
SLICE_S: Final = 0.002
MAX_WAITING: Final = 4


class Computing:
    """The long computations of one server process: one at a time, so that a slice of all of them stays a slice."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn; raises `TooManyRequests` if four wait already."""
        if self._inside > MAX_WAITING:
            raise TooManyRequests(f"at most {MAX_WAITING} reports wait in one process", retry_after_s=5)
        self._inside += 1
        try:
            async with self._turn:
                yield
        finally:
            self._inside -= 1


async def in_slices(steps: Generator[None, None, T]) -> T:
    """What the generator returns; after two milliseconds of it everybody else has their turn."""
    begun = perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        if perf_counter() - begun > SLICE_S:
            await asyncio.sleep(0)
            begun = perf_counter()
