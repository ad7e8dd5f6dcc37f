"""Makes a function that takes a `Session` a command: it gets the common options, and its errors become exit codes.

group = typer.Typer(help="Look after things.", no_args_is_help=True)

@command(group, "list", needs=Needs.PROJECT)
def list_things(session: Session, limit: Limit = None) -> None:
    "List the things."
    page = session.api.pages(session.project_path("things"), limit=limit)
    session.screen.result(page, table(["key"], ([one["key"]] for one in page["items"])))
"""

import inspect
from collections.abc import Callable
from enum import Enum
from functools import wraps
from typing import Annotated, Any

import typer

from greenroom.cli import complete
from greenroom.cli.api import TIMEOUT_S
from greenroom.cli.errors import CommandError
from greenroom.cli.place import ENVIRONMENT, PROFILE, PROJECT, URL, Asked
from greenroom.cli.screen import Screen
from greenroom.cli.session import Session

_PANEL = "Common options"

Profile = Annotated[
    str | None,
    typer.Option(
        help=f"The login to use, else {PROFILE}.",
        rich_help_panel=_PANEL,
        autocompletion=complete.profiles,
    ),
]
Url = Annotated[str | None, typer.Option(help=f"The server, else {URL}.", rich_help_panel=_PANEL)]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        "-p",
        help=f"The project, else {PROJECT}.",
        rich_help_panel=_PANEL,
        autocompletion=complete.projects,
    ),
]
Environment = Annotated[
    str | None,
    typer.Option(
        "--environment",
        "-e",
        help=f"The environment, else {ENVIRONMENT}.",
        rich_help_panel=_PANEL,
        autocompletion=complete.environments,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's own JSON.", rich_help_panel=_PANEL)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print keys only, or nothing.", rich_help_panel=_PANEL)]
Timeout = Annotated[
    float,
    typer.Option(min=0.1, max=600, metavar="SECONDS", help="How long to wait for an answer.", rich_help_panel=_PANEL),
]


class Needs(Enum):
    """What a command is about, and so which of the common options it has."""

    SERVER = "server"
    PROJECT = "project"
    ENVIRONMENT = "environment"


def _of_server(
    profile: Profile = None,
    url: Url = None,
    timeout: Timeout = TIMEOUT_S,
    json: Json = False,
    quiet: Quiet = False,
) -> tuple[Asked, Screen, float]:
    return Asked(profile, url), Screen(is_json=json, is_quiet=quiet), timeout


def _of_project(project: Project = None, **given: Any) -> tuple[Asked, Screen, float]:
    asked, screen, timeout = _of_server(**given)
    return Asked(asked.profile, asked.url, project), screen, timeout


def _of_environment(
    project: Project = None, environment: Environment = None, **given: Any
) -> tuple[Asked, Screen, float]:
    asked, screen, timeout = _of_server(**given)
    return Asked(asked.profile, asked.url, project, environment), screen, timeout


_READERS: dict[Needs, Callable[..., tuple[Asked, Screen, float]]] = {
    Needs.SERVER: _of_server,
    Needs.PROJECT: _of_project,
    Needs.ENVIRONMENT: _of_environment,
}


def command(
    group: typer.Typer, name: str, *, needs: Needs = Needs.PROJECT
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the function to the group under this name; its first parameter is the session, the others are typer's."""

    def register(run: Callable[..., None]) -> Callable[..., None]:
        group.command(name)(_runner(run, needs))
        return run

    return register


def _runner(run: Callable[..., None], needs: Needs) -> Callable[..., None]:
    common = _common_parameters(needs)
    _, *own = inspect.signature(run, eval_str=True).parameters.values()
    read = _READERS[needs]

    @wraps(run)
    def start(**given: Any) -> None:
        asked, screen, timeout_s = read(**{one.name: given.pop(one.name) for one in common})
        try:
            with Session(asked, screen, timeout_s=timeout_s) as session:
                run(session, **given)
        except CommandError as error:
            screen.fail(error)
            raise typer.Exit(error.exit_code) from None

    # What typer reads: the function's own parameters, then the common ones.
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *common)]
    start.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    start.__annotations__ = {one.name: one.annotation for one in parameters}
    return start


def _common_parameters(needs: Needs) -> list[inspect.Parameter]:
    found = {
        one.name: one
        for reader in (_READERS[needs], _of_server)
        for one in inspect.signature(reader).parameters.values()
        if one.kind is not inspect.Parameter.VAR_KEYWORD
    }
    return list(found.values())
