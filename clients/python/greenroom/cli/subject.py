"""What is built: named by its digest, by a file of which the digest is taken, or by the commit that it comes from."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from greenroom.cli import git
from greenroom.cli.errors import UsageError

DIGEST: Final = "GREENROOM_DIGEST"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CHUNK: Final = 1 << 20

Service = Annotated[
    str, typer.Option("--service", "-s", envvar="GREENROOM_SERVICE", help="The service, which is built as one.")
]
Digest = Annotated[str | None, typer.Option(metavar="SHA256", help=f"The build's digest, `sha256:…`, else {DIGEST}.")]
Commit = Annotated[
    str | None,
    typer.Option(metavar="REV", help="The commit it is built from, as git knows it; may stand for the digest."),
]
Artifact = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Take the digest of this file.", exists=True, dir_okay=False)
]


@dataclass(frozen=True, slots=True)
class Subject:
    """A build, by what was said of it."""

    digest: str | None = None
    commit: str | None = None

    @property
    def members(self) -> dict[str, str]:
        """As the API takes them; what was not said is left out."""
        named = {"digest": self.digest, "commit": self.commit}
        return {name: value for name, value in named.items() if value is not None}


def subject_of(digest: str | None, commit: str | None, artifact: Path | None = None) -> Subject:
    """What the options say; the variable only counts where none of them does. Raises UsageError."""
    if artifact is not None:
        if digest is not None:
            raise UsageError("give `--digest` or `--artifact`, not both")
        digest = digest_of(artifact)
    if digest is None and commit is None:
        digest = os.environ.get(DIGEST) or None
    return Subject(None if digest is None else checked_digest(digest), None if commit is None else full_commit(commit))


def one_build(digest: str | None, commit: str | None, artifact: Path | None = None) -> Subject:
    """The same, where something must be said."""
    found = subject_of(digest, commit, artifact)
    if found == Subject():
        raise UsageError(
            "which build?", hint=f"`--digest sha256:…`, `--artifact FILE`, `--commit REV`, or set {DIGEST}"
        )
    return found


def one_digest(digest: str | None, artifact: Path | None = None) -> str:
    """The digest, where a commit will not do."""
    found = one_build(digest, None, artifact).digest
    if found is None:
        raise UsageError("which digest?")
    return found


def checked_digest(text: str) -> str:
    """The digest, also out of an image reference (`registry/name@sha256:…`). Raises UsageError."""
    digest = text.strip().rpartition("@")[2]
    if not _DIGEST.fullmatch(digest):
        raise UsageError(f"`{text}` is no digest: it looks like `sha256:` and 64 hexadecimal digits in small letters")
    return digest


def digest_of(file: Path) -> str:
    """The SHA-256 of what is in the file."""
    made = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                made.update(chunk)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    return f"sha256:{made.hexdigest()}"


def full_commit(text: str) -> str:
    """The whole hash: short ones, and names such as `HEAD`, are looked up in the git repository we are in."""
    return text if _COMMIT.fullmatch(text) else git.resolve(text)
