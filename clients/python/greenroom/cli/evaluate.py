"""`greenroom evaluate`: what a flag serves in a context, and why."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from greenroom.cli.arguments import FlagKey
from greenroom.cli.command import Needs, command
from greenroom.cli.errors import CommandError, UsageError
from greenroom.cli.explanation import outcome, tree_of
from greenroom.cli.session import Session


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "evaluate", needs=Needs.ENVIRONMENT)(evaluate)


def evaluate(
    session: Session,
    flag: FlagKey,
    context: Annotated[str | None, typer.Option(metavar="JSON", help="The context as an object.")] = None,
    key: Annotated[str | None, typer.Option(help="The context's `targetingKey`.")] = None,
    attr: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="An attribute, or `NAME:=JSON`; repeat it for more."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="At this time, as `2026-01-31T12:00:00Z`; now, if left out.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show every step, as a tree.")] = False,
) -> None:
    """Evaluate a flag for a context, and with `--explain` show step by step why.

    By the engine that evaluates for applications; nothing is counted or reported. An SDK key gets what the application
    gets, and no explanation.
    """
    asked = _context(context, key, attr or [])
    if "flags.read" in session.whoami["permissions"]:
        body = {"context": asked} | ({} if at is None else {"at": at})
        made = session.api.ask(session.environment_path("flags", flag, "evaluate"), body).body
        result = made["result"]
    else:
        if explain or at is not None:
            raise UsageError("an SDK key evaluates as an application does: without `--explain` and `--at`")
        made = session.api.ask(f"/ofrep/v1/evaluate/flags/{quote(flag, safe='')}", {"context": asked}).body
        result = {**made, "error_code": None, "metadata": made.get("metadata", {})}
    shown = tree_of(made) if explain else f"{flag}: {outcome(result)}"
    session.screen.result(made, shown, keys=[json.dumps(result["value"], ensure_ascii=False)])
    if result["error_code"] is not None:
        raise CommandError(f"`{flag}` cannot be evaluated in this context: {result['error_code']}")


def _context(text: str | None, key: str | None, attributes: list[str]) -> dict[str, Any]:
    context = {} if text is None else _read(text, "the context")
    if not isinstance(context, dict):
        raise UsageError("the context must be a JSON object")
    if key is not None:
        context["targetingKey"] = key
    for one in attributes:
        name, equals, value = one.partition("=")
        if not equals or not name.removesuffix(":"):
            raise UsageError(f"`{one}` is no attribute: write NAME=TEXT or NAME:=JSON")
        if name.endswith(":"):
            context[name[:-1]] = _read(value, f"the value of `{name[:-1]}`")
        else:
            context[name] = value
    return context


def _read(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{what} is no JSON: {error}") from None
