"""`greenroom integrations`: the gates of other tools that ask the release policy."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from greenroom.cli.arguments import Limit
from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out
from greenroom.cli.command import command
from greenroom.cli.errors import UsageError
from greenroom.cli.files import read_text
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.times import shown

group = typer.Typer(help="Gates of other tools: GitHub, GitLab, Azure Pipelines, Flagger.", no_args_is_help=True)

Kind = Literal["github", "gitlab", "azure", "flagger"]
IntegrationKey = Annotated[str, typer.Argument(metavar="INTEGRATION", help="The integration's key.")]


@command(group, "list")
def list_integrations(session: Session) -> None:
    """List the integrations, never their secrets."""
    found = session.api.get(session.project_path("integrations")).body
    rows = [
        [
            one["key"],
            one["kind"],
            one["service"],
            one["url"] or "",
            "on" if one["enabled"] else "off",
            one["trouble"] or "",
        ]
        for one in found["items"]
    ]
    columns = ("key", "kind", "service", "where", "state", "trouble")
    session.screen.result(found, table(columns, rows), keys=[one["key"] for one in found["items"]])


@command(group, "create")
def create_integration(
    session: Session,
    integration: IntegrationKey,
    kind: Annotated[Kind, typer.Option(help="What asks.")],
    service: Annotated[str, typer.Option(help="The service that is asked about, where nothing else is said.")],
    place: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ENVIRONMENT",
            help="What an environment of theirs is here; `NAME=SERVICE/ENVIRONMENT/SLOT` says all. Repeat it.",
        ),
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="URL", help="Where it is, if not at its usual place.")] = None,
    account: Annotated[
        str | None, typer.Option(help="The GitHub App's id, or the GitLab project's id or path.")
    ] = None,
    represented_as: Annotated[str | None, typer.Option(help="The group that a GitLab bot approves for.")] = None,
    secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the secret that verifies what comes in; `-` reads it.")
    ] = None,
    credential_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds what lets us in there: a private key or a token.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Make an integration. Secrets come from files, so that no process list shows them."""
    body: dict[str, Any] = {"key": integration, "kind": kind, "service": service}
    body["places"] = dict(_place(one) for one in place or [])
    given = {"url": at, "account": account, "represented_as": represented_as}
    body |= {name: value for name, value in given.items() if value is not None}
    for name, file in (("secret", secret_file), ("credential", credential_file)):
        if file is not None:
            body[name] = read_text(file).strip()
    made = session.api.create(session.project_path("integrations"), body, dry_run=dry_run).body
    told = f"`{integration}` could be created" if dry_run else f"`{integration}` is there"
    session.screen.result(made, told, keys=[integration])


@command(group, "delete")
def delete_integration(
    session: Session, integration: IntegrationKey, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """Delete an integration; what waits there is not answered any more."""
    path = session.project_path("integrations", integration)

    def make(dry_run: bool) -> Any:
        return session.api.change("DELETE", path, if_match="*", dry_run=dry_run, is_repeatable=True).body

    body = carry_out(session, Proposal(f"delete the integration `{integration}`", make), Consent(yes, dry_run))
    if not dry_run:
        session.screen.result(body, f"`{integration}` is deleted")


@command(group, "requests")
def list_requests(session: Session, integration: IntegrationKey, limit: Limit = None) -> None:
    """List what an integration was asked, newest first: what waits, why, and what was answered."""
    page = session.api.pages(session.project_path("integrations", integration, "requests"), limit=limit)
    rows = [
        [
            shown(one["created_at"]),
            one["service"],
            "/".join(filter(None, (one["environment"], one["slot"]))),
            (one["digest"] or one["commit"] or "")[:19],
            one["state"],
            one["verdict"] or "",
            one["last_error"] or "",
            one["decision"] or "",
        ]
        for one in page["items"]
    ]
    columns = ("asked", "service", "environment", "build", "state", "verdict", "trouble", "decision")
    session.screen.result(page, table(columns, rows), keys=[one["id"] for one in page["items"]])


def _place(text: str) -> tuple[str, dict[str, str]]:
    name, equals, place = text.partition("=")
    parts = place.split("/")
    if not (name and equals and all(parts)) or len(parts) > 3:
        raise UsageError(f"`{text}` is no place", hint="as `live=production`, `live=checkout/production/green`")
    if len(parts) == 1:
        return name, {"environment": parts[0]}
    service, environment, *slot = parts
    return name, {"service": service, "environment": environment, **({"slot": slot[0]} if slot else {})}
