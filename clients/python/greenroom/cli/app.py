"""The command line put together: every group and command, in the order in which help lists them."""

from typing import Annotated

import typer

from greenroom.cli import documents, flags, login
from greenroom.version import VERSION


def make_app() -> typer.Typer:
    """The whole of it."""
    app = typer.Typer(
        name="greenroom",
        help="Deploy dark, and let the business decide when a feature goes live.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_root)
    login.add_to(app)
    app.add_typer(flags.group, name="flags")
    documents.add_to(app)
    return app


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda wanted: _show_version(wanted), is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """What stands before the command's name."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit
