"""Long computations in short slices, so that whoever shares the process hardly waits."""

import asyncio
from collections.abc import Generator
from time import perf_counter
from typing import Final, TypeVar

T = TypeVar("T")
SLICE_S: Final = 0.002


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
