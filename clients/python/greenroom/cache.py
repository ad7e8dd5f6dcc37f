"""The last good snapshot on disk: written whole or not at all, readable by its owner only, checked when it is read."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from greenroom.held import MAX_DOCUMENT_BYTES, Held, read_sealed
from greenroom.private_files import check_folder, create_private, read_private, sync_folder

MIN_INTERVAL_S: Final = 1.0
"""Changes that follow each other faster are written together."""
_LEFTOVER_S: Final = 3600.0


class DiskCopy:
    """One file for one server and key. `load` and `write_now` raise Unusable or OSError; nothing else does I/O."""

    def __init__(self, folder: Path, identity: str) -> None:
        name = hashlib.sha256(identity.encode()).hexdigest()[:24]
        self.path: Final = folder / f"greenroom-{name}.json"
        self._unwritten: Held | None = None
        self._next_at = 0.0

    @classmethod
    def of(cls, folder: str | os.PathLike[str] | None, *identity: str) -> Self | None:
        """The copy in this folder; the name of its file tells nothing about the key."""
        return None if folder is None else cls(Path(folder), "\n".join(identity))

    def load(self) -> Held | None:
        """What was written last, None if nothing was."""
        try:
            check_folder(self.path.parent)
            self._sweep()
            data = read_private(self.path, MAX_DOCUMENT_BYTES + 1)
        except FileNotFoundError:
            return None
        return read_sealed(data, "disk")

    def note(self, held: Held) -> None:
        """This is to be written when the time has come."""
        if held.origin == "server":
            self._unwritten = held

    def due_in_s(self, now: float) -> float:
        """How long until something is to be written; infinite if nothing is."""
        return float("inf") if self._unwritten is None else max(0.0, self._next_at - now)

    def write(self, now: float) -> None:
        """Write what was noted."""
        held, self._unwritten = self._unwritten, None
        self._next_at = now + MIN_INTERVAL_S
        if held is not None:
            self.write_now(held.sealed_bytes())

    def write_now(self, data: bytes) -> None:
        """INVARIANT: the file has all of the old or all of the new contents, whenever the process or power fails."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(self.path.parent)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        with suppress(FileNotFoundError):
            temporary.unlink()
        try:
            with os.fdopen(create_private(temporary), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(self.path.parent)

    def _sweep(self) -> None:
        """Remove what killed processes left."""
        for leftover in self.path.parent.glob(f"{self.path.stem}.*.tmp"):
            with suppress(OSError):
                if leftover.lstat().st_mtime < time.time() - _LEFTOVER_S:
                    leftover.unlink()
