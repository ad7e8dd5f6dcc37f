"""`greenroom flags`: enable, disable, roll out, compare and copy; what is served where."""

from typing import Annotated, Any

import typer
from rich.text import Text

from greenroom.cli import complete, sentences
from greenroom.cli.arguments import FlagKey
from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out, is_production
from greenroom.cli.changes import Request, ask_for, where_others_must_agree
from greenroom.cli.command import Needs, command
from greenroom.cli.differences import lines
from greenroom.cli.errors import CommandError
from greenroom.cli.session import Session

Source = Annotated[
    str, typer.Option("--from", metavar="KEY", help="The environment to take.", autocompletion=complete.environments)
]


def add_to(group: typer.Typer) -> None:
    """Add the commands to those of `flags.py`."""
    command(group, "enable", needs=Needs.ENVIRONMENT)(enable_flag)
    command(group, "disable", needs=Needs.ENVIRONMENT)(disable_flag)
    command(group, "rollout", needs=Needs.ENVIRONMENT)(roll_out)
    command(group, "diff", needs=Needs.ENVIRONMENT)(diff_environments)
    command(group, "copy", needs=Needs.ENVIRONMENT)(copy_flags)


def enable_flag(
    session: Session, flag: FlagKey, request: Request = None, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """Switch a flag on: its rules decide who gets it. Asks first in production."""
    if request is not None:
        ask_for(session, {"title": request, "changes": [{"op": "enable", "flag": flag}]}, dry_run=dry_run)
        return
    _serve(session, flag, ("enable", f"enable `{flag}`", None), (yes, dry_run))


def disable_flag(session: Session, flag: FlagKey, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Switch a flag off for everybody, at once. Asks first in production."""
    _serve(session, flag, ("disable", f"disable `{flag}`", None), (yes, dry_run))


def roll_out(
    session: Session,
    flag: FlagKey,
    percent: Annotated[float, typer.Argument(min=0, max=100, help="How many of those no rule has decided on.")],
    variant: Annotated[str | None, typer.Option(help="What they get; the live variant, if left out.")] = None,
    bucket_by: Annotated[str | None, typer.Option(help="The attribute that draws them, else `targetingKey`.")] = None,
    enable: Annotated[bool, typer.Option("--enable", help="Switch the flag on as well.")] = False,
    request: Request = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Serve a flag to a share of the people. Nobody who has it loses it when the share grows. Asks in production."""
    body: dict[str, Any] = {"percent": percent, "enable": enable}
    body |= {} if variant is None else {"variant": variant}
    body |= {} if bucket_by is None else {"bucket_by": bucket_by}
    if request is not None:
        ask_for(
            session, {"title": request, "changes": [{"op": "rollout", "flag": flag, "rollout": body}]}, dry_run=dry_run
        )
        return
    _serve(session, flag, ("rollout", f"roll `{flag}` out to {percent:g} %", body), (yes, dry_run))


def diff_environments(session: Session, source: Source) -> None:
    """Compare: what would change in `--environment` if the flags were served as in `--from`?"""
    body = session.api.get(session.environment_path("compare"), **{"from": source}).body
    session.screen.result(body, _differences(body["items"]), keys=[one["flag"] for one in body["items"]])
    if not body["items"]:
        session.screen.say(f"`{session.environment}` serves every flag as `{source}` does")


def copy_flags(
    session: Session,
    source: Source,
    flag: Annotated[
        list[str] | None, typer.Argument(help="The flags; all, if none is named.", autocompletion=complete.flags)
    ] = None,
    include_enabled: Annotated[
        bool, typer.Option("--include-enabled", help="Copy also whether they are on; else that stays as it is.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Serve flags in `--environment` as in `--from`, after a look at what that changes. All are copied or none."""
    wanted: dict[str, Any] = {"from": source, "include_enabled": include_enabled}
    wanted |= {"flags": flag} if flag else {}
    path = session.environment_path("copy")

    def make(dry_run: bool) -> Any:
        return session.api.change("POST", path, wanted, dry_run=dry_run, is_repeatable=True).body

    title = f"copy from `{source}` to `{session.environment}`"
    body = carry_out(session, Proposal(title, make, is_versioned=False), Consent(yes, dry_run))
    if not dry_run:
        items = body["items"]
        said = f"copied {_flags(items)}" if items else "nothing was to be copied"
        session.screen.result(body, said, keys=[one["flag"] for one in items])


def _serve(session: Session, flag: str, verb: tuple[str, str, Any], said: tuple[bool, bool]) -> None:
    """INVARIANT: without `--yes` what is made is what was shown: another's change in between is refused (412)."""
    action, title, body = verb
    yes, dry_run = said
    path = session.environment_path("flags", flag)
    etag = None if yes else session.api.get(path).etag

    def make(dry_run: bool) -> Any:
        return session.api.change(
            "POST", f"{path}/{action}", body, if_match=etag, dry_run=dry_run, is_repeatable=etag is None
        ).body

    consent = Consent(yes, dry_run, must_ask=not yes and not dry_run and is_production(session))
    try:
        made = carry_out(session, Proposal(f"{title} in `{session.environment}`", make), consent)
    except CommandError as error:
        share = "" if body is None else f" {body['percent']:g}"
        raise where_others_must_agree(error, session, f"flags {action} {flag}{share}") from None
    if not dry_run:
        first, *others = sentences.configuration(made)
        session.screen.result(
            made, [Text.assemble((f"{flag} in {made['environment']}", "bold"), f": {first}"), *others]
        )


def _differences(items: list[Any]) -> list[Text]:
    shown: list[Text] = []
    for one in items:
        shown += [Text(one["flag"], style="bold"), *lines(one["differences"])]
    return shown


def _flags(items: list[Any]) -> str:
    return "1 flag" if len(items) == 1 else f"{len(items)} flags"
