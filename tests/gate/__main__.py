"""The last step of `make check`: the release policy is asked about this very tree.

    python -m tests.gate FOLDER

A real server takes in this tree's wheel, its commit and every report that `make test` left in FOLDER, by the real
command, and `greenroom gate check` decides. Ends with its exit code: 0 allow, 10 wait (a report is missing), 20 deny
(one is red); with 2 if FOLDER holds a report that nobody expects.
"""

import sys
import tempfile
from pathlib import Path

from tests.blackbox.server_process import ServerProcess
from tests.gate.asking import ROOT, Asking, unexpected


def main(folder: Path) -> int:
    """Ask, and tell what came out."""
    if strangers := unexpected(folder):
        print(f"no suite is said to be in {', '.join(strangers)}: see tests/gate/asking.py", file=sys.stderr)
        return 2
    if not (ROOT / ".git").exists():
        print("not asked: what is decided on is a commit, and there is no git repository", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as scratch, ServerProcess(Path(scratch) / "data") as server:
        return Asking(server, Path(scratch)).about(folder)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
