"""`greenroom flags`: list, show, create, and what becomes of a flag as a whole."""

import json
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from greenroom.cli import sentences, serving
from greenroom.cli.arguments import FlagKey, Limit
from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out
from greenroom.cli.command import command
from greenroom.cli.errors import UsageError
from greenroom.cli.screen import facts, table
from greenroom.cli.session import Session

group = typer.Typer(help="Author flags, and say who gets them where.", no_args_is_help=True)
serving.add_to(group)

Purpose = Literal["release", "experiment", "operational", "permission"]
Lifecycle = Literal["dark", "testing", "rolling_out", "released", "stale", "archived"]
FlagType = Literal["boolean", "string", "integer", "float", "object"]
Tracked = Literal["none", "counts", "subjects"]

_REACH_STYLES = {"none": "", "some": "yellow", "all": "green"}


@command(group, "list")
def list_flags(
    session: Session,
    tag: Annotated[list[str] | None, typer.Option(help="Only flags with this tag; repeat it for more.")] = None,
    purpose: Annotated[Purpose | None, typer.Option(help="Only flags for this.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only flags of this owner.")] = None,
    lifecycle: Annotated[Lifecycle | None, typer.Option(help="Only flags that are this far.")] = None,
    text: Annotated[str | None, typer.Option(help="Only flags with this in key, name or description.")] = None,
    limit: Limit = None,
) -> None:
    """List flags, and how each stands in every environment. Archived ones only with `--lifecycle archived`."""
    query = {"tag": tag, "purpose": purpose, "owner": owner, "lifecycle": lifecycle, "text": text}
    page = session.api.pages(session.project_path("flags"), limit=limit, **query)
    flags = page["items"]
    environments = list(dict.fromkeys(one["environment"] for flag in flags for one in flag["environments"]))
    rows = [[flag["key"], flag["lifecycle"], *_standing(flag, environments), flag["owner"]] for flag in flags]
    shown = table(["key", "lifecycle", *environments, "owner"], rows)
    session.screen.result(page, shown, keys=[flag["key"] for flag in flags])
    if page["next_cursor"] is not None:
        session.screen.say("there are more")


@command(group, "show")
def show_flag(session: Session, flag: FlagKey) -> None:
    """Show a flag, and in sentences who gets what in each environment.

    The JSON is the flag as the API gives it, with `configurations` by environment.
    """
    body = session.api.get(session.project_path("flags", flag)).body
    keys = [one["environment"] for one in body["environments"]]
    found = {key: session.api.get(session.project_path("environments", key, "flags", flag)).body for key in keys}
    shown: list[Any] = [Text(body["key"], style="bold"), *([body["description"]] if body["description"] else [])]
    shown.append(facts(_facts(body)))
    for key, configuration in found.items():
        first, *others = sentences.configuration(configuration)
        shown += ["", Text.assemble((key, "bold"), f": {first}"), *others]
    session.screen.result({**body, "configurations": found}, shown, keys=[body["key"]])


@command(group, "create")
def create_flag(
    session: Session,
    flag: Annotated[str, typer.Argument(help="The flag's key; it is never given out twice.")],
    purpose: Annotated[Purpose, typer.Option(help="What it is for.")],
    type: Annotated[FlagType, typer.Option(help="The type of its values.")] = "boolean",  # noqa: A002
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    description: Annotated[str, typer.Option(help="What it does.")] = "",
    owner: Annotated[str, typer.Option(help="Who looks after it.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; repeat it for more.")] = None,
    story: Annotated[list[str] | None, typer.Option(help="A story whose code hides behind it.")] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A variant, its value as JSON (a string flag's as it is)."),
    ] = None,
    expires_on: Annotated[
        str | None, typer.Option(metavar="DATE", help="When it should be gone; release and experiment flags need it.")
    ] = None,
    client_visible: Annotated[bool, typer.Option("--client-visible", help="Browsers and apps may see it.")] = False,
    track_exposures: Annotated[Tracked, typer.Option(help="What is reported of who was served.")] = "counts",
    dry_run: DryRun = False,
) -> None:
    """Create a flag. It is dark everywhere until it is enabled."""
    body = {
        "key": flag,
        "purpose": purpose,
        "type": type,
        "name": name,
        "description": description,
        "owner": owner,
        "tags": tag or [],
        "stories": story or [],
        "client_visible": client_visible,
        "track_exposures": track_exposures,
        **({} if expires_on is None else {"expires_on": expires_on}),
        **({} if not variant else {"variants": dict(_variant(one, type) for one in variant)}),
    }
    made = session.api.create(session.project_path("flags"), body, dry_run=dry_run).body
    said = f"`{flag}` could be created" if dry_run else f"`{flag}` is there, and dark everywhere"
    session.screen.result(made, said, keys=[flag])


