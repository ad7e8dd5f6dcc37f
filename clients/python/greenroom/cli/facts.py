"""What people and pipelines say beside evidence: demonstrations, parity, obstacles."""

from typing import Annotated, Any

import typer

from greenroom.cli.arguments import Slot
from greenroom.cli.command import Needs, command
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.subject import Digest, checked_digest
from greenroom.cli.times import moment, shown

At = Annotated[str | None, typer.Option(metavar="MOMENT", help="When it was so; now, if left out.")]
Link = Annotated[str | None, typer.Option(help="Where people find more.")]
FactId = Annotated[str, typer.Argument(metavar="ID", help="Its id.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands to those of `evidence.py`."""
    command(group, "demo", needs=Needs.ENVIRONMENT)(tell_demo)
    command(group, "accept")(accept_demo)
    command(group, "parity", needs=Needs.ENVIRONMENT)(tell_parity)
    command(group, "obstacle")(tell_obstacle)
    command(group, "obstacles")(list_obstacles)
    command(group, "close")(close_obstacle)


def tell_demo(
    session: Session,
    story: Annotated[list[str], typer.Option(help="A story that was shown; repeat it for more.")],
    audience: Annotated[list[str] | None, typer.Option(help="Who saw it; repeat it for more.")] = None,
    slot: Slot = None,
    at: At = None,
    link: Link = None,
) -> None:
    """Tell that stories were shown to customers from an environment. Somebody accepts them: `evidence accept`."""
    made = _tell(
        session,
        "demos",
        {
            "stories": story,
            "audience": audience or [],
            "environment": session.environment,
            "slot": slot,
            "at": moment(at),
            "url": link,
        },
    )
    session.screen.result(made, f"demonstration {made['id']} of {', '.join(made['stories'])}", keys=[made["id"]])


def accept_demo(
    session: Session,
    demo: FactId,
    role: Annotated[str, typer.Option(help="In which of your roles, such as `product` or `customer`.")],
    comment: Annotated[str, typer.Option(help="What you have to say.")] = "",
) -> None:
    """Accept what was demonstrated."""
    path = session.project_path("demos", demo, "accept")
    made = session.api.change("POST", path, {"role": role, "comment": comment}, is_repeatable=True).body
    session.screen.result(made, f"{', '.join(made['stories'])}: accepted as {role}", keys=[demo])


def tell_parity(
    session: Session,
    of: Annotated[str, typer.Option(metavar="KEY", help="The environment that it stands for.")],
    drift: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="A difference; repeat it for more.")] = None,
    at: At = None,
    link: Link = None,
) -> None:
    """Tell how an environment differs from the one that it stands for. Without `--drift` it does not."""
    body = {"environment": session.environment, "of": of, "drift": drift or [], "at": moment(at), "url": link}
    made = _tell(session, "parities", body)
    number = len(made["drift"])
    said = "does not differ" if not number else f"differs in {number}"
    session.screen.result(made, f"{made['environment']} {said} from {of}", keys=[made["id"]])


def tell_obstacle(
    session: Session,
    text: Annotated[str, typer.Argument(help="What is in the way.")],
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only for this service.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Only there.")] = None,
    digest: Digest = None,
    kind: Annotated[str, typer.Option(metavar="KEY", help="What rules that ignore some kinds go by.")] = "obstacle",
    link: Link = None,
) -> None:
    """Tell what stands in the way of releases, until somebody closes it."""
    body = {
        "text": text,
        "service": service,
        "environment": environment,
        "digest": None if digest is None else checked_digest(digest),
        "kind": kind,
        "url": link,
    }
    made = _tell(session, "obstacles", body)
    session.screen.result(made, f"obstacle {made['id']} is open", keys=[made["id"]])


def list_obstacles(
    session: Session, everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False
) -> None:
    """List the obstacles that are open, newest first."""
    page = session.api.pages(session.project_path("obstacles"), open=None if everything else "true")
    rows = [
        [one["id"], one["text"], one["service"], one["environment"], shown(one["at"]), one["ended_because"]]
        for one in page["items"]
    ]
    columns = ("id", "obstacle", "service", "environment", "since", "closed because")
    session.screen.result(page, table(columns, rows), keys=[one["id"] for one in page["items"]])
    if not rows:
        session.screen.say("nothing is in the way")


def close_obstacle(
    session: Session, obstacle: FactId, reason: Annotated[str, typer.Option(help="How it was resolved.")] = ""
) -> None:
    """Close an obstacle: it is in the way no longer."""
    made = session.api.change("POST", session.project_path("obstacles", obstacle, "close"), {"reason": reason}).body
    session.screen.result(made, f"obstacle {obstacle} is closed", keys=[obstacle])


def _tell(session: Session, plural: str, body: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in body.items() if value is not None}
    made: dict[str, Any] = session.api.create(session.project_path(plural), given).body
    return made
