"""`greenroom projects` and `greenroom environments`."""

from typing import Annotated, Literal

import typer

from greenroom.cli.arguments import Limit
from greenroom.cli.asking import DryRun
from greenroom.cli.command import Needs, command
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.times import shown

group = typer.Typer(help="Projects.", no_args_is_help=True)
environments = typer.Typer(help="A project's environments, from the first stage to the last.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option(help="What people call it; the key, if left out.")]


@command(group, "list", needs=Needs.SERVER)
def list_projects(session: Session, limit: Limit = None) -> None:
    """List the projects that this token may see."""
    page = session.api.pages("/api/v1/projects", limit=limit)
    rows = [[one["key"], one["name"], one["description"]] for one in page["items"]]
    session.screen.result(page, table(["key", "name", "description"], rows), keys=[one["key"] for one in page["items"]])


@command(group, "create", needs=Needs.SERVER)
def create_project(
    session: Session,
    project: Annotated[str, typer.Argument(help="The project's key; it is never given out twice.")],
    name: Name = None,
    description: Annotated[str, typer.Option(help="What it is.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Create a project, without environments."""
    body = {"key": project, "name": name or project, "description": description}
    made = session.api.create("/api/v1/projects", body, dry_run=dry_run).body
    session.screen.result(made, f"`{project}` could be created" if dry_run else f"`{project}` is there", keys=[project])


@command(environments, "list")
def list_environments(session: Session) -> None:
    """List the environments, and which revision each serves."""
    page = session.api.get(session.project_path("environments")).body
    rows = [
        [one["key"], one["name"], one["tier"], one["production_like"], one["revision"], shown(one["published_at"])]
        for one in page["items"]
    ]
    columns = ("key", "name", "tier", "like production", "revision", "published")
    session.screen.result(page, table(columns, rows), keys=[one["key"] for one in page["items"]])


@command(environments, "create")
def create_environment(
    session: Session,
    environment: Annotated[str, typer.Argument(help="The environment's key; it is never given out twice.")],
    tier: Annotated[Literal["development", "staging", "production"], typer.Option(help="What it is for.")],
    name: Name = None,
    production_like: Annotated[
        bool, typer.Option("--production-like", help="What holds here may be expected of production.")
    ] = False,
    position: Annotated[int | None, typer.Option(min=0, max=99, help="Its place among the stages; last.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Create an environment, in which every flag is dark."""
    body = {"key": environment, "name": name or environment, "tier": tier, "production_like": production_like}
    body |= {} if position is None else {"position": position}
    made = session.api.create(session.project_path("environments"), body, dry_run=dry_run).body
    said = f"`{environment}` could be created" if dry_run else f"`{environment}` is there, and dark"
    session.screen.result(made, said, keys=[environment])
