"""Compressed forms: made when asked for, once, and off the event loop."""

import asyncio
import gzip
import threading
from collections.abc import Mapping

import pytest
import zstandard

from greenroom_server.delivery import encodings
from greenroom_server.delivery.encodings import Encodings

DATA = b'{"a":1}' * 1000


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_compressing_twice_gives_the_same_bytes(coding: str) -> None:
    """Compressed bytes hold no time of day."""
    assert Encodings(DATA).make(coding) == Encodings(DATA).make(coding)


@pytest.mark.asyncio
async def test_every_coding_holds_the_document() -> None:
    """Whatever the coding, the client reads the same; plain bytes are there from the start."""
    made = Encodings(DATA)

    assert made.find("identity") is DATA
    assert made.find("gzip") is None
    assert gzip.decompress(await made.get("gzip")) == DATA
    assert zstandard.ZstdDecompressor().decompress(await made.get("zstd")) == DATA


@pytest.mark.asyncio
async def test_many_who_ask_at_once_wait_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred at once make it be compressed once, in another thread; one who goes away takes it from nobody."""
    threads: list[int] = []
    may_go_on = threading.Event()

    def compress(data: bytes) -> bytes:
        threads.append(threading.get_ident())
        assert may_go_on.wait(10)
        return data[::-1]

    compressing: Mapping[str, object] = {"gzip": compress}
    monkeypatch.setattr(encodings, "_COMPRESS", compressing)
    made = Encodings(DATA)
    waiting = [asyncio.create_task(made.get("gzip")) for _ in range(100)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    may_go_on.set()

    results = await asyncio.gather(*waiting[1:])

    assert results == [DATA[::-1]] * 99
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()
    assert await made.get("gzip") is made.find("gzip")
