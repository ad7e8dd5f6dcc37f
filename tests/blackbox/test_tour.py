"""The README's tour, line by line, against a freshly seeded server: a README that lies fails."""

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.blackbox.server_process import ServerProcess, surroundings
from tests.blackbox.tour import Shell, Step, code_of, steps_of

README = Path(__file__).parents[2] / "README.md"
TITLE = "A five-minute tour"
TITLES = (TITLE, "May this build go?")
ADDRESS = "http://127.0.0.1:8350"
SEEN_WITHIN_S = 2.0


@pytest.fixture(scope="module")
def folder(data_dir_factory: Callable[[], Path]) -> Path:
    """Where the reader's shell is; the server's data lies in it, as `make run` puts it."""
    return data_dir_factory().parent


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    """Seeded and started as `make run` does, but on a port of its own."""
    data = folder / ".greenroom"
    command = [sys.executable, "-m", "greenroom_server", "seed", "--data-dir", str(data)]
    command += ["--tokens", str(data / "shop.env")]
    subprocess.run(command, check=True, env=surroundings({}), timeout=60, stdout=subprocess.DEVNULL)
    with ServerProcess(data) as server:
        yield server


def test_every_command_does_what_the_tour_says(server: ServerProcess, folder: Path) -> None:
    """Every command succeeds and prints what the text shows, in one shell from the tour to the gate."""
    steps = [step for title in TITLES for step in steps_of(README.read_text(), title)]
    installed = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the reader's is `.venv/bin`
    with Shell(folder, **surroundings({"PATH": installed})) as shell:
        for step in steps:
            status, output = run(shell, step, server.url)

            assert status == 0, f"{step}\nended with {status} and printed:\n{output}"
            assert step.accepts(output), f"{step}\nprinted:\n{output}\nwhere the README says:\n{step.expected}"
    assert len(steps) >= 10


def run(shell: Shell, step: Step, url: str) -> tuple[int, str]:
    """A change is felt a moment later: an evaluation is asked again for as long as a reader takes to look up."""
    command = step.command.replace(ADDRESS, url)
    deadline = time.monotonic() + SEEN_WITHIN_S
    while True:
        status, output = shell.run(command)
        output = output.replace(url, ADDRESS)
        if step.accepts(output) or not command.startswith("ask ") or time.monotonic() > deadline:
            return status, output


def test_the_python_in_it_runs(server: ServerProcess, folder: Path) -> None:
    """The application of the tour gets the value that the tour speaks of."""
    key = re.search(r"SERVER_KEY=(\S+)", (folder / ".greenroom" / "shop.env").read_text())
    assert key is not None
    (code,) = code_of(README.read_text(), TITLE, "python")
    *statements, question = code.strip().replace(ADDRESS, server.url).splitlines()
    program = "\n".join([f"SERVER_KEY = {key.group(1)!r}", *statements, f"assert ({question}) is True"])

    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


LYING = textwrap.dedent(
    """
    ## A tour

    ```console
    $ WHO=world
    $ echo "hello $WHO" &&
    > echo again
    hello …
    again
    $ echo true
    ```

    ## More
    """
)


def test_the_runner_finds_lies(tmp_path: Path) -> None:
    """Commands and outputs are told apart, variables last, and output that was not promised is a lie too."""
    steps = steps_of(LYING, "A tour")
    with Shell(tmp_path) as shell:
        outcomes = [(step.line, *shell.run(step.command)) for step in steps]

    assert outcomes == [(5, 0, ""), (6, 0, "hello world\nagain\n"), (10, 0, "true\n")]
    assert [step.accepts(output) for step, (_, _, output) in zip(steps, outcomes, strict=True)] == [True, True, False]
    assert not steps[1].accepts("hello world")
