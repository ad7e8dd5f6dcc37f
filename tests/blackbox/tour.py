"""The commands of a Markdown section as a reader would type them, and what the text promises that they print.

In fenced `console` blocks a line that begins with `$ ` is a command (`> ` continues it) and the lines after it are its
output, in which `…` stands for anything.
"""

import os
import re
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANSWERED_WITHIN_S = 20.0


@dataclass(frozen=True)
class Step:
    """One command; `line` is where it stands in the file."""

    line: int
    command: str
    expected: str

    def __str__(self) -> str:
        return f"line {self.line}: $ {self.command}"

    def accepts(self, output: str) -> bool:
        """Whether this is what the text promises; a text that promises nothing accepts no output."""
        parts = (re.escape(part) for part in self.expected.strip().split("…"))
        return re.fullmatch(".*".join(parts), output.strip(), re.DOTALL) is not None


def section_of(markdown: str, title: str) -> tuple[int, str]:
    """The number of the line after the heading, and the text up to the next heading of that rank."""
    lines = markdown.splitlines(keepends=True)
    begin = lines.index(f"## {title}\n") + 1
    end = next((at for at in range(begin, len(lines)) if lines[at].startswith("## ")), len(lines))
    return begin + 1, "".join(lines[begin:end])


def steps_of(markdown: str, title: str) -> list[Step]:
    """All commands of the section, in order."""
    first_line, text = section_of(markdown, title)
    steps: list[Step] = []
    for fence in _FENCE.finditer(text):
        if fence.group(1) in ("console", "sh"):
            line = first_line + text.count("\n", 0, fence.start(2))
            steps += _steps_in(fence.group(2).splitlines(), line)
    return steps


def code_of(markdown: str, title: str, language: str) -> list[str]:
    """The section's blocks in another language."""
    _, text = section_of(markdown, title)
    return [fence.group(2) for fence in _FENCE.finditer(text) if fence.group(1) == language]


def _steps_in(lines: list[str], first_line: int) -> Iterator[Step]:
    at = 0
    while at < len(lines):
        line = first_line + at
        assert lines[at].startswith("$ "), f"line {line}: `{lines[at]}` comes before any command"
        command = [lines[at][2:]]
        expected: list[str] = []
        at += 1
        while at < len(lines) and not lines[at].startswith("$ "):
            is_continued = lines[at].startswith("> ") and not expected
            (command if is_continued else expected).append(lines[at][2:] if is_continued else lines[at])
            at += 1
        yield Step(line, "\n".join(command), "\n".join(expected))


class Shell:
    """One bash for the whole tour, so that what a command sets is there for the next."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """The command's exit status and all that it printed."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        mark = uuid.uuid4().hex
        stdin.write(f"{command}\nprintf '\\n%s %d\\n' {mark} $?\n")
        stdin.flush()
        impatience = threading.Timer(_ANSWERED_WITHIN_S, self._process.kill)
        impatience.start()
        try:
            printed: list[str] = []
            for line in stdout:
                if line.startswith(mark):
                    return int(line.split()[1]), "".join(printed)[:-1]
                printed.append(line)
        finally:
            impatience.cancel()
        raise AssertionError(f"`{command}` did not end within {_ANSWERED_WITHIN_S:g} s; it printed {printed}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(5)
