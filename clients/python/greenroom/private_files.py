"""Files that nobody but their owner may write: what is checked before they are trusted, and how they are made."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from greenroom.errors import Unusable

_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_NO_TRAPS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def read_private(path: Path, most: int) -> bytes:
    """What a file holds, up to so many bytes; raises Unusable or OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | _NO_TRAPS), "rb") as file:
        _check(os.fstat(file.fileno()), path, stat.S_ISREG)
        return file.read(most)


def create_private(path: Path) -> int:
    """A new file, as a descriptor; raises OSError, also if there is one."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_TRAPS, 0o600)


def check_folder(folder: Path) -> None:
    """Raises Unusable if others can write to it, OSError if it is not there."""
    _check(folder.stat(), folder, stat.S_ISDIR)


def sync_folder(folder: Path) -> None:
    """Have the names of new and removed files on disk."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check(found: os.stat_result, path: Path, is_kind: Callable[[int], bool]) -> None:
    if not is_kind(found.st_mode):
        raise Unusable(f"`{path}` is not what it should be: a link or a special file")
    if os.name != "posix":
        return
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise Unusable(f"`{path}` can be written by others")
    if found.st_uid not in (0, os.geteuid()):
        raise Unusable(f"`{path}` belongs to somebody else")
