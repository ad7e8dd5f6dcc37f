"""Last known good documents on disk, so that a server can start and serve while the store is down.

A copy is written whole (temporary file, fsync, rename), readable by its owner only, and sealed: what is truncated,
altered, misplaced or from another installation is refused and never half used.
"""

import os
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import orjson
import structlog

_log = structlog.get_logger(__name__)

_FORMAT: Final = 1
_SUFFIX: Final = ".json"
_SPLIT: Final = b',"document":'


class CopyRefused(ValueError):
    """The copy cannot be trusted."""


class DiskCopies:
    """Named JSON documents in one folder."""

    def __init__(self, folder: Path, installation_id: str) -> None:
        self._folder = folder
        self._installation_id = installation_id

    def save(self, name: str, document: bytes) -> None:
        """Replace the copy `name` by this JSON text; either all of it is there afterwards or the one before.

        Blocks on the disk: call it in a thread. Raises OSError.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = orjson.dumps(
            {
                "format": _FORMAT,
                "installation": self._installation_id,
                "name": name,
                "sha256": self._digest(name, document),
            }
        )
        # NamedTemporaryFile opens with mode 0600.
        with NamedTemporaryFile(dir=self._folder, prefix=f".{name}.", delete=False) as file:
            try:
                file.write(head[:-1] + _SPLIT + document + b"}\n")
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self._folder / f"{name}{_SUFFIX}")
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        self._sync_folder()

    def load(self, name: str) -> bytes | None:
        """The JSON text saved under `name`; None if there is none, or none that can be trusted (which is logged)."""
        try:
            data = (self._folder / f"{name}{_SUFFIX}").read_bytes()
            return self._opened(name, data)
        except FileNotFoundError:
            return None
        except (OSError, CopyRefused) as error:
            _log.error("disk_copy_refused", name=name, reason=str(error))
            return None

    def names(self) -> list[str]:
        """The names of all copies, good or bad."""
        if not self._folder.is_dir():
            return []
        return sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}") if not path.name.startswith("."))

    def remove(self, name: str) -> None:
        """Forget a copy; none being there is fine."""
        (self._folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)

    def _opened(self, name: str, data: bytes) -> bytes:
        head, split, rest = data.partition(_SPLIT)
        if not split or not rest.endswith(b"}\n"):
            raise CopyRefused("the file is cut off")
        document = rest[:-2]
        expected = {
            "format": _FORMAT,
            "installation": self._installation_id,
            "name": name,
            "sha256": self._digest(name, document),
        }
        try:
            found = orjson.loads(head + b"}")
        except orjson.JSONDecodeError:
            raise CopyRefused("the file's head is damaged") from None
        if found != expected:
            differing = [
                key for key, value in expected.items() if not isinstance(found, dict) or found.get(key) != value
            ]
            raise CopyRefused(f"the file's {', '.join(differing) or 'members'} are not what they must be")
        return document

    def _digest(self, name: str, document: bytes) -> str:
        return sha256(b"\0".join((self._installation_id.encode(), name.encode(), document))).hexdigest()

    def _sync_folder(self) -> None:
        # The rename itself must survive a power cut.
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
