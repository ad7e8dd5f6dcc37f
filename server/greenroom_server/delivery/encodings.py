"""One document in every content coding that is offered.

Compressing takes longer than all else that a change needs. So it is done for who asks for it, in a thread, once for
all who ask, and streams, which get the change alone, never wait for it.
"""

import asyncio
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import zstandard

_GZIP_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class Encodings:
    """The document; what was compressed is kept as long as it is. Its bytes are the same at every server."""

    identity: bytes
    _made: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    _making: dict[str, "asyncio.Task[bytes]"] = field(default_factory=dict, compare=False, repr=False)

    def find(self, coding: str) -> bytes | None:
        """The document in this coding, if it is there."""
        return self.identity if coding == "identity" else self._made.get(coding)

    async def get(self, coding: str) -> bytes:
        """The document in this coding, compressed now if it must be."""
        found = self.find(coding)
        if found is not None:
            return found
        task = self._making.get(coding)
        if task is None:
            task = self._making[coding] = asyncio.create_task(asyncio.to_thread(self.make, coding))
            task.add_done_callback(lambda _: self._making.pop(coding))
        return await asyncio.shield(task)  # who goes away takes it from nobody else

    def make(self, coding: str) -> bytes:
        """Compress, and keep the result. Blocks: call it in a thread."""
        made = self._made[coding] = _COMPRESS[coding](self.identity)
        return made


_COMPRESS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda data: gzip.compress(data, _GZIP_LEVEL, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(data),
}
