"""Long computations in short slices."""

import asyncio
from collections.abc import Generator
from time import perf_counter

import pytest

from greenroom_server.errors import TooManyRequests
from greenroom_server.readiness.pace import MAX_WAITING, SLICE_S, Computing, in_slices


def computing(steps: int) -> Generator[None, None, str]:
    """Each step takes a slice or more."""
    for _ in range(steps):
        until = perf_counter() + SLICE_S * 1.1
        while perf_counter() < until:
            pass
        yield
    return "done"


@pytest.mark.asyncio
async def test_everybody_else_has_their_turn() -> None:
    """Between any two slices another task runs, and the result comes out."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    result = await in_slices(computing(20))
    beside.cancel()

    assert (result, turns >= 20) == ("done", True)


@pytest.mark.asyncio
async def test_one_computes_while_a_few_wait() -> None:
    """Never two at a time; whoever comes while four wait is sent away, and those who waited get their turn."""
    computing, go, inside, most = Computing(), asyncio.Event(), 0, 0

    async def compute() -> None:
        nonlocal inside, most
        async with computing.turn():
            inside += 1
            most = max(most, inside)
            await go.wait()
            inside -= 1

    waiting = [asyncio.create_task(compute()) for _ in range(MAX_WAITING + 1)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await compute()
    go.set()
    await asyncio.gather(*waiting)
    await compute()

    assert (most, inside) == (1, 0)


@pytest.mark.asyncio
async def test_what_goes_wrong_is_raised() -> None:
    """An error in a step is the caller's to see."""

    def wrong() -> Generator[None, None, None]:
        yield
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        await in_slices(wrong())
