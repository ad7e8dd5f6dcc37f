"""What people say on releases: `approve`, `reject`, `veto`, `waive` and `withdraw`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from greenroom.cli.command import Needs, command
from greenroom.cli.errors import UsageError
from greenroom.cli.session import Session
from greenroom.cli.subject import Artifact, Digest, checked_digest, subject_of
from greenroom.cli.times import moment

Action = Annotated[Literal["deploy", "switch", "release", "rollback"], typer.Option(help="Which action it is about.")]
Flag = Annotated[str | None, typer.Option(help="The flag, for `release`.")]
Audience = Annotated[str | None, typer.Option(help="Who is to get it, for `release`.")]
Service = Annotated[str | None, typer.Option("--service", "-s", help="Only for this service.")]
Reason = Annotated[str, typer.Option(help="Why.")]
_PLURALS = {"approval": "approvals", "veto": "vetoes", "waiver": "waivers"}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "approve", needs=Needs.ENVIRONMENT)(approve)
    command(app, "reject", needs=Needs.ENVIRONMENT)(reject)
    command(app, "veto")(veto)
    command(app, "waive", needs=Needs.ENVIRONMENT)(waive)
    command(app, "withdraw")(withdraw)


def approve(
    session: Session,
    digest: Digest = None,
    artifact: Artifact = None,
    action: Action = "deploy",
    flag: Flag = None,
    audience: Audience = None,
    reason: Reason = "",
) -> None:
    """Say yes to one action in an environment: on a build by its digest, or on a flag and its audience."""
    _judge(session, "approve", _about(_digest(digest, artifact, action), action, flag, audience), reason)


def reject(
    session: Session,
    digest: Digest = None,
    artifact: Artifact = None,
    action: Action = "deploy",
    flag: Flag = None,
    audience: Audience = None,
    reason: Reason = "",
) -> None:
    """Say no to one action in an environment. It stands, whoever says yes, until you withdraw it."""
    _judge(session, "reject", _about(_digest(digest, artifact, action), action, flag, audience), reason)


def veto(
    session: Session,
    reason: Annotated[str, typer.Option(help="Why.")],
    service: Service = None,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Only there.")] = None,
    digest: Digest = None,
) -> None:
    """Forbid what is named, until you withdraw it. What names no service, environment or digest covers all of them."""
    body = {"service": service, "environment": environment, "digest": _named(digest), "reason": reason}
    made = _say(session, "vetoes", body)
    session.screen.result(made, f"veto {made['id']} stands", keys=[made["id"]])


def waive(
    session: Session,
    rule: Annotated[str, typer.Argument(help="The rule's id in the policy.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    until: Annotated[str, typer.Option(metavar="MOMENT", help="Until when: `2d` ahead, a day, or a moment.")],
    service: Service = None,
    digest: Digest = None,
) -> None:
    """Let one rule not be held against one build or service in one environment, until a moment."""
    named = _named(digest)
    if named is None and service is None:
        raise UsageError("for which build or service?", hint="`--digest sha256:…` or `--service KEY`")
    body = {
        "rule": rule,
        "environment": session.environment,
        "service": service,
        "digest": named,
        "until": moment(until, is_ahead=True),
        "reason": reason,
    }
    made = _say(session, "waivers", body)
    session.screen.result(made, f"waiver {made['id']} of {rule} until {made['until']}", keys=[made["id"]])


def withdraw(
    session: Session,
    kind: Annotated[Literal["approval", "veto", "waiver"], typer.Argument(help="What it is.")],
    judgement: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    reason: Reason = "",
) -> None:
    """Take back an approval or rejection, a veto or a waiver."""
    path = session.project_path(_PLURALS[kind], judgement, "withdraw")
    made = session.api.change("POST", path, {"reason": reason}).body
    session.screen.result(made, f"the {kind} is withdrawn", keys=[judgement])


def _digest(digest: str | None, artifact: Path | None, action: str) -> str | None:
    if action == "release" and digest is None and artifact is None:
        return None  # whatever the variable says
    return subject_of(digest, None, artifact).digest


def _named(digest: str | None) -> str | None:
    """Only what was typed: a variable must not make a word narrower than it reads."""
    return None if digest is None else checked_digest(digest)


def _about(digest: str | None, action: str, flag: str | None, audience: str | None) -> dict[str, Any]:
    if action == "release":
        if flag is None or digest is not None:
            raise UsageError("a release is about a flag: say `--flag` and `--audience`, and no digest")
    elif digest is None or flag is not None or audience is not None:
        raise UsageError(f"`{action}` is about a build: say `--digest` or `--artifact`, and no flag")
    return {"action": action, "digest": digest, "flag": flag, "audience": audience}


def _judge(session: Session, verdict: str, about: dict[str, Any], reason: str) -> None:
    body = {"verdict": verdict, "environment": session.environment, "reason": reason, **about}
    made = _say(session, "approvals", body)
    word = "approved" if verdict == "approve" else "rejected"
    what = made["flag"] or made["digest"][:19]
    session.screen.result(
        made, f"{word}: {made['action']} of {what} in {made['environment']} ({made['id']})", keys=[made["id"]]
    )


def _say(session: Session, plural: str, body: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in body.items() if value is not None}
    made: dict[str, Any] = session.api.create(session.project_path(plural), given).body
    return made
