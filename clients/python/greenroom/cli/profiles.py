"""Logins on disk: one file for each profile, in the user's own configuration folder, readable by nobody else."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final

import typer

from greenroom.cli.errors import CommandError, UsageError

DEFAULT: Final = "default"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Profile:
    """Where somebody is logged in, and what they mean when they name no project or environment."""

    url: str
    token: str = field(repr=False)
    project: str | None = None
    environment: str | None = None


class Profiles:
    """The profiles in one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(typer.get_app_dir("greenroom"))

    @property
    def current(self) -> str:
        """The name of the profile that is used when none is named."""
        with suppress(OSError, UnicodeDecodeError):
            name = (self._folder / "current").read_text("utf-8").strip()
            if _NAME.fullmatch(name):
                return name
        return DEFAULT

    def names(self) -> list[str]:
        """All profiles, in the order of the alphabet."""
        return sorted(path.stem for path in (self._folder / "profiles").glob("*.json") if _NAME.fullmatch(path.stem))

    def find(self, name: str) -> Profile | None:
        """The profile, or None; raises CommandError if its file is of no use."""
        path = self._path(name)
        try:
            if os.name == "posix" and path.stat().st_mode & _OTHERS:
                sys.stderr.write(f"warning: {path} can be read by others: chmod 600 it, and renew the token\n")
            document = json.loads(path.read_text("utf-8"))
            return Profile(**{one.name: _text(document.get(one.name), one.name) for one in fields(Profile)})  # type: ignore[arg-type]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError) as error:
            raise CommandError(f"the profile `{name}` cannot be read from {path}: {error}") from None

    def save(self, name: str, profile: Profile) -> Path:
        """Write the profile; where it went."""
        path = self._path(name)
        self._write(path, json.dumps(asdict(profile), indent=2) + "\n")
        return path

    def use(self, name: str) -> None:
        """Make the profile the one that is used when none is named."""
        self._write(self._folder / "current", f"{name}\n")

    def remove(self, name: str) -> bool:
        """Forget the profile; False if there was none."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(f"`{name}` is no name of a profile: letters, digits, `.`, `_` and `-`, at most 64")
        return self._folder / "profiles" / f"{name}.json"

    def _write(self, path: Path, text: str) -> None:
        """The whole file or nothing; it never exists with wider permissions."""
        try:
            for folder in _down_to(path.parent, self._folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            descriptor, name = tempfile.mkstemp(dir=path.parent)  # made with 0600
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(name, path)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from None


def _down_to(folder: Path, top: Path) -> Iterator[Path]:
    yield top
    if folder != top:
        yield folder


def _text(value: object, name: str) -> str | None:
    if value is None and name in ("project", "environment"):
        return None
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is no text")
    return value
