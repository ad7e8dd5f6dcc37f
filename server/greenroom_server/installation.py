"""Who this installation is and who may use it, from the store, or from the copies on disk while the store is down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from greenroom_server.access.directory import TokenDirectory
from greenroom_server.access.service import Installation, ensure_installation, refresh_directory
from greenroom_server.clock import Clock
from greenroom_server.database.engine import Database
from greenroom_server.delivery.disk import DiskCopies
from greenroom_server.errors import Unavailable
from greenroom_server.web.codec import read_json, write_json

log = structlog.get_logger(__name__)

_IDENTITY: Final = "installation"
_TOKENS: Final = "tokens"


class NothingToServe(RuntimeError):
    """the database cannot be reached, and there are no copies on disk to serve from"""


@dataclass(frozen=True, slots=True)
class Opened:
    """The installation, its copies on disk, and whether this comes from the store or from the disk."""

    installation: Installation
    copies: DiskCopies
    is_from_disk: bool


async def open_installation(database: Database, directory: TokenDirectory, folder: Path, clock: Clock) -> Opened:
    """Find out who we are and fill the directory; raises `NothingToServe`."""
    # Which installation this is cannot be known before this very file is read.
    identity = DiskCopies(folder / "identity", "greenroom")
    try:
        async with database.transaction() as session:
            installation = await ensure_installation(session, clock.now())
            await refresh_directory(session, directory)
    except Unavailable as error:
        installation = _from_disk(identity)
        copies = DiskCopies(folder / "snapshots", str(installation.installation_id))
        saved = copies.load(_TOKENS)
        if saved is None:
            raise NothingToServe(NothingToServe.__doc__) from error
        directory.restore(read_json(saved))
        log.warning("database unavailable: serving what is on disk", tokens=len(directory))
        return Opened(installation, copies, is_from_disk=True)
    copies = DiskCopies(folder / "snapshots", str(installation.installation_id))
    identity.save(
        _IDENTITY,
        write_json({"id": str(installation.installation_id), "stream_secret": installation.stream_secret.hex()}),
    )
    save_directory(copies, directory)
    return Opened(installation, copies, is_from_disk=False)


def save_directory(copies: DiskCopies, directory: TokenDirectory) -> None:
    """Keep the tokens (their hashes) for a start without the store. Blocks on the disk; a full one is logged."""
    try:
        copies.save(_TOKENS, write_json(directory.export()))
    except OSError as error:
        log.error("disk copy failed", name=_TOKENS, reason=str(error))


def _from_disk(identity: DiskCopies) -> Installation:
    saved = identity.load(_IDENTITY)
    if saved is None:
        raise NothingToServe(NothingToServe.__doc__)
    found = read_json(saved)
    return Installation(UUID(found["id"]), bytes.fromhex(found["stream_secret"]))
