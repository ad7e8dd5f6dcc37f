"""The command line put together: every group and command, in the order in which help lists them."""

from typing import Annotated

import typer

from greenroom.cli import (
    audit,
    break_glass,
    builds,
    changes,
    deployments,
    documents,
    evaluate,
    evidence,
    flags,
    gate,
    guardrails,
    integrations,
    judgements,
    login,
    policy,
    projects,
    releases,
    segments,
    services,
    tail,
    tokens,
    views,
    watch,
)
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
    app.add_typer(projects.group, name="projects")
    app.add_typer(projects.environments, name="environments")
    app.add_typer(flags.group, name="flags")
    app.add_typer(segments.group, name="segments")
    app.add_typer(changes.group, name="changes")
    evaluate.add_to(app)
    documents.add_to(app)
    watch.add_to(app)
    tail.add_to(app)
    views.add_to(app)
    audit.add_to(app)
    app.add_typer(gate.group, name="gate")
    app.add_typer(policy.group, name="policy")
    app.add_typer(guardrails.group, name="guardrails")
    app.add_typer(services.group, name="services")
    app.add_typer(services.stories, name="stories")
    app.add_typer(builds.group, name="build")
    app.add_typer(evidence.group, name="evidence")
    app.add_typer(deployments.group, name="deployment")
    app.add_typer(releases.group, name="release")
    judgements.add_to(app)
    app.add_typer(integrations.group, name="integrations")
    app.add_typer(break_glass.group, name="break-glass")
    app.add_typer(tokens.group, name="tokens")
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
