"""`greenroom break-glass`: the way through in an emergency, by two people, once, and reviewed by a third."""

from typing import Annotated, Any, Literal

import typer

from greenroom.cli.arguments import Limit
from greenroom.cli.command import Needs, command
from greenroom.cli.errors import UsageError
from greenroom.cli.screen import facts, table
from greenroom.cli.session import Session
from greenroom.cli.subject import Artifact, Digest, Service, one_digest
from greenroom.cli.times import shown, span

group = typer.Typer(
    help="Let one action through in spite of rules, once: open, confirm, and review it afterwards.",
    no_args_is_help=True,
)

GlassId = Annotated[str, typer.Argument(metavar="ID", help="The break-glass's id, which `open` prints.")]


@command(group, "open", needs=Needs.ENVIRONMENT)
def open_break_glass(
    session: Session,
    service: Service,
    reason: Annotated[str, typer.Option(help="Why the rules cannot be kept.")],
    ticket: Annotated[str, typer.Option(help="Where the emergency is written down.")],
    action: Annotated[
        Literal["deploy", "switch", "release", "rollback"], typer.Option(help="What is to be let through.")
    ] = "deploy",
    digest: Digest = None,
    artifact: Artifact = None,
    ttl: Annotated[str, typer.Option(metavar="SPAN", help="For how long at most.")] = "1h",
) -> None:
    """Open one, for one action on one build, in a role that the policy names. Another person confirms it."""
    minutes = int(span(ttl).total_seconds() // 60)
    if minutes < 1:
        raise UsageError("it is open for a minute at least: `--ttl 1h`")
    body = {
        "service": service,
        "environment": session.environment,
        "action": action,
        "digest": one_digest(digest, artifact),
        "reason": reason,
        "ticket": ticket,
        "ttl_minutes": minutes,
    }
    made = session.api.create(session.project_path("break-glass"), body).body
    _show(session, made)
    if made["state"] == "open":
        session.screen.say(f"another person confirms it: greenroom break-glass confirm {made['id']}")


@command(group, "confirm")
def confirm_break_glass(
    session: Session, glass: GlassId, comment: Annotated[str, typer.Option(help="What you looked at.")] = ""
) -> None:
    """Stand for it too, as another person. From then on it lets through what it is for, once."""
    _show(session, _told(session, glass, "confirm", {"comment": comment}))


@command(group, "withdraw")
def withdraw_break_glass(
    session: Session, glass: GlassId, reason: Annotated[str, typer.Option(help="Why.")] = ""
) -> None:
    """Take one back that was not used."""
    _show(session, _told(session, glass, "withdraw", {"reason": reason}))


@command(group, "review")
def review_break_glass(
    session: Session,
    glass: GlassId,
    findings: Annotated[str, typer.Option(help="What happened, and what is done so that it is not needed again.")],
) -> None:
    """Write down what came of it, as somebody who did not stand for it. Overdue reviews hold everything up."""
    _show(session, _told(session, glass, "review", {"findings": findings}))


@command(group, "list")
def list_break_glasses(
    session: Session,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only of this service.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Only there.")] = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only what is neither reviewed nor withdrawn.")] = False,
    limit: Limit = 20,
) -> None:
    """List them, newest first."""
    query = {"service": service, "environment": environment, "open": "true" if is_open else None}
    page = session.api.pages(session.project_path("break-glass"), limit=limit, **query)
    rows = [
        [
            one["id"],
            "overdue" if one["is_overdue"] else one["state"],
            one["action"],
            one["service"],
            one["environment"],
            one["digest"][:19],
            one["opened_by"],
            one["ticket"],
            shown(one["opened_at"]),
        ]
        for one in page["items"]
    ]
    columns = ("id", "state", "action", "service", "environment", "digest", "by", "ticket", "opened")
    session.screen.result(page, table(columns, rows), keys=[one["id"] for one in page["items"]])


@command(group, "show")
def show_break_glass(session: Session, glass: GlassId) -> None:
    """Show one: who stands for it, what it let through, and the review."""
    _show(session, session.api.get(session.project_path("break-glass", glass)).body)


def _told(session: Session, glass: str, verb: str, body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = session.api.change("POST", session.project_path("break-glass", glass, verb), body).body
    return made


def _show(session: Session, one: dict[str, Any]) -> None:
    stands = [one["opened_by"], *(other["person"] for other in one["confirmed_by"])]
    pairs = {
        "id": one["id"],
        "state": f"{one['state']} (overdue)" if one["is_overdue"] else one["state"],
        "for": f"{one['action']} {one['service']} {one['digest'][:19]} in {one['environment']}",
        "reason": f"{one['reason']} ({one['ticket']})",
        "stand for it": f"{', '.join(stands)} ({len(stands)} of {one['needs']})",
        "until": shown(one["until"]),
        "used by": one["used_by"],
        "review until": shown(one["review_due"]) if one["review_due"] else None,
        "review": f"{one['findings']} ({one['ended_by']})" if one["findings"] else None,
    }
    session.screen.result(one, facts(pairs), keys=[one["id"]])
