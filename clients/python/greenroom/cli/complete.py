"""What the shell offers after Tab: names from the server, quickly or not at all."""

from collections.abc import Callable

import typer

from greenroom.cli.api import Answer, path_of
from greenroom.cli.errors import CommandError
from greenroom.cli.place import Asked
from greenroom.cli.profiles import Profiles
from greenroom.cli.screen import Screen
from greenroom.cli.session import Session

_PATIENCE_S = 2.0
_MOST = 200


def profiles(incomplete: str) -> list[str]:
    """The stored logins."""
    return [name for name in Profiles().names() if name.startswith(incomplete)]


def projects(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the projects."""
    return _matching(ctx, incomplete, lambda session: session.api.get(path_of("projects"), limit=_MOST))


def environments(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the project's environments."""
    return _matching(ctx, incomplete, lambda session: session.api.get(session.project_path("environments")))


def flags(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the project's flags."""
    return _matching(ctx, incomplete, lambda session: session.api.get(session.project_path("flags"), limit=_MOST))


def releases(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the project's named releases."""
    return _matching(ctx, incomplete, lambda session: session.api.get(session.project_path("releases"), limit=_MOST))


def segments(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the project's segments."""
    return _matching(ctx, incomplete, lambda session: session.api.get(session.project_path("segments"), limit=_MOST))


def _matching(ctx: typer.Context, incomplete: str, ask: Callable[[Session], Answer]) -> list[str]:
    given = ctx.params
    asked = Asked(given.get("profile"), given.get("url"), given.get("project"), given.get("environment"))
    try:
        with Session(asked, Screen(is_quiet=True), timeout_s=_PATIENCE_S) as session:
            keys = [str(one["key"]) for one in ask(session).body["items"]]
    except CommandError:
        return []  # Tab is no place to complain
    return [key for key in keys if key.startswith(incomplete)]
