"""`greenroom deployment`: tell what is put where, or run what puts it there and tell how that went."""

import shutil
import subprocess
from typing import Annotated, Any, Final

import typer

from greenroom.cli.arguments import Limit, Slot
from greenroom.cli.command import Needs, command
from greenroom.cli.errors import UsageError
from greenroom.cli.pipeline_run import this_run
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.subject import Artifact, Digest, Service, one_digest
from greenroom.cli.times import shown

group = typer.Typer(help="Deployments: which build runs where, and how it got there.", no_args_is_help=True)

_SIGNALLED: Final = 128
_NOT_EXECUTABLE: Final = 126

DeploymentId = Annotated[str, typer.Argument(metavar="ID", help="The deployment's id, which `start` prints.")]
Permit = Annotated[str | None, typer.Option(metavar="ID", help="The permit, or the decision, that allowed it.")]
Manual = Annotated[int, typer.Option(min=0, max=1000, help="Steps that somebody did by hand, beside the button.")]
Live = Annotated[bool, typer.Option("--live", help="It has the traffic from now on, where there are slots.")]


@command(group, "start", needs=Needs.ENVIRONMENT)
def start_deployment(
    session: Session,
    service: Service,
    digest: Digest = None,
    artifact: Artifact = None,
    slot: Slot = None,
    permit: Permit = None,
    manual_steps: Manual = 0,
) -> None:
    """Tell that a build is being deployed; its id is what `finish` and `fail` take (alone with `--quiet`)."""
    made = _start(session, service, one_digest(digest, artifact), slot, permit, manual_steps)
    session.screen.result(made, f"deployment {made['id']} of {_what(made)} has started", keys=[made["id"]])


@command(group, "finish")
def finish_deployment(session: Session, deployment: DeploymentId, live: Live = False) -> None:
    """Tell that a deployment is done, and runs. What ran there before is gone from then on."""
    made = _told(session, deployment, "finish", {"live": live})
    session.screen.result(made, f"{_what(made)} runs, after {_length(made)}", keys=[made["id"]])


@command(group, "fail")
def fail_deployment(
    session: Session, deployment: DeploymentId, reason: Annotated[str, typer.Option(help="Why.")] = ""
) -> None:
    """Tell that a deployment failed: what ran there before still does."""
    made = _told(session, deployment, "fail", {"reason": reason})
    session.screen.result(made, f"the deployment of {_what(made)} failed", keys=[made["id"]])


@command(group, "live")
def make_live(session: Session, deployment: DeploymentId) -> None:
    """Tell that the slot of a deployment has the traffic from now on, and every other slot has none."""
    made = _told(session, deployment, "live", {})
    session.screen.result(made, f"{_what(made)} is live", keys=[made["id"]])


@command(group, "run", needs=Needs.ENVIRONMENT)
def run_deployment(
    session: Session,
    service: Service,
    program: Annotated[list[str], typer.Argument(metavar="-- COMMAND…", help="What deploys, behind `--`.")],
    digest: Digest = None,
    artifact: Artifact = None,
    slot: Slot = None,
    permit: Permit = None,
    live: Live = False,
) -> None:
    """Run the command that deploys: tell when it starts, and when and how it ends. Ends with the command's exit code.

    `greenroom deployment run --service web --environment staging -- ./deploy.sh staging`
    """
    if shutil.which(program[0]) is None:
        raise UsageError(f"there is no command `{program[0]}`")
    made = _start(session, service, one_digest(digest, artifact), slot, permit, 0)
    session.screen.say(f"deployment {made['id']} of {_what(made)} has started")
    code = _run(program)
    if code == 0:
        ended = _told(session, made["id"], "finish", {"live": live})
        session.screen.say(f"{_what(ended)} runs, after {_length(ended)}")
    else:
        ended = _told(session, made["id"], "fail", {"reason": f"`{program[0]}` ended with {code}"})
        session.screen.say(f"the deployment of {_what(ended)} failed: `{program[0]}` ended with {code}")
    session.screen.result(ended, (), keys=[ended["id"]])
    raise typer.Exit(code)


@command(group, "list")
def list_deployments(
    session: Session,
    service: Service,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Only there.")] = None,
    running: Annotated[bool, typer.Option("--running", help="Only what runs now.")] = False,
    limit: Limit = 20,
) -> None:
    """List the deployments of a service, newest first."""
    path = session.project_path("services", service, "deployments")
    query = {"environment": environment, "running": "true" if running else None}
    page = session.api.pages(path, limit=limit, **query)
    rows = [
        [
            one["id"],
            one["environment"],
            one["slot"],
            one["digest"][:19],
            _state(one),
            shown(one["started_at"]),
            _length(one),
        ]
        for one in page["items"]
    ]
    columns = ("id", "environment", "slot", "digest", "state", "started", "took")
    session.screen.result(page, table(columns, rows), keys=[one["id"] for one in page["items"]])


def _start(
    session: Session, service: str, digest: str, slot: str | None, permit: str | None, manual_steps: int
) -> dict[str, Any]:
    run = this_run()
    known = {"slot": slot, "permit": permit, "run": run.run_id, "url": run.url}
    body = {
        "digest": digest,
        "environment": session.environment,
        "manual_steps": manual_steps,
        **{name: value for name, value in known.items() if value},
    }
    made: dict[str, Any] = session.api.create(session.project_path("services", service, "deployments"), body).body
    return made


def _told(session: Session, deployment: str, verb: str, body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = session.api.change("POST", session.project_path("deployments", deployment, verb), body).body
    return made


def _run(program: list[str]) -> int:
    """The command's exit code, as a shell would give it; 130 if it was interrupted, which it hears of by itself."""
    try:
        with subprocess.Popen(program) as process:  # noqa: S603 (the user's own command as it was typed, and no shell)
            while True:
                try:
                    code = process.wait()
                    break
                except KeyboardInterrupt:
                    continue  # how it ends is to be told
    except OSError:
        return _NOT_EXECUTABLE
    return code if code >= 0 else _SIGNALLED - code


def _what(made: dict[str, Any]) -> str:
    slot = f" ({made['slot']})" if made["slot"] else ""
    return f"{made['service']} {made['digest'][:19]} in {made['environment']}{slot}"


def _state(one: dict[str, Any]) -> str:
    if one["removed_at"] is not None:
        return "removed"
    if one["live"] and one["live"][-1]["live_to"] is None:
        return "live"
    return str(one["state"])


def _length(one: dict[str, Any]) -> str:
    return "" if one["duration_ms"] is None else f"{one['duration_ms'] / 1000:.1f} s"
