"""`greenroom tokens`: list, create and revoke."""

from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from greenroom.cli.arguments import Limit
from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out
from greenroom.cli.command import Needs, command
from greenroom.cli.errors import UsageError
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.times import moment, shown

group = typer.Typer(help="Credentials of people, pipelines and applications.", no_args_is_help=True)

Kind = Literal["admin", "manager", "developer", "pipeline", "server", "client"]
_OF_ONE_PLACE = ("server", "client")


@command(group, "list", needs=Needs.SERVER)
def list_tokens(session: Session, limit: Limit = None) -> None:
    """List tokens, never their texts."""
    page = session.api.pages("/api/v1/tokens", limit=limit)
    rows = [
        [
            one["id"],
            one["name"],
            one["kind"],
            one["hint"],
            one["state"],
            _reach(one),
            shown(one["last_used_at"]),
            shown(one["expires_at"]),
        ]
        for one in page["items"]
    ]
    columns = ("id", "name", "kind", "hint", "state", "limited to", "last used", "expires")
    session.screen.result(page, table(columns, rows), keys=[one["id"] for one in page["items"]])


@command(group, "create", needs=Needs.SERVER)
def create_token(
    session: Session,
    name: Annotated[str, typer.Argument(help="Whose it is, or what for.")],
    kind: Annotated[Kind, typer.Option(help="What it may do: docs/access.md.")],
    project: Annotated[list[str] | None, typer.Option(help="Limit it to this project; repeat it for more.")] = None,
    environment: Annotated[list[str] | None, typer.Option(help="Limit it to this environment; repeat it.")] = None,
    person: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose word it carries: an e-mail address or account, in small letters."),
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="What the person is in release policies, such as `product`; repeat it.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="When it stops working: `90d`, a day, or a moment.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Create a token. Its text is shown this once, alone on standard output with `--quiet`."""
    body: dict[str, Any] = {"name": name, "kind": kind}
    if kind in _OF_ONE_PLACE:
        body |= {"project": _one("project", project), "environment": _one("environment", environment)}
    else:
        body |= {"projects": project or None, "environments": environment or None}
    if person is not None:
        body |= {"person": person, "roles": role or []}
    if expires is not None:
        body["expires_at"] = moment(expires, is_ahead=True)
    made = session.api.create("/api/v1/tokens", body, dry_run=dry_run).body
    if dry_run:
        session.screen.result(made, "it could be created")
        return
    shown_once = [made["token"]]
    session.screen.result(made, [Text(made["token"])], keys=shown_once)
    session.screen.say(f"token {made['id']} for `{name}`; its text is not shown again")


@command(group, "revoke", needs=Needs.SERVER)
def revoke_token(
    session: Session,
    token: Annotated[str, typer.Argument(metavar="ID", help="The token's id, not its text.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Revoke a token: it stops working everywhere within a second."""
    if token.startswith("gr_"):
        raise UsageError("a token is named by its id, not by its text", hint="`greenroom tokens list` shows the ids")
    path = f"/api/v1/tokens/{token}"
    found = session.api.get(path).body

    def make(dry_run: bool) -> Any:
        return session.api.change("DELETE", path, dry_run=dry_run, is_repeatable=True).body

    body = carry_out(session, Proposal(f"revoke `{found['name']}` ({found['hint']}…)", make), Consent(yes, dry_run))
    if not dry_run:
        session.screen.result(body, f"`{found['name']}` is revoked")


def _one(name: str, given: list[str] | None) -> str:
    if not given or len(given) != 1:
        raise UsageError(f"an SDK key belongs to one {name}: give `--{name}` once")
    return given[0]


def _reach(one: dict[str, Any]) -> str:
    if one["project"] is not None:
        return f"{one['project']}/{one['environment']}"
    return "; ".join(", ".join(one[name]) for name in ("projects", "environments") if one[name] is not None)