@command(group, "update")
def update_flag(
    session: Session,
    flag: FlagKey,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    description: Annotated[str | None, typer.Option(help="What it does.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who looks after it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Its tags from now on; repeat it for more.")] = None,
    story: Annotated[list[str] | None, typer.Option(help="Its stories from now on; repeat it for more.")] = None,
    purpose: Annotated[Purpose | None, typer.Option(help="What it is for.")] = None,
    expires_on: Annotated[str | None, typer.Option(metavar="DATE", help="When it should be gone.")] = None,
    client_visible: Annotated[
        bool | None, typer.Option("--client-visible/--not-client-visible", help="May browsers and apps see it?")
    ] = None,
    track_exposures: Annotated[Tracked | None, typer.Option(help="What is reported of who was served.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Change what a flag is in all environments alike: its names, tags, expiry, and what is reported."""
    given = {
        "name": name,
        "description": description,
        "owner": owner,
        "tags": tag or None,
        "stories": story or None,
        "purpose": purpose,
        "expires_on": expires_on,
        "client_visible": client_visible,
        "track_exposures": track_exposures,
    }
    patch = {member: value for member, value in given.items() if value is not None}
    if not patch:
        raise UsageError("nothing to change", hint="`greenroom flags update --help` lists what can be")
    path = session.project_path("flags", flag)
    etag = session.api.get(path).etag

    def make(dry_run: bool) -> Any:
        return session.api.change("PATCH", path, patch, if_match=etag, dry_run=dry_run).body

    title = f"update `{flag}`"
    body = carry_out(session, Proposal(title, make), Consent(yes=False, dry_run=dry_run, must_ask=False))
    if not dry_run:
        session.screen.result(body, f"done: {title}")


@command(group, "archive")
def archive_flag(session: Session, flag: FlagKey, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Take a flag out of every snapshot; applications then get their own default. It can be restored."""
    _end(session, ("POST", f"archive `{flag}`", "archive"), flag, Consent(yes, dry_run))


@command(group, "restore")
def restore_flag(session: Session, flag: FlagKey, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Bring an archived flag back, as it was."""
    _end(session, ("POST", f"restore `{flag}`", "restore"), flag, Consent(yes, dry_run))


@command(group, "delete")
def delete_flag(session: Session, flag: FlagKey, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete an archived flag for good; its key is never given out again."""
    _end(session, ("DELETE", f"delete `{flag}` for good", None), flag, Consent(yes, dry_run))


def _end(session: Session, verb: tuple[str, str, str | None], flag: str, consent: Consent) -> None:
    method, title, action = verb
    path = session.project_path("flags", flag)
    etag = session.api.get(path).etag
    where = path if action is None else f"{path}/{action}"

    def make(dry_run: bool) -> Any:
        return session.api.change(method, where, if_match=etag, dry_run=dry_run).body

    body = carry_out(session, Proposal(title, make), consent)
    if not consent.dry_run:
        session.screen.result(body, f"done: {title}")


def _standing(flag: dict[str, Any], environments: list[str]) -> list[Text]:
    found = {one["environment"]: one for one in flag["environments"]}
    return [_stand(found[key]) if key in found else Text("") for key in environments]


def _stand(one: dict[str, Any]) -> Text:
    return Text(f"on, {one['reach']}", _REACH_STYLES.get(one["reach"], "")) if one["enabled"] else Text("off", "dim")


def _facts(flag: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": flag["name"],
        "purpose": flag["purpose"],
        "lifecycle": flag["lifecycle"],
        "owner": flag["owner"],
        "tags": ", ".join(flag["tags"]),
        "stories": ", ".join(flag["stories"]),
        "expires": flag["expires_on"],
        "archived": flag["archived_at"],
        "type": flag["type"],
        "variants": ", ".join(f"{name} = {json.dumps(value)}" for name, value in flag["variants"].items()),
        "browsers": "may see it" if flag["client_visible"] else None,
        "tracked": flag["track_exposures"],
        **{one["title"]: one["url"] for one in flag["links"]},
    }


def _variant(text: str, flag_type: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"`{text}` is no variant: write NAME=VALUE")
    if flag_type == "string":
        return name, value
    try:
        read = json.loads(value)
    except ValueError:
        raise UsageError(f"the value of variant `{name}` is no JSON: `{value}`") from None
    # A float is written with a point on the wire.
    return name, float(read) if flag_type == "float" and isinstance(read, int) and not isinstance(read, bool) else read
