"""`greenroom audit`: who did what; and how an event of the log is shown."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from greenroom.cli.command import command
from greenroom.cli.differences import lines
from greenroom.cli.people import People
from greenroom.cli.screen import visible
from greenroom.cli.session import Session
from greenroom.cli.times import shown

_MOST_LINES = 12


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "audit")(list_events)


def list_events(
    session: Session,
    actor: Annotated[str | None, typer.Option(metavar="KIND:ID", help="Only what this token did.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this, as `flag.enable`.")] = None,
    target: Annotated[str | None, typer.Option(metavar="PATH", help="Only what was done to this thing.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    everything: Annotated[
        bool, typer.Option("--all", help="Of all projects, and what belongs to none, such as tokens.")
    ] = False,
) -> None:
    """List the changes of a project, newest first: when, by whom, what."""
    path = "/api/v1/audit" if everything else session.project_path("audit")
    page = session.api.pages(path, limit=limit, actor=actor, action=action, target=target)
    people = People(session)
    lines_of_all = (line for event in page["items"] for line in event_lines(event, people))
    session.screen.result(
        page, lines_of_all, keys=[f"{one['at']} {one['action']} {one['target']}" for one in page["items"]]
    )


def event_lines(event: dict[str, Any], people: People) -> Iterator[Text]:
    """One event: when, by whom and what, and below it the differences, the first of many."""
    head = f"{shown(event['at'])}  {people.name(event['actor'])}  "
    yield Text.assemble(visible(head), (visible(event["action"]), "bold"), f"  {visible(thing_of(event['target']))}")
    found = list(lines(event["changes"], indent="    "))
    yield from found[:_MOST_LINES]
    if len(found) > _MOST_LINES:
        yield Text(f"    … and {len(found) - _MOST_LINES} lines more (`--json` has all)", style="dim")


def thing_of(target: str) -> str:
    """A target without what all of them have."""
    path = target.removeprefix("/api/v1/")
    kind, _, rest = path.partition("/")
    return (rest.partition("/")[2] or rest) if kind == "projects" else path
