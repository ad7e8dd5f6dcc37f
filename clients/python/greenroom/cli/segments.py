"""`greenroom segments`: conditions with names."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from greenroom.cli import sentences
from greenroom.cli.arguments import Limit, SegmentKey
from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out
from greenroom.cli.command import command
from greenroom.cli.errors import UsageError
from greenroom.cli.files import read_text
from greenroom.cli.screen import facts, table
from greenroom.cli.session import Session

group = typer.Typer(help="Conditions with names, which flags share.", no_args_is_help=True)

When = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="The condition, or `@FILE` to read it from a file (`@-`: standard input)."),
]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
Description = Annotated[str | None, typer.Option(help="Whom it holds for.")]


@command(group, "list")
def list_segments(session: Session, limit: Limit = None) -> None:
    """List segments, and in sentences whom they hold for."""
    page = session.api.pages(session.project_path("segments"), limit=limit)
    rows = [[one["key"], one["name"], sentences.condition(one["when"])] for one in page["items"]]
    session.screen.result(page, table(["key", "name", "holds if"], rows), keys=[one["key"] for one in page["items"]])


@command(group, "show")
def show_segment(session: Session, segment: SegmentKey) -> None:
    """Show a segment."""
    body = session.api.get(session.project_path("segments", segment)).body
    pairs = {"name": body["name"], "description": body["description"], "holds if": sentences.condition(body["when"])}
    session.screen.result(body, [Text(body["key"], style="bold"), facts(pairs)], keys=[body["key"]])


@command(group, "create")
def create_segment(
    session: Session,
    segment: Annotated[str, typer.Argument(help="The segment's key; it is never given out twice.")],
    when: When = None,
    name: Name = None,
    description: Description = None,
    dry_run: DryRun = False,
) -> None:
    """Create a segment."""
    if when is None:
        raise UsageError(
            "a segment needs a condition", hint='`--when \'{"attribute": "plan", "op": "in", "values": ["plus"]}\'`'
        )
    body = {"key": segment, **_members(when, name, description)}
    made = session.api.create(session.project_path("segments"), body, dry_run=dry_run).body
    said = f"`{segment}` could be created" if dry_run else f"`{segment}` is there"
    session.screen.result(made, said, keys=[segment])


@command(group, "update")
def update_segment(
    session: Session,
    segment: SegmentKey,
    when: When = None,
    name: Name = None,
    description: Description = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Change a segment, and with it what every flag serves that names it. Asks first if any does."""
    patch = _members(when, name, description)
    if not patch:
        raise UsageError("nothing to change: give `--when`, `--name` or `--description`")
    used = when is not None and bool(_uses(session, segment)["items"])
    _change(session, segment, ("PATCH", f"change segment `{segment}`", patch), Consent(yes, dry_run, must_ask=used))


@command(group, "delete")
def delete_segment(session: Session, segment: SegmentKey, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a segment for good; its key is never given out again."""
    _change(session, segment, ("DELETE", f"delete segment `{segment}` for good", None), Consent(yes, dry_run))


@command(group, "usage")
def show_usage(session: Session, segment: SegmentKey) -> None:
    """Show which flags and segments name a segment."""
    body = _uses(session, segment)
    columns = ("flag", "environment", "segment", "pointer")
    rows = [[one[name] for name in columns] for one in body["items"]]
    keys = dict.fromkeys(one["flag"] or one["segment"] for one in body["items"])
    session.screen.result(body, table(columns, rows), keys=keys)
    if not rows:
        session.screen.say(f"nothing names `{segment}`")


def merge_patch(before: Any, after: Any) -> Any:
    """The patch (RFC 7396) that replaces the document, where the new one alone would leave members of the old."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    gone = {name: None for name in before if name not in after}
    return gone | {name: merge_patch(before.get(name), value) for name, value in after.items()}


def _uses(session: Session, segment: str) -> dict[str, Any]:
    body: dict[str, Any] = session.api.get(session.project_path("segments", segment, "usage")).body
    return body


def _change(session: Session, segment: str, verb: tuple[str, str, Any], consent: Consent) -> None:
    method, title, patch = verb
    path = session.project_path("segments", segment)
    found = session.api.get(path)
    if patch is not None and "when" in patch:
        patch = {**patch, "when": merge_patch(found.body["when"], patch["when"])}

    def make(dry_run: bool) -> Any:
        return session.api.change(method, path, patch, if_match=found.etag, dry_run=dry_run).body

    body = carry_out(session, Proposal(title, make), consent)
    if not consent.dry_run:
        session.screen.result(body, f"done: {title}")


def _members(when: str | None, name: str | None, description: str | None) -> dict[str, Any]:
    given = {"when": None if when is None else _condition(when), "name": name, "description": description}
    return {member: value for member, value in given.items() if value is not None}


def _condition(text: str) -> Any:
    try:
        return json.loads(read_text(Path(text[1:])) if text.startswith("@") else text)
    except ValueError as error:
        raise UsageError(f"the condition is no JSON: {error}") from None
