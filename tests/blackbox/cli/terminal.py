"""The console script as a person or a machine runs it."""

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.blackbox.server_process import surroundings
from typer.testing import CliRunner

from greenroom.cli.app import make_app

ENDED_WITHIN_S = 30.0
CTRL_C = "\x03"


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it wrote."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def expect(self, code: int) -> Self:
        assert self.code == code, f"{self.command} ended with {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"
        assert "Traceback" not in self.err, self.err
        return self

    @property
    def body(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


class Terminal:
    """Runs commands with a configuration folder of its own and these variables."""

    def __init__(self, script: Path, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.script = script
        self.folder = folder
        self.variables = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder), **(variables or {})}

    def having(self, **variables: str) -> "Terminal":
        """The same with more variables."""
        return Terminal(self.script, self.folder, {**self.variables, **variables})

    def write(self, name: str, content: Any) -> Path:
        """A file beside the configuration: text, or anything else as JSON."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def run(self, *arguments: str, stdin: str = "") -> Ended:
        """Run to the end, where nobody can be asked."""
        done = subprocess.run(
            [str(self.script), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self._environment,
            cwd=self.folder,
            timeout=ENDED_WITHIN_S,
        )
        return Ended(arguments, done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """What the command prints with `--json`; it must succeed."""
        return self.run(*arguments, "--json", stdin=stdin).expect(0).body

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command that goes on by itself."""
        return subprocess.Popen(
            [str(self.script), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
            cwd=self.folder,
        )

    def converse(self, *arguments: str, answers: Mapping[str, str | Callable[[], str]]) -> Ended:
        """Run where a person sits: each text that is printed and is a key of `answers` is answered once, with what is
        given or comes out of a call. Ctrl-C is pressed again while nothing happens: pressed between a question and the
        reading of its answer, it is noticed only at the next key.
        """
        mine, theirs = pty.openpty()
        process = subprocess.Popen(
            [str(self.script), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self._environment | {"TERM": "dumb", "COLUMNS": "200"},
            cwd=self.folder,
            preexec_fn=lambda: os.login_tty(0),  # so that Ctrl-C reaches the process
        )
        os.close(theirs)
        written, waiting, is_interrupted = "", dict(answers), False
        deadline = time.monotonic() + ENDED_WITHIN_S
        try:
            while time.monotonic() < deadline:
                if not select.select([mine], [], [], 0.5)[0]:
                    if is_interrupted:
                        os.write(mine, CTRL_C.encode())
                    continue
                try:
                    read = os.read(mine, 4096)
                except OSError:  # the other end is closed
                    break
                if not read:
                    break
                written += read.decode()
                for question in [one for one in waiting if one in written]:
                    given = waiting.pop(question)
                    answer = given if isinstance(given, str) else given()
                    is_interrupted = answer == CTRL_C
                    os.write(mine, answer.encode())
            return Ended(arguments, process.wait(5), written.replace("\r\n", "\n"), "")
        finally:
            process.kill()
            process.wait(5)
            os.close(mine)

    @property
    def _environment(self) -> dict[str, str]:
        return surroundings({}) | self.variables


class Inside:
    """Runs commands in this process, which is quicker; the same answers, but for what the process does at its end."""

    def __init__(self, **variables: str) -> None:
        # Empty ones are as good as none: nothing of this process's own environment is meant.
        nothing = dict.fromkeys(("PROFILE", "URL", "TOKEN", "PROJECT", "ENVIRONMENT"), "")
        self.variables = {f"GREENROOM_{name}": value for name, value in nothing.items()} | variables

    def having(self, **variables: str) -> "Inside":
        """The same with more variables."""
        return Inside(**{**self.variables, **variables})

    def run(self, *arguments: str, stdin: str = "") -> Ended:
        """Run to the end, where nobody can be asked."""
        done = CliRunner().invoke(make_app(), arguments, input=stdin, env=self.variables)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ended(arguments, done.exit_code, done.stdout, done.stderr)

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """What the command prints with `--json`; it must succeed."""
        return self.run(*arguments, "--json", stdin=stdin).expect(0).body
