"""What the git repository knows that we are in, by the command `git`."""

import subprocess
from typing import Final

from greenroom.cli.errors import UsageError

_WITHIN_S: Final = 60


def resolve(name: str) -> str:
    """The whole hash of a commit. Raises UsageError."""
    return _run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", about=name).strip()


def _run(*arguments: str, about: str) -> str:
    try:
        # No shell, and what the user typed stands behind `--end-of-options` or `..`; the git is the user's own.
        command = ["git", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=_WITHIN_S, check=False)  # noqa: S603
    except FileNotFoundError:
        raise UsageError("the command `git` is not there", hint="say by options what it would have told") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git did not answer within {_WITHIN_S} s") from None
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise UsageError(
            f"git knows no `{about}` here{f': {told}' if told else ''}", hint="is all of the history fetched?"
        )
    return done.stdout.decode("utf-8", "replace")
