"""`greenroom guardrails`: what stops a release by itself."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out
from greenroom.cli.command import command
from greenroom.cli.documents import read_document
from greenroom.cli.errors import UsageError
from greenroom.cli.files import read_text
from greenroom.cli.screen import Part, facts, table
from greenroom.cli.session import Session
from greenroom.cli.times import shown, span

group = typer.Typer(help="What stops a release by itself: metrics, alerts, what people do.", no_args_is_help=True)

GuardrailKey = Annotated[str, typer.Argument(metavar="GUARDRAIL", help="The guardrail's key.")]
SecretFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Holds what Prometheus is asked with, or what alerts are signed with."),
]
_SIGNS = {"gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}


@command(group, "list")
def list_guardrails(session: Session) -> None:
    """List the guardrails, and what each said last."""
    found = session.api.get(session.project_path("guardrails")).body
    rows = [
        [one["key"], one["source"]["kind"], _condition(one), one["action"], _state(one), _why(one)]
        for one in found["items"]
    ]
    columns = ("key", "source", "condition", "action", "state", "said")
    session.screen.result(found, table(columns, rows), keys=[one["key"] for one in found["items"]])


@command(group, "show")
def show_guardrail(session: Session, guardrail: GuardrailKey) -> None:
    """Show a guardrail, the running steps that it watches and what they are told, and its newest readings."""
    body = session.api.get(session.project_path("guardrails", guardrail)).body
    source = {name: value for name, value in body["source"].items() if name != "kind" and value is not None}
    pairs = {
        "description": body["description"],
        "source": body["source"]["kind"],
        **{f"  {name}": value for name, value in source.items()},
        "condition": _condition(body),
        "action": body["action"] + (f", after {body['for_s']} s" if body["for_s"] else ""),
        "watches": _watches(body),
        "asked": f"every {body['interval_s']} s" if body["is_sampled"] else "not now: no step runs that it watches",
        "tripped": shown(body["tripped_at"]) if body["is_tripped"] else "no",
    }
    steps = [[one["release"], one["environment"], one["step"], one["outcome"], one["reason"]] for one in body["steps"]]
    readings = [[shown(one["at"]), one["state"], one["why"]] for one in body["readings"]]
    parts: list[Part] = [Text(body["key"], style="bold"), facts(pairs)]
    if steps:
        parts.append(table(("release", "environment", "step", "told", "because"), steps))
    parts.append(table(("read", "state", "said"), readings))
    session.screen.result(body, parts, keys=[body["key"]])


@command(group, "create")
def create_guardrail(
    session: Session,
    file: Annotated[Path, typer.Argument(help="The guardrail, YAML or JSON; `-` is standard input.")],
    secret_file: SecretFile = None,
    dry_run: DryRun = False,
) -> None:
    """Make a guardrail from a file. A secret that the server makes for alerts is shown this once."""
    document, media_type = read_document(file)
    path = session.project_path("guardrails")
    made = session.api.create(path, document, dry_run=dry_run, media_type=media_type).body
    body = made["result"] if dry_run else made
    if secret_file is not None and not dry_run:
        patch = {"secret": read_text(secret_file).strip()}
        session.api.change("PATCH", session.project_path("guardrails", body["key"]), patch, if_match="*")
    session.screen.result(
        made, f"`{body['key']}` could be created" if dry_run else f"`{body['key']}` is there", keys=[body["key"]]
    )
    if body["secret"] and secret_file is None:
        session.screen.say(f"alerts are signed with {body['secret']}, shown this once")


@command(group, "update")
def update_guardrail(
    session: Session,
    guardrail: GuardrailKey,
    threshold: Annotated[float | None, typer.Option(help="Beyond which value it trips.")] = None,
    action: Annotated[
        Literal["hold", "step_back", "darken"] | None, typer.Option(help="What happens when it trips.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="For how long it must trip, such as `30s`.")
    ] = None,
    secret_file: SecretFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Change a guardrail. Asks first: it decides what stops a release."""
    patch: dict[str, Any] = {"action": action} if action is not None else {}
    if threshold is not None:
        patch["condition"] = {"value": threshold}
    if lasting is not None:
        patch["for_s"] = int(span(lasting).total_seconds())
    if secret_file is not None:
        patch["secret"] = read_text(secret_file).strip()
    if not patch:
        raise UsageError("nothing to change: give `--threshold`, `--action`, `--for` or `--secret-file`")
    _change(session, guardrail, ("PATCH", f"change guardrail `{guardrail}`", patch), Consent(yes, dry_run))


@command(group, "test")
def test_guardrail(session: Session, guardrail: GuardrailKey) -> None:
    """Ask the source once: what it says, and what a running step would be told. Nothing is kept."""
    body = session.api.ask(session.project_path("guardrails", guardrail, "test"), b"").body
    told = f"{body['reading']['state']}: {body['reading']['why']}"
    session.screen.result(body, [told, f"a running step would be told: {body['outcome']}"], keys=[body["outcome"]])


@command(group, "delete")
def delete_guardrail(session: Session, guardrail: GuardrailKey, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a guardrail. A release whose plan names it is held from then on."""
    _change(session, guardrail, ("DELETE", f"delete guardrail `{guardrail}`", None), Consent(yes, dry_run))


def _change(session: Session, guardrail: str, verb: tuple[str, str, Any], consent: Consent) -> None:
    method, title, patch = verb
    path = session.project_path("guardrails", guardrail)
    found = session.api.get(path)

    def make(dry_run: bool) -> Any:
        return session.api.change(method, path, patch, if_match=found.etag, dry_run=dry_run).body

    body = carry_out(session, Proposal(title, make), consent)
    if not consent.dry_run:
        session.screen.result(body, f"done: {title}", keys=[guardrail])


def _condition(guardrail: dict[str, Any]) -> str:
    condition = guardrail["condition"]
    if condition is None:
        return ""
    if condition["kind"] == "threshold":
        return f"{_SIGNS.get(condition['op'], condition['op'])} {condition['value']}"
    return f"{condition['worse']} than `{guardrail['source'].get('against')}` by {condition['tolerance']}"


def _state(guardrail: dict[str, Any]) -> str:
    if guardrail["is_tripped"]:
        return "tripped"
    last = guardrail["last_reading"]
    return "" if last is None else str(last["state"])


def _why(guardrail: dict[str, Any]) -> str:
    last = guardrail["last_reading"]
    return "" if last is None else str(last["why"])


def _watches(guardrail: dict[str, Any]) -> str:
    limits = [
        f"{name}: {', '.join(guardrail[name])}" for name in ("environments", "flags", "releases") if guardrail[name]
    ]
    return "; ".join(limits) or "every step of the project"
