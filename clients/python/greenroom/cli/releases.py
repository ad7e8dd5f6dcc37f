"""`greenroom release`: flags that go live together, step by step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from greenroom.cli import complete
from greenroom.cli.arguments import Limit
from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out
from greenroom.cli.command import Needs, command
from greenroom.cli.documents import read_document
from greenroom.cli.errors import UsageError
from greenroom.cli.release_words import audience_of, release, standing
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.times import moment, shown

group = typer.Typer(help="Releases: flags that go live together, step by step.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(metavar="RELEASE", help="The release's key.", autocompletion=complete.releases)]
File = Annotated[Path | None, typer.Option("--file", "-f", help="The plan, JSON or YAML; `-` is standard input.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Force = Annotated[bool, typer.Option("--force", help="Although somebody else changed a flag, or a guardrail warns.")]


@command(group, "list")
def list_releases(
    session: Session,
    state: Annotated[
        Literal["draft", "scheduled", "running", "held", "finished", "aborted", "undone"] | None,
        typer.Option(help="Only those in this state."),
    ] = None,
    where: Annotated[str | None, typer.Option("--in", metavar="ENVIRONMENT", help="Only those there.")] = None,
    limit: Limit = None,
) -> None:
    """List releases, and how far each is."""
    page = session.api.pages(session.project_path("releases"), limit=limit, state=state, environment=where)
    rows = [
        [one["key"], one["environment"], standing(one), shown(one["since"] or one["due_at"]), ", ".join(one["flags"])]
        for one in page["items"]
    ]
    columns = ("key", "environment", "standing", "since or due", "flags")
    session.screen.result(page, table(columns, rows), keys=[one["key"] for one in page["items"]])


@command(group, "show")
def show_release(session: Session, key: Key) -> None:
    """Show a release: its plan, where it stands, and what it waits for."""
    body = session.api.get(_path(session, key)).body
    session.screen.result(body, release(body), keys=[body["key"]])


@command(group, "create", needs=Needs.ENVIRONMENT)
def create_release(
    session: Session,
    key: Annotated[str | None, typer.Argument(metavar="[RELEASE]", help="Its key, unless a file has the plan.")] = None,
    file: File = None,
    flag: Annotated[list[str] | None, typer.Option(help="A flag, or FLAG=VARIANT; repeat it for more.")] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(help="`internal`, `5%`, `segment:KEY` or `everyone`; repeat it for more."),
    ] = None,
    after: Annotated[str | None, typer.Option(metavar="LENGTH", help="How long each step takes: `1h`.")] = None,
    approval: Annotated[str | None, typer.Option(metavar="ROLE", help="Whose word each step wants after it.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Make a release from a plan in a file, or from flags and steps. Nothing starts it yet."""
    path = session.project_path("releases")
    if file is not None:
        if key is not None or flag or step:
            raise UsageError("the file has the plan", hint="give `--file`, or a key with `--flag` and `--step`")
        document, media_type = read_document(file)
        made = session.api.create(path, document, dry_run=dry_run, media_type=media_type).body
    else:
        if key is None or not flag or not step:
            raise UsageError("which flags, in which steps?", hint="a key with `--flag` and `--step`, or `--file`")
        body = {
            "key": key,
            "environment": session.environment,
            "flags": [_flag(one) for one in flag],
            "steps": _steps(step, after, approval),
        }
        made = session.api.create(path, body, dry_run=dry_run).body
    found = made["result"] if dry_run else made
    said = f"`{found['key']}` could be made" if dry_run else f"`{found['key']}` is there; nothing starts it yet"
    session.screen.result(made, said, keys=[found["key"]])


