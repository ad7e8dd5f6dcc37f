"""`greenroom services` and `greenroom stories`: what is built as one, and what customers are to get."""

from typing import Annotated, Literal

import typer

from greenroom.cli import story_progress
from greenroom.cli.arguments import Limit
from greenroom.cli.asking import DryRun, Yes, agree
from greenroom.cli.command import Needs, command
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.times import shown

group = typer.Typer(help="Services, and how builds of them get into an environment.", no_args_is_help=True)
stories = typer.Typer(help="Stories, and the flags that hide their code.", no_args_is_help=True)

ServiceKey = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's key.")]
StoryKey = Annotated[str, typer.Argument(metavar="STORY", help="The story's key, such as `SHOP-117`.")]


@command(group, "list")
def list_services(session: Session, limit: Limit = None) -> None:
    """List the services, with the mode of each in every environment."""
    page = session.api.pages(session.project_path("services"), limit=limit)
    places = list(dict.fromkeys(one["environment"] for service in page["items"] for one in service["modes"]))
    rows = []
    for service in page["items"]:
        modes = {one["environment"]: one["mode"] for one in service["modes"]}
        rows.append([service["key"], service["name"], *(modes.get(place, "") for place in places)])
    columns = ("key", "name", *places)
    session.screen.result(page, table(columns, rows), keys=[one["key"] for one in page["items"]])


@command(group, "create")
def create_service(
    session: Session,
    service: ServiceKey,
    name: Annotated[str | None, typer.Option(help="What people call it; the key, if left out.")] = None,
    description: Annotated[str, typer.Option(help="What it is.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Create a service: something that is built and deployed as one."""
    body = {"key": service, "name": name or service, "description": description}
    made = session.api.create(session.project_path("services"), body, dry_run=dry_run).body
    session.screen.result(made, f"`{service}` could be created" if dry_run else f"`{service}` is there", keys=[service])


@command(group, "mode", needs=Needs.ENVIRONMENT)
def set_mode(
    session: Session,
    service: ServiceKey,
    mode: Annotated[Literal["delivery", "deployment", "hold"], typer.Argument(help="The mode from now on.")],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    yes: Yes = False,
) -> None:
    """Decide how builds get into an environment: the business decides (delivery), by themselves (deployment), or not at
    all (hold). Asks first, but not for hold.
    """
    path = session.project_path("services", service, "environments", session.environment, "mode")
    if not yes and mode != "hold":
        agree(session.screen, f"{service} in {session.environment}: mode {mode}")
    made = session.api.change("PUT", path, {"mode": mode, "reason": reason}, is_repeatable=True).body
    session.screen.result(made, f"{service} in {session.environment}: {made['mode']}", keys=[service])


@command(stories, "list")
def list_stories(
    session: Session,
    flag: Annotated[str | None, typer.Option(help="Only stories that this flag hides.")] = None,
    text: Annotated[str | None, typer.Option(help="Only stories with this in key or title.")] = None,
    limit: Limit = None,
) -> None:
    """List stories, and the flags that hide their code."""
    page = session.api.pages(session.project_path("stories"), limit=limit, flag=flag, text=text)
    rows = [
        [one["key"], one["title"], ", ".join(one["flags"]), shown(one["reopened_at"]) if one["reopened_at"] else ""]
        for one in page["items"]
    ]
    columns = ("key", "title", "flags", "reopened")
    session.screen.result(page, table(columns, rows), keys=[one["key"] for one in page["items"]])


@command(stories, "set")
def set_story(
    session: Session,
    story: StoryKey,
    title: Annotated[str, typer.Option(help="What it is called.")] = "",
    flag: Annotated[list[str] | None, typer.Option(help="A flag that hides its code; repeat it for more.")] = None,
    link: Annotated[str | None, typer.Option(help="Where it is written down.")] = None,
) -> None:
    """Say what a story is called and which flags hide its code: all of it, a new story too."""
    body = {"title": title, "flags": flag or [], **({} if link is None else {"url": link})}
    made = session.api.change("PUT", session.project_path("stories", story), body, is_repeatable=True).body
    session.screen.result(made, f"{story}: hidden by {', '.join(made['flags']) or 'no flag'}", keys=[story])


@command(stories, "reopen")
def reopen_story(session: Session, story: StoryKey, reason: Annotated[str, typer.Option(help="Why.")] = "") -> None:
    """Say that a story is not done after all: it must be demonstrated again."""
    made = session.api.change("POST", session.project_path("stories", story, "reopen"), {"reason": reason}).body
    session.screen.result(made, f"{story} is open again", keys=[story])


story_progress.add_to(stories)
