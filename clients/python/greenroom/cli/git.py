"""What the git repository knows that we are in, by the command `git`."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from greenroom.cli.errors import UsageError

_WITHIN_S: Final = 60
_RECORD: Final = "\x1e"
_FIELD: Final = "\x1f"
_FORMAT: Final = f"--format=%H{_FIELD}%an <%ae>{_FIELD}%cn <%ce>{_FIELD}%B{_RECORD}"
_TOGETHER: Final = re.compile(r"^co-authored-by:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """A commit with its message and everybody who wrote or committed it, trailers of the message included."""

    id: str
    authors: tuple[str, ...]
    message: str


def resolve(name: str) -> str:
    """The whole hash of a commit. Raises UsageError."""
    return _run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", about=name).strip()


def branch() -> str:
    """The branch that is checked out; empty where none is, as in most pipelines."""
    name = _run("rev-parse", "--abbrev-ref", "HEAD", about="HEAD").strip()
    return "" if name == "HEAD" else name


def is_ancestor(earlier: str, later: str) -> bool:
    """Whether the one commit is among the ancestors of the other; False for a commit that is not known here."""
    return _git("merge-base", "--is-ancestor", earlier, later).returncode == 0


def log_between(parent: str | None, commit: str, *, most: int) -> list[LoggedCommit]:
    """What `commit` has and `parent` lacks, oldest first; without a parent only itself.

    Raises UsageError, also if there are more than `most`.
    """
    wanted = commit if parent is None else f"{parent}..{commit}"
    number = 1 if parent is None else most + 1
    found = list(_commits(_run("log", f"--max-count={number}", _FORMAT, wanted, "--", about=wanted)))
    if len(found) > most:
        raise UsageError(f"there are more than {most} commits since {parent}", hint="register a build in between")
    return found[::-1]


def _commits(text: str) -> Iterator[LoggedCommit]:
    for record in text.split(_RECORD):
        if record.strip():
            commit, author, committer, message = record.lstrip("\n").split(_FIELD, 3)
            yield LoggedCommit(commit, tuple(dict.fromkeys((author, committer, *_TOGETHER.findall(message)))), message)


def _run(*arguments: str, about: str) -> str:
    done = _git(*arguments)
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise UsageError(
            f"git knows no `{about}` here{f': {told}' if told else ''}", hint="is all of the history fetched?"
        )
    return done.stdout.decode("utf-8", "replace")


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        # No shell, and what the user typed is a whole hash by now or stands behind `--end-of-options`.
        command = ["git", *arguments]
        return subprocess.run(command, capture_output=True, timeout=_WITHIN_S, check=False)  # noqa: S603
    except FileNotFoundError:
        raise UsageError("the command `git` is not there", hint="say by options what it would have told") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git did not answer within {_WITHIN_S} s") from None
