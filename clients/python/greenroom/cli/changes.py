"""`greenroom changes`: ask for changes, agree to them, apply them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from greenroom.cli.arguments import Limit
from greenroom.cli.asking import Consent, DryRun, Yes, agree
from greenroom.cli.command import Needs, command
from greenroom.cli.differences import lines
from greenroom.cli.errors import CommandError, UsageError
from greenroom.cli.files import read_text
from greenroom.cli.screen import Part, facts, table
from greenroom.cli.session import Session
from greenroom.cli.times import moment, shown

group = typer.Typer(
    help="Change requests: what is asked for, who agrees, and when it is applied.", no_args_is_help=True
)

State = Literal["draft", "open", "approved", "applied", "rejected", "withdrawn", "expired", "conflicted"]
Number = Annotated[int, typer.Argument(min=1, help="The change request's number.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Role = Annotated[str | None, typer.Option(help="The role that is spoken in; a pipeline must name it.")]
Request = Annotated[
    str | None, typer.Option("--request", metavar="TITLE", help="Do not do it: ask for it, where others must agree.")
]

_STYLES = {"approved": "green", "applied": "bold green", "rejected": "red", "conflicted": "red", "open": "yellow"}
_ENDED = {"approve": "approves", "reject": "is against it"}


@command(group, "list", needs=Needs.ENVIRONMENT)
def list_changes(
    session: Session,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Limit = None,
) -> None:
    """List the change requests of an environment, newest first."""
    page = session.api.pages(session.environment_path("change-requests"), limit=limit, state=state)
    rows = [
        [one["number"], _state(one["state"]), one["title"], one["author"], shown(one["updated_at"])]
        for one in page["items"]
    ]
    body = table(["number", "state", "title", "author", "last touched"], rows)
    session.screen.result(page, body, keys=[str(one["number"]) for one in page["items"]])


@command(group, "show", needs=Needs.ENVIRONMENT)
def show_change(session: Session, number: Number) -> None:
    """Show a change request: what it changes, who agrees, and what is missing."""
    body = session.api.get(_path(session, number)).body
    session.screen.result(body, list(_described(body)), keys=[str(number)])


@command(group, "open", needs=Needs.ENVIRONMENT)
def open_change(
    session: Session,
    title: Annotated[str, typer.Argument(help="What it is, in a few words.")],
    reason: Reason = "",
    enable: Annotated[
        list[str] | None, typer.Option(metavar="FLAG", help="Switch a flag on; repeat it for more.")
    ] = None,
    disable: Annotated[list[str] | None, typer.Option(metavar="FLAG", help="Switch a flag off.")] = None,
    rollout: Annotated[
        list[str] | None, typer.Option(metavar="FLAG=PERCENT", help="Serve a flag to a share of the people.")
    ] = None,
    changes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON list of changes as the API takes them; `-` is standard input."),
    ] = None,
    apply_at: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="Apply it then, if all holds: `2h` ahead, a day, or a moment.")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Do not show it to others yet.")] = False,
    on_behalf_of: Annotated[str | None, typer.Option(metavar="PERSON", help="For whom a pipeline asks.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Ask for changes in `--environment`."""
    wanted = [
        *({"op": "enable", "flag": one} for one in enable or ()),
        *({"op": "disable", "flag": one} for one in disable or ()),
        *(_rollout(one) for one in rollout or ()),
        *(_read(changes) if changes is not None else ()),
    ]
    if not wanted:
        raise UsageError("nothing to ask for", hint="`--enable`, `--disable`, `--rollout` or `--changes`")
    more = {"apply_at": moment(apply_at, is_ahead=True), "on_behalf_of": on_behalf_of}
    body = {"title": title, "reason": reason, "changes": wanted, "draft": draft}
    ask_for(session, {**body, **{name: value for name, value in more.items() if value is not None}}, dry_run=dry_run)


@command(group, "approve", needs=Needs.ENVIRONMENT)
def approve_change(session: Session, number: Number, reason: Reason = "", role: Role = None, yes: Yes = False) -> None:
    """Agree to a change request as it is now, after a look at it."""
    body = session.api.get(_path(session, number)).body
    if not yes:
        for part in _described(body):
            session.screen.review(part)
        agree(session.screen, f"approve change request {number}")
    # INVARIANT: what is approved is what was shown: an edit in between makes another hash.
    word = {"hash": body["hash"], "reason": reason, **({} if role is None else {"role": role})}
    _act(session, number, "approve", word)


@command(group, "reject", needs=Needs.ENVIRONMENT)
def reject_change(
    session: Session, number: Number, reason: Annotated[str, typer.Option(help="Why.")], role: Role = None
) -> None:
    """Be against a change request, until you take that back."""
    _act(session, number, "reject", {"reason": reason, **({} if role is None else {"role": role})})


@command(group, "retract", needs=Needs.ENVIRONMENT)
def retract_word(session: Session, number: Number, reason: Reason = "") -> None:
    """Take back what you said of a change request."""
    _act(session, number, "retract", {"reason": reason})


@command(group, "withdraw", needs=Needs.ENVIRONMENT)
def withdraw_change(session: Session, number: Number, reason: Reason = "") -> None:
    """Ask no longer for a change request."""
    _act(session, number, "withdraw", {"reason": reason})


@command(group, "publish", needs=Needs.ENVIRONMENT)
def publish_change(session: Session, number: Number) -> None:
    """Open a draft, so that others can agree."""
    _act(session, number, "open", None)


@command(group, "schedule", needs=Needs.ENVIRONMENT)
def schedule_change(
    session: Session,
    number: Number,
    at: Annotated[str, typer.Argument(metavar="MOMENT", help="`2h` ahead, a day, a moment, or `never`.")],
) -> None:
    """Apply a change request at a moment, by your right, if everything holds then."""
    _act(session, number, "schedule", {"apply_at": None if at == "never" else moment(at, is_ahead=True)})


