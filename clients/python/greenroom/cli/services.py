"""`greenroom services` and `greenroom stories`: what is built as one, and what customers are to get."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from greenroom.cli import story_progress
from greenroom.cli.arguments import Limit
from greenroom.cli.asking import DryRun, Yes, agree
from greenroom.cli.command import Needs, command
from greenroom.cli.screen import facts, table
from greenroom.cli.session import Session
from greenroom.cli.times import length, shown

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
    report: Annotated[
        str | None, typer.Option(metavar="ID", help="The readiness report to go by, else the newest that was kept.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="To `deployment` without a report that says so.")] = False,
    yes: Yes = False,
) -> None:
    """Decide how builds get into an environment: the business decides (delivery), by themselves (deployment), or not at
    all (hold). Asks first, but not for hold. For deployment there must be a report: `gate readiness --keep`.
    """
    path = session.project_path("services", service, "environments", session.environment, "mode")
    if not yes and mode != "hold":
        agree(session.screen, f"{service} in {session.environment}: mode {mode}")
    body = {"mode": mode, "reason": reason, "report": report, "force": force}
    made = session.api.change("PUT", path, body, is_repeatable=True).body
    session.screen.result(made, f"{service} in {session.environment}: {made['mode']}", keys=[service])


@command(group, "figures", needs=Needs.ENVIRONMENT)
def show_figures(
    session: Session,
    service: ServiceKey,
    days: Annotated[int, typer.Option(min=1, max=366, help="The period, up to now.")] = 30,
) -> None:
    """Show how a service is delivered: deployments and releases apart, lead time, failures, time to restore."""
    path = session.project_path("services", service, "figures")
    found = session.api.get(path, environment=session.environment, days=days).body
    failure, restore = found["change_failure"], found["time_to_restore"]
    rows = {
        "deployments": _often(found["deployments"]),
        "rollbacks": _often(found["rollbacks"]),
        "failed to deploy": _often(found["failed_deployments"]),
        "releases (flags)": _often(found["releases"]),
        "build to live": _lengths(found["lead_time"]),
        "live to released": _lengths(found["dark_time"]),
        "change failures": "none" if failure["percent"] is None else f"{failure['failed']} ({failure['percent']} %)",
        "time to restore": _lengths(restore) + (f", {restore['open']} open" if restore["open"] else ""),
    }
    title = f"{service} in {found['environment']}, {days} days up to {shown(found['until'])}"
    session.screen.result(found, (title, facts(rows)), keys=[service])


def _often(found: Mapping[str, Any]) -> str:
    return f"{found['count']} ({found['per_week']} a week)"


def _lengths(found: Mapping[str, Any]) -> str:
    if not found["count"]:
        return "none"
    return f"half within {length(found['p50_s'])}, nine of ten within {length(found['p90_s'])} (of {found['count']})"


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
