"""Files that the user names; `-` is standard input."""

import sys
from pathlib import Path

from greenroom.cli.errors import UsageError


def read_bytes(file: Path) -> bytes:
    """What is in the file; raises UsageError if it cannot be read or is empty."""
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    if not content.strip():
        raise UsageError(f"{'standard input' if str(file) == '-' else file} is empty")
    return content


def read_text(file: Path) -> str:
    """The same as text."""
    try:
        return read_bytes(file).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8") from None