@command(group, "apply", needs=Needs.ENVIRONMENT)
def apply_change(session: Session, number: Number, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Apply a change request that is approved, all of it or nothing. Asks first."""
    path = _path(session, number)
    found = session.api.get(path)
    consent = Consent(yes, dry_run)
    if not consent.yes and not consent.dry_run:
        for part in _described(found.body):
            session.screen.review(part)
        agree(session.screen, f"apply change request {number} to `{session.environment}`")
    made = session.api.change("POST", f"{path}/apply", if_match=found.etag, dry_run=dry_run).body
    body = made["result"] if dry_run else made
    said = f"change request {number} could be applied" if dry_run else f"change request {number} is applied"
    session.screen.result(made, [said, *lines(body["diff"])], keys=[str(number)])


@command(group, "settings", needs=Needs.ENVIRONMENT)
def settings(
    session: Session,
    required: Annotated[int | None, typer.Option(min=0, max=10, help="How many others must agree; 0: nobody.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Each in one of these roles; repeat it for more.")] = None,
    headless: Annotated[list[str] | None, typer.Option(help="A role in which a pipeline may agree too.")] = None,
    expires_after: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="How long an approval holds: `7d`.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; needed to ask for less than before.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Show what `--environment` asks for before it serves something else, or change that."""
    path = session.environment_path("approval-settings")
    found = session.api.get(path)
    given = {"required": required, "roles": role, "headless": headless, "expires_after": expires_after}
    patch = {name: value for name, value in given.items() if value is not None}
    body = found.body
    if patch:
        patch |= {} if reason is None else {"reason": reason}
        made = session.api.change("PATCH", path, patch, if_match=found.etag, dry_run=dry_run).body
        body = made["result"] if dry_run else made
    pairs = {
        "others who must agree": body["required"],
        "in the roles": ", ".join(body["roles"]) or "any",
        "pipelines in the roles": ", ".join(body["headless"]) or "none",
        "an approval holds for": body["expires_after"],
    }
    session.screen.result(body, [Text(body["environment"], style="bold"), facts(pairs)], keys=[body["environment"]])


def ask_for(session: Session, body: dict[str, Any], *, dry_run: bool = False) -> None:
    """Open a change request, and say what to do next."""
    made = session.api.create(session.environment_path("change-requests"), body, dry_run=dry_run).body
    request = made["result"] if dry_run else made
    if dry_run:
        session.screen.result(made, ["it could be asked for", *lines(request["diff"])])
        return
    number, where = request["number"], session.environment
    said: list[Part] = [f"change request {number} is {request['state']}", *lines(request["diff"])]
    session.screen.result(request, said, keys=[str(number)])
    if request["state"] == "open":
        session.screen.say(f"somebody else agrees with `greenroom changes approve {number} --environment {where}`")


def where_others_must_agree(error: CommandError, session: Session, command_line: str) -> CommandError:
    """The same error, telling how to ask for the change; other errors as they are."""
    if (error.problem or {}).get("code") != "approval_required":
        return error
    hint = f'ask for it: `greenroom {command_line} --environment {session.environment} --request "TITLE"`'
    return CommandError(error.detail, problem=error.problem, hint=hint)


def _act(session: Session, number: int, verb: str, body: Any) -> None:
    made = session.api.change("POST", f"{_path(session, number)}/{verb}", body).body
    session.screen.result(made, list(_headline(made)), keys=[str(number)])


def _described(body: dict[str, Any]) -> Iterator[Part]:
    yield from _headline(body)
    pairs = {
        "by": ", ".join(body["editors"]),
        "why": body["reason"] or None,
        "applied at": None if body["apply_at"] is None else shown(body["apply_at"]),
        "held": None if body["held"] is None else f"{body['held']['detail']} ({body['held']['code']})",
        "against": ", ".join(body["against"]) or None,
        "changed since": ", ".join(body["conflicts"]) or None,
        "expires": None if body["ended_at"] is not None else shown(body["expires_at"]),
    }
    yield facts(pairs)
    yield from lines(body["diff"])
    for word in body["words"]:
        if word["retracted_at"] is None:
            because = f": {word['reason']}" if word["reason"] else ""
            note = "" if word["counts"] else " (does not count)"
            yield Text(f"{word['who']} {_ENDED[word['verdict']]}{note}{because}")


def _headline(body: dict[str, Any]) -> Iterator[Part]:
    yield Text.assemble((f"{body['number']} {body['title']}", "bold"), ": ", _state(body["state"]))
    for one in body["wanted"]:
        if one["required"]:
            roles = f" in the roles {', '.join(one['roles'])}" if one["roles"] else ""
            yield Text(f"{one['environment']}: {one['have']} of {one['required']} agree{roles}")


def _state(state: str) -> Text:
    return Text(state, style=_STYLES.get(state, "dim"))


def _path(session: Session, number: int) -> str:
    return session.environment_path("change-requests", str(number))


def _rollout(text: str) -> dict[str, Any]:
    flag, equals, percent = text.partition("=")
    try:
        share = float(percent)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageError(f"`{text}` is no rollout: write FLAG=PERCENT")
    return {"op": "rollout", "flag": flag, "rollout": {"percent": share, "enable": True}}


def _read(file: Path) -> list[Any]:
    try:
        found = json.loads(read_text(file))
    except ValueError:
        raise UsageError(f"{file} holds no JSON") from None
    if not isinstance(found, list):
        raise UsageError(f"{file} holds no list of changes")
    return found
