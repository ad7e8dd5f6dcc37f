"""What ends a command before it is done, with its exit code.

CommandError                1   refused: by the server (4xx), or by the person who was asked
├── UsageError              2   the command cannot be carried out as it was typed
├── Unreachable             3   no answer, one that says "not now" (429, 5xx), or one that cannot be read
├── NothingThere            4   no such thing, or none that this token may see
├── ChangesPending          5   `--check` found differences
├── ReleaseWaits            10  the release policy wants something first before the flag may be lit
└── ReleaseDenied           20  the release policy does not let the flag be lit

A command that decides something may end with codes of its own from 10 on: raise `typer.Exit`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

OK: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
NOTHING_THERE: Final = 4
CHANGES_PENDING: Final = 5
WAITS: Final = 10
DENIED: Final = 20
INTERRUPTED: Final = 130


class CommandError(Exception):
    """it was refused

    `problem` is the server's problem document, if it sent one; `hint` says what to do next.
    """

    exit_code: ClassVar[int] = REFUSED

    def __init__(self, detail: str, *, problem: Mapping[str, Any] | None = None, hint: str = "") -> None:
        self.detail = detail
        self.problem = problem
        self.hint = hint
        super().__init__(detail)


class UsageError(CommandError):
    """it cannot be carried out as it was typed"""

    exit_code = USAGE


class Unreachable(CommandError):
    """there was no answer that can be used"""

    exit_code = UNREACHABLE


class NothingThere(CommandError):
    """there is no such thing"""

    exit_code = NOTHING_THERE


class ChangesPending(CommandError):
    """what is there differs from what is wanted"""

    exit_code = CHANGES_PENDING


class ReleaseWaits(CommandError):
    """the release policy wants something first"""

    exit_code = WAITS


class ReleaseDenied(CommandError):
    """the release policy does not allow it"""

    exit_code = DENIED