@command(group, "update")
def update_release(session: Session, key: Key, file: File = None, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Change a plan to what a file says; approvals of the plan before count no more."""
    if file is None:
        raise UsageError("which plan?", hint="`--file plan.yaml`")
    document, media_type = read_document(file)
    path = _path(session, key)
    etag = session.api.get(path).etag

    def make(dry_run: bool) -> Any:
        return session.api.change("PATCH", path, document, if_match=etag, dry_run=dry_run, media_type=media_type).body

    title = f"change the plan of `{key}`"
    body = carry_out(session, Proposal(title, make), Consent(yes, dry_run))
    if not dry_run:
        session.screen.result(body, f"done: {title}", keys=[key])


@command(group, "schedule")
def schedule_release(
    session: Session,
    key: Key,
    at: Annotated[str | None, typer.Option(metavar="MOMENT", help="When: `2h` from now, or a moment.")] = None,
    local: Annotated[str | None, typer.Option(metavar="TIME", help="When a clock shows `2026-11-30T09:00`.")] = None,
    zone: Annotated[str | None, typer.Option(help="The zone of that clock: `Europe/Berlin`.")] = None,
    never: Annotated[bool, typer.Option("--never", help="Take its time away.")] = False,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Say when a release starts, if the policy allows it then; else it is held and tells why."""
    if never == (at is not None or local is not None):
        raise UsageError("when?", hint="`--at MOMENT`, `--local TIME --zone ZONE`, or `--never`")
    body = {"at": moment(at, is_ahead=True), "local": local, "zone": zone, "reason": reason}
    when = "never" if never else f"{local} {zone or ''}".rstrip() if local is not None else shown(body["at"])
    _tell(session, key, ("schedule", f"start `{key}`: {when}", body), Consent(yes, dry_run, must_ask=not never))


@command(group, "approve")
def approve_release(session: Session, key: Key, reason: Reason = "", yes: Yes = False, dry_run: DryRun = False) -> None:
    """Say yes to the next step of the plan as it is now."""
    found = session.api.get(_path(session, key))
    body = {"digest": found.body["digest"], "reason": reason}
    if not (session.screen.is_json or session.screen.is_quiet):
        for line in release(found.body):
            session.screen.review(line)
    title = f"approve that `{key}` goes on from step {found.body['step']}"
    _tell(session, key, ("approve", title, body), Consent(yes, dry_run), etag=found.etag)


@command(group, "go")
def go(
    session: Session, key: Key, reason: Reason = "", force: Force = False, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """Take the next step now, after a look at what it changes."""
    found = session.api.get(_path(session, key))
    number = found.body["step"] + (not found.body["is_dark"])
    steps = found.body["steps"]
    to = audience_of(steps[number - 1]["audience"]) if number <= len(steps) else "the end"
    title = f"`{key}` in {found.body['environment']}: step {number}, {to}"
    _tell(session, key, ("go", title, {"reason": reason, "force": force}), Consent(yes, dry_run), etag=found.etag)


@command(group, "hold")
def hold(session: Session, key: Key, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Let a release stay where it is. Does not ask: stopping is always right."""
    _tell(session, key, ("hold", f"hold `{key}`", {"reason": reason}), Consent(False, dry_run, must_ask=False))


@command(group, "resume")
def resume(
    session: Session, key: Key, reason: Reason = "", force: Force = False, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """Let a release that is held go on; the time of its step counts anew."""
    _tell(session, key, ("resume", f"resume `{key}`", {"reason": reason, "force": force}), Consent(yes, dry_run))


@command(group, "abort")
def abort(session: Session, key: Key, reason: Reason = "", yes: Yes = False, dry_run: DryRun = False) -> None:
    """End a release where it is; its flags stay as they are."""
    _tell(session, key, ("abort", f"end `{key}` where it is", {"reason": reason}), Consent(yes, dry_run))


@command(group, "undo")
def undo(
    session: Session,
    key: Key,
    to: Annotated[
        Literal["start", "previous"], typer.Option(help="Before the release, or before its last step.")
    ] = "start",
    reason: Reason = "",
    force: Force = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Give people back what they had before the release, or before its last step, after a look at what that changes."""
    title = f"undo `{key}`" if to == "start" else f"undo the last step of `{key}`"
    _tell(session, key, ("undo", title, {"to": to, "reason": reason, "force": force}), Consent(yes, dry_run))


def _tell(
    session: Session, key: str, verb: tuple[str, str, Mapping[str, Any]], consent: Consent, *, etag: str | None = None
) -> None:
    action, title, body = verb
    path = f"{_path(session, key)}/{action}"
    etag = etag or session.api.get(_path(session, key)).etag

    def make(dry_run: bool) -> Any:
        return session.api.change("POST", path, body, if_match=etag, dry_run=dry_run).body

    made = carry_out(session, Proposal(title, make), consent)
    if not consent.dry_run:
        session.screen.result(made, f"{key}: {standing(made)}", keys=[key])


def _path(session: Session, key: str) -> str:
    return session.project_path("releases", key)


def _flag(text: str) -> dict[str, str]:
    flag, equals, variant = text.partition("=")
    return {"flag": flag, "variant": variant} if equals else {"flag": flag}


def _steps(texts: list[str], after: str | None, approval: str | None) -> list[dict[str, Any]]:
    advance = {
        **({} if after is None else {"after": after}),
        **({} if approval is None else {"approval": {"role": approval}}),
    }
    steps: list[dict[str, Any]] = [{"audience": _audience(text)} for text in texts]
    for step in steps[:-1] if advance else []:
        step["advance"] = advance
    return steps


def _audience(text: str) -> Any:
    if text.endswith("%"):
        try:
            return {"percent": float(text[:-1])}
        except ValueError:
            raise UsageError(f"`{text}` is no share: write `5%` or `12.5%`") from None
    kind, colon, key = text.partition(":")
    return {"segment": key} if colon and kind == "segment" else text
