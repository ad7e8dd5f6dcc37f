"""Rows on disk until the server has them: a folder for each process, a file for each batch, only ever appended to.

The folder is locked as long as its process lives; whoever finds one that is not takes its files over by renaming them.
A row that was half written is left out when it is read; one that is sent twice keeps its id, and counts once.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

from greenroom.errors import ConfigurationError, Unusable
from greenroom.private_files import check_folder, create_private, read_private, sync_folder
from greenroom.rows import Kind, Row

try:
    import fcntl
except ImportError:  # no POSIX
    fcntl = None  # type: ignore[assignment]

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
"""Past any batch: a larger file is none of ours."""
_LOCK: Final = "lock"
_NEW: Final = ".new-"
_ENDING: Final = ".rows"
_LEFTOVER_S: Final = 3600.0
_LETTERS: Final[dict[Kind, bytes]] = {"counts": b"c", "exposures": b"x", "events": b"v"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}


class Adopted(NamedTuple):
    """A batch that was taken over."""

    number: int
    rows: int
    size: int


class Spool:
    """One process's files for one server and key. Everything but `load` is called by one thread at a time.

    All but `remove` and `close` raise OSError or Unusable; then the rows are not, or not surely, on disk.
    """

    def __init__(self, folder: str | os.PathLike[str], *identity: str) -> None:
        if fcntl is None:
            raise ConfigurationError("`spool_dir` needs file locks, which this system does not have")
        name = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:24]
        self.root: Final = Path(folder) / f"greenroom-reports-{name}"
        self._own: Path | None = None
        self._lock: int | None = None
        self._file: int | None = None
        self._number = 0
        self._is_torn = False

    def append(self, number: int, rows: Iterable[Row]) -> None:
        """Write rows into the file of this batch; they last after `sync`."""
        own = self._opened()
        if self._file is None or self._number != number:
            self._close_file()
            self._file = create_private(_path(own, number))
            self._number = number
            sync_folder(own)
        data = b"".join(map(_line, rows))
        if self._is_torn:
            data = b"\n" + data
        self._is_torn = True
        while data:
            data = data[os.write(self._file, data) :]
        self._is_torn = False

    def sync(self) -> None:
        """Returns once all that was written is on disk."""
        if self._file is not None:
            os.fsync(self._file)

    def load(self, number: int) -> list[Row]:
        """The rows of a batch."""
        if self._own is None:
            raise FileNotFoundError("the spool is closed")
        return _rows_in(read_private(_path(self._own, number), MAX_FILE_BYTES))

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget these batches."""
        if self._own is None:
            return
        for number in numbers:
            if number == self._number:
                with suppress(OSError):
                    self._close_file()
            with suppress(OSError):
                _path(self._own, number).unlink()

    def adopt(self, new_number: Callable[[], int]) -> list[Adopted]:
        """Take over what processes that are no more have left."""
        if not self.root.exists():
            return []
        own = self._opened()
        adopted = []
        for folder in sorted(self.root.iterdir()):
            if folder.name.startswith(_NEW):
                _sweep(folder)
            elif folder != own:
                adopted += self._adopt(folder, own, new_number)
        return adopted

    def close(self) -> None:
        """Leave what there is to whoever comes next."""
        with suppress(OSError):
            self._close_file()
        if self._own is not None and self._lock is not None:
            with suppress(OSError):
                if not any(self._own.glob(f"*{_ENDING}")):
                    (self._own / _LOCK).unlink()
                    self._own.rmdir()
            os.close(self._lock)
        self._own = self._lock = None

    def leave_to_parent(self) -> None:
        """In a child after a fork: the folder is the parent's, and so is the lock."""
        for descriptor in (self._file, self._lock):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        self._own = self._lock = self._file = None

    def _opened(self) -> Path:
        if self._own is None:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_folder(self.root)
            token = f"{os.getpid()}-{token_hex(4)}"
            new = self.root / f"{_NEW}{token}"
            new.mkdir(mode=0o700)
            self._lock = create_private(new / _LOCK)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # INVARIANT: nobody sees a folder without its lock held, unless its process is dead.
            self._own = new.rename(self.root / token)
            sync_folder(self.root)
        return self._own

    def _close_file(self) -> None:
        descriptor, self._file = self._file, None
        self._is_torn = False
        if descriptor is not None:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _adopt(self, folder: Path, own: Path, new_number: Callable[[], int]) -> list[Adopted]:
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return []
        adopted = []
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in sorted(folder.glob(f"*{_ENDING}")):
                data = read_private(path, MAX_FILE_BYTES)
                number = new_number()
                path.rename(_path(own, number))
                adopted.append(Adopted(number, data.count(b"\n"), len(data)))
            (folder / _LOCK).unlink()
            folder.rmdir()
            sync_folder(own)
        except (OSError, Unusable):
            pass  # somebody lives there, or was quicker; what was renamed is ours all the same
        finally:
            os.close(lock)
        return adopted


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}{_ENDING}"


def _line(row: Row) -> bytes:
    body = _LETTERS[row.kind] + row.data
    return b"%08x%b\n" % (zlib.crc32(body), body)


def _rows_in(data: bytes) -> list[Row]:
    """The whole rows; pieces of others, which a crash or a full disk left, are passed over."""
    rows = []
    for line in data.split(b"\n"):
        body = line[8:]
        kind = _KINDS.get(body[:1])
        if kind is not None and line[:8] == b"%08x" % zlib.crc32(body):
            rows.append(Row(kind, body[1:]))
    return rows


def _sweep(folder: Path) -> None:
    """Remove what a process left that died while it began."""
    with suppress(OSError):
        if folder.lstat().st_mtime < time.time() - _LEFTOVER_S:
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()
