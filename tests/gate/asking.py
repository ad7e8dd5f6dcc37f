"""A project of its own on a server, whose policy wants every report of this repository's tests."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.blackbox.authoring import Author
from tests.blackbox.cli.terminal import Terminal
from tests.blackbox.decisions.scene import put_in_force
from tests.blackbox.server_process import ServerProcess

ROOT: Final = Path(__file__).resolve().parents[2]
# The reports that `make test` writes, and the kind of evidence that each is. The policy wants all of them.
REPORTS: Final = {"unit": "test.unit", "rest": "test.component"}
ME: Final = "greenroom"
_SCRIPT: Final = Path(sys.executable).with_name("greenroom")
# Pipelines' own variables would name their run, and their summary would get this decision.
PIPELINES: Final = ("GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "JENKINS_URL", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")


def policy() -> dict[str, Any]:
    """The entire suite passed against the wheel, and nothing is in the way."""
    return {
        "schema": "release-policy/v1",
        "name": ME,
        "time_zone": "UTC",
        "environments": {"production": {"order": 10, "tier": "production"}},
        "suites": {suite: {"kind": kind, "bind": "digest", "max_age": "1d"} for suite, kind in REPORTS.items()},
        "rules": [
            {"id": "suite", "kind": "suites", "condition": "C1", "actions": ["deploy", "release"], "max_attempts": 1},
            {"id": "shown", "kind": "demo", "condition": "C2", "actions": ["release"]},
            {"id": "clear", "kind": "obstacles", "condition": "C3", "actions": ["deploy", "release"]},
        ],
    }


def unexpected(folder: Path) -> list[str]:
    """Reports in the folder that the policy says nothing about."""
    return sorted(file.name for file in folder.glob("*.xml") if file.stem not in REPORTS)


def wheel_in(folder: Path) -> Path:
    """This tree's wheel, built without network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = folder.glob("*.whl")
    return wheel


class Asking:
    """Sets the server up, and asks as a pipeline would: by the real command, a process for each step."""

    def __init__(self, server: ServerProcess, scratch: Path) -> None:
        token = server.set_up()
        with Author(server.url, token) as author:
            project = f"/api/v1/projects/{ME}"
            author.project(ME, "production")
            author.send("POST", f"{project}/services", {"key": ME, "name": "Greenroom"})
            put_in_force(author, project, policy())
            pipeline = author.token("pipeline", projects=[ME])
        where = {"GREENROOM_URL": server.url, "GREENROOM_PROJECT": ME, "GREENROOM_SERVICE": ME}
        where |= {"GREENROOM_ENVIRONMENT": "production", "GREENROOM_TOKEN": pipeline, "GIT_DIR": str(ROOT / ".git")}
        self._pipeline = Terminal(_SCRIPT, scratch, {**where, **dict.fromkeys(PIPELINES, "")})
        self._build = ("--artifact", str(wheel_in(scratch / "dist")))
        self._pipeline.run("build", "register", *self._build).expect(0)

    def about(self, folder: Path, run: str = "1") -> int:
        """Send the reports that are there, and ask; the gate's exit code. What it says is printed."""
        for suite, kind in REPORTS.items():
            report = folder.resolve() / f"{suite}.xml"
            if not report.exists():
                print(f"{report.name} is not there", file=sys.stderr)
                continue
            told = ("--kind", kind, "--suite", suite, *self._build, "--run-id", run)
            print(self._pipeline.run("evidence", "add", str(report), *told).expect(0).out, end="")
        decided = self._pipeline.run("gate", "check", *self._build)
        print(decided.out + decided.err, end="")
        return decided.code
