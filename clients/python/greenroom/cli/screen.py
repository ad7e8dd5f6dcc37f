"""What a command shows: tables and sentences for people, JSON for machines, keys alone with `--quiet`.

Results go to standard output, everything else to standard error. Texts of users are shown as they are: no markup is
read in them, and control characters, which could move a terminal's cursor, are made visible.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from greenroom.cli.errors import CommandError
from greenroom.cli.problems import particulars

# Lines of a pipe are as long as they need to be.
_ENDLESS: Final = 10_000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Part = str | Text | Table | Tree
Shown = Part | Iterable[Part]
Cell = str | Text | int | float | bool | None


class Screen:
    """Where a command's output goes; `is_json` and `is_quiet` are what the user asked for."""

    def __init__(self, *, is_json: bool = False, is_quiet: bool = False) -> None:
        self.is_json = is_json
        self.is_quiet = is_quiet
        self._out = _console(sys.stdout.isatty(), to_errors=False)
        self._err = _console(sys.stderr.isatty(), to_errors=True)

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody to answer a question."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def result(self, body: Any, shown: Shown, *, keys: Iterable[str] = ()) -> None:
        """The command's result: `body` for machines, `shown` for people, `keys` line by line with `--quiet`."""
        if self.is_json:
            self.json(body)
        elif self.is_quiet:
            for key in keys:
                self.line(key)
        else:
            for one in (shown,) if isinstance(shown, str | Text | Table | Tree) else shown:
                self.show(one)

    def json(self, body: Any, *, is_line: bool = False) -> None:
        """A document, or a line of a stream of them."""
        sys.stdout.write(json.dumps(body, ensure_ascii=False, indent=None if is_line else 2) + "\n")
        sys.stdout.flush()

    def show(self, one: RenderableType) -> None:
        """For people, on standard output."""
        _print(self._out, one)

    def line(self, text: str) -> None:
        """A bare line on standard output."""
        sys.stdout.write(visible(text) + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """What happened, in words, on standard error; not with `--quiet`."""
        if not self.is_quiet:
            self._err.print(visible(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """What somebody should know, on standard error."""
        self._err.print(Text.assemble(("warning: ", "yellow"), visible(text)), soft_wrap=True)

    def review(self, one: RenderableType) -> None:
        """What is about to happen, on standard error, so that the result stays alone on standard output."""
        _print(self._err, one)

    def fail(self, error: CommandError) -> None:
        """Why the command ends: in words, or with `--json` the problem document."""
        if self.is_json:
            own = {"type": "about:blank", "title": type(error).__name__, "detail": error.detail}
            self._err.file.write(json.dumps(error.problem or own, ensure_ascii=False) + "\n")
            return
        self._err.print(Text.assemble(("error: ", "bold red"), visible(error.detail)), soft_wrap=True)
        for line in particulars(error.problem or {}):
            self._err.print(Text(f"  {visible(line)}"), soft_wrap=True)
        if error.hint:
            self._err.print(Text.assemble(("hint: ", "cyan"), visible(error.hint)), soft_wrap=True)

    def confirm(self, question: str) -> bool:
        """Ask on standard error; no is the default."""
        with _interruptible():
            return typer.confirm(visible(question), default=False, err=True)

    def ask(self, what: str, *, is_hidden: bool = False) -> str:
        """Ask for a text on standard error; what is hidden is not shown while it is typed."""
        with _interruptible():
            return str(typer.prompt(what, hide_input=is_hidden, err=True))

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that work is going on, if somebody is watching."""
        if self.is_quiet or not self._err.is_terminal:
            yield
            return
        with self._err.status(visible(what)):
            yield


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    """A table without lines, which is easy to read and to cut; its first column is never broken."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for number, name in enumerate(columns):
        made.add_column(Text(name), overflow="fold", no_wrap=number == 0)
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def facts(pairs: Mapping[str, Cell]) -> Table:
    """Names and values, one pair a line; what is not there is left out."""
    made = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    for name, value in pairs.items():
        if value not in (None, ""):
            made.add_row(Text(name, style="dim"), _cell(value))
    return made


def visible(text: str) -> str:
    """The text with control characters made visible; tabs and line ends stay."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C at a question is Ctrl-C."""
    try:
        yield
    except typer.Abort:
        raise KeyboardInterrupt from None


def _cell(value: Cell) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text(visible(str(value)))


def _print(console: Console, one: RenderableType) -> None:
    made = visible(one) if isinstance(one, str) else one
    if console.is_terminal:
        console.print(made, soft_wrap=isinstance(made, str | Text))
        return
    with console.capture() as captured:  # a table's padding is of no use in a pipe
        console.print(made, soft_wrap=isinstance(made, str | Text))
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _console(is_terminal: bool, *, to_errors: bool) -> Console:
    return Console(
        stderr=to_errors,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if is_terminal else _ENDLESS,
        force_terminal=None if is_terminal else False,
        color_system="auto" if is_terminal else None,
    )
