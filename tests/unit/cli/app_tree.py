"""Every command of the command line, as typer sees it."""

from collections.abc import Iterator

import typer

from greenroom.cli.app import make_app


def commands(app: typer.Typer | None = None, name: str = "greenroom") -> Iterator[tuple[str, str]]:
    """The full name and the help of each command."""
    app = app or make_app()
    for one in app.registered_commands:
        yield f"{name} {one.name}", (one.callback.__doc__ or "") if one.callback else ""
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{name} {group.name}")
