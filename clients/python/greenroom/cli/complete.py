"""What the shell offers after Tab: names from the server, quickly or not at all."""

from collections.abc import Callable, Iterator

import typer

from greenroom.cli.api import path_of
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
    return _matching(ctx, incomplete, lambda session: path_of("projects"))


def environments(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the project's environments."""
    return _matching(ctx, incomplete, lambda session: session.project_path("environments"))


def flags(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the project's flags."""
    return _matching(ctx, incomplete, lambda session: session.project_path("flags"))


def segments(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the project's segments."""
    return _matching(ctx, incomplete, lambda session: session.project_path("segments"))


def _matching(ctx: typer.Context, incomplete: str, path: Callable[[Session], str]) -> list[str]:
    return [key for key in _keys(ctx, path) if key.startswith(incomplete)]


def _keys(ctx: typer.Context, path: Callable[[Session], str]) -> Iterator[str]:
    given = ctx.params
    asked = Asked(given.get("profile"), given.get("url"), given.get("project"), given.get("environment"))
    try:
        with Session(asked, Screen(is_quiet=True), timeout_s=_PATIENCE_S) as session:
            where = path(session)
            page = (
                session.api.get(where).body
                if where.endswith("/environments")
                else session.api.pages(where, limit=_MOST)
            )
            yield from (one["key"] for one in page["items"])
    except CommandError:
        return  # Tab is no place to complain
