"""`greenroom policy`: write a release policy, see what it would decide, and let it decide."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, agree, carry_out
from greenroom.cli.command import Needs, command
from greenroom.cli.documents import YAML, read_document
from greenroom.cli.errors import CommandError, UsageError
from greenroom.cli.policy_words import checked, difference, remark
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.times import shown

group = typer.Typer(
    help="Release policies: what must hold before a build goes or a flag is released.", no_args_is_help=True
)

_SCHEMA: Final = "/release-policy.schema.json"
_LAST: Final = 50

File = Annotated[Path, typer.Argument(help="The policy, YAML or JSON; `-` is standard input.")]
Version = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A stored version, such as `shop@3`.")]


@command(group, "init")
def write_policy(
    session: Session,
    template: Annotated[
        Literal["continuous-deployment", "business-release", "regulated"], typer.Option(help="What it is modelled on.")
    ] = "business-release",
    name: Annotated[str | None, typer.Option(help="The policy's name; the project's key, if left out.")] = None,
    time_zone: Annotated[
        str, typer.Option(metavar="ZONE", help="The zone of all local times: `Europe/Berlin`.")
    ] = "UTC",
    environments: Annotated[
        str | None, typer.Option(metavar="KEYS", help="In the order in which builds pass them; the last is production.")
    ] = None,
) -> None:
    """Write a first policy to standard output, with comments: `greenroom policy init > policy.yaml`."""
    path = session.project_path("policy-templates", template)
    text = session.api.text(path, YAML, name=name, time_zone=time_zone, environments=environments)
    sys.stdout.write(text)


@command(group, "lint")
def lint_policy(session: Session, file: File) -> None:
    """Say what is wrong with a policy, and what to write instead; ends with 1 if it cannot be stored."""
    found = _check(session, file)
    session.screen.result(found, map(remark, found["remarks"]), keys=[one["path"] for one in found["remarks"]])
    if not found["is_acceptable"]:
        raise CommandError(f"{file} cannot decide as it is")
    session.screen.say(
        f"{file} can be stored" + ("" if found["is_ready"] else ", and its tests fail: `greenroom policy test`")
    )


@command(group, "test")
def run_policy_tests(session: Session, file: File) -> None:
    """Run the tests that a policy brings along; ends with 1 if one fails, or if it cannot be stored at all."""
    found = _check(session, file)
    session.screen.result(found, checked(found), keys=[one["name"] for one in found["tests"] if not one["passed"]])
    failed = sum(not one["passed"] for one in found["tests"])
    if not found["is_acceptable"]:
        raise CommandError(f"{file} cannot decide as it is")
    if failed:
        raise CommandError(f"{failed} of {len(found['tests'])} tests failed")
    session.screen.say(f"{len(found['tests'])} tests passed")


@command(group, "diff")
def diff_policy(
    session: Session,
    policy: Annotated[str, typer.Argument(metavar="NAME@VERSION|FILE", help="A stored version, or a document.")],
    last: Annotated[int, typer.Option(min=1, max=500, help="How many decisions, newest first.")] = _LAST,
) -> None:
    """Show what a policy would have made of the last decisions, from the facts that they were made from."""
    named = version_of(policy)
    if named is None:
        document, media_type = read_document(Path(policy))
        path = session.project_path("policies", "compare")
        found = session.api.ask(path, document, media_type=media_type, last=last).body
    else:
        found = session.api.get(session.project_path(*_stored(named), "comparison"), last=last).body
    session.screen.result(found, difference(found), keys=[one["id"] for one in found["changed"]])


@command(group, "push")
def push_policy(session: Session, file: File) -> None:
    """Store a policy as the next version. It decides nothing until somebody activates it."""
    document, media_type = read_document(file)
    made = session.api.create(session.project_path("policies"), document, media_type=media_type).body
    name = f"{made['name']}@{made['version']}"
    active = ", and decides for " + ", ".join(made["active_for"]) if made["active_for"] else ""
    session.screen.result(made, f"{name} is stored{active}", keys=[name])
    if not made["active_for"]:
        session.screen.say(f"somebody else activates it: `greenroom policy activate {name}`")


@command(group, "activate")
def activate_policy(
    session: Session,
    policy: Version,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", "-s", help="Only for this service; repeat it. Else for all without their own."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    yes: Yes = False,
) -> None:
    """Let a version decide from now on, after a look at what it would have decided otherwise. Asks first.

    Somebody else than its author does that.
    """
    named = _named(policy)
    path = session.project_path(*_stored(named))
    if not yes:
        found = session.api.get(f"{path}/comparison", last=_LAST).body
        for part in difference(found):
            session.screen.review(part)
        agree(session.screen, f"activate {policy}")
    body = {"services": service or None, "reason": reason}
    made = session.api.change("POST", f"{path}/activate", body, is_repeatable=True).body
    session.screen.result(made, f"{policy} decides for {', '.join(made['active_for'])}", keys=[policy])


@command(group, "list")
def list_policies(session: Session) -> None:
    """List the versions of all policies, and for which services each decides."""
    page = session.api.pages(session.project_path("policies"))
    rows = [
        [f"{one['name']}@{one['version']}", ", ".join(one["active_for"]), one["author"], shown(one["authored_at"])]
        for one in page["items"]
    ]
    session.screen.result(
        page, table(["policy", "decides for", "author", "stored"], rows), keys=[row[0] for row in rows]
    )
    if not rows:
        session.screen.say("there is no policy, so nothing is allowed: `greenroom policy init`")


@command(group, "show")
def show_policy(session: Session, policy: Version) -> None:
    """Show a stored version as its author wrote it, as JSON."""
    body = session.api.get(session.project_path(*_stored(_named(policy)))).body
    session.screen.json(body if session.screen.is_json else body["document"])


@command(group, "schema", needs=Needs.SERVER)
def write_schema(session: Session) -> None:
    """Write the JSON Schema of policies, with which an editor completes and checks them, to standard output."""
    sys.stdout.write(session.api.text(_SCHEMA, "application/schema+json"))


@command(group, "gate", needs=Needs.ENVIRONMENT)
def look_after_gate(
    session: Session,
    mode: Annotated[
        Literal["observe", "warn", "enforce"] | None, typer.Argument(help="What it should do; without it, it is shown.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; the audit log keeps it.")] = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Show or set what becomes of the policy's word when a flag is to be lit in an environment."""
    path = session.environment_path("release-gate")
    found = session.api.get(path)
    if mode is None:
        session.screen.result(found.body, _gate_words(found.body), keys=[found.body["mode"]])
        return
    wanted = {"mode": mode, "reason": reason}

    def make(dry_run: bool) -> Any:
        return session.api.change("PUT", path, wanted, if_match=found.etag, dry_run=dry_run).body

    body = carry_out(session, Proposal(f"let the gate of `{session.environment}` {mode}", make), Consent(yes, dry_run))
    if not dry_run:
        session.screen.result(body, _gate_words(body), keys=[body["mode"]])


def _gate_words(gate: dict[str, Any]) -> str:
    asked = "a policy in force is asked" if gate["is_governed"] else "no policy in force has a rule on releases there"
    usual = ", as is usual" if gate["is_default"] else ""
    return f"{gate['environment']}: {gate['mode']}{usual}; {asked}"


def version_of(text: str) -> tuple[str, str] | None:
    """The name and number in NAME@VERSION; None for anything else, which may be a file."""
    name, at, number = text.rpartition("@")
    return (name, number) if at and name and number.isascii() and number.isdigit() and "/" not in name else None


def _named(text: str) -> tuple[str, str]:
    found = version_of(text)
    if found is None:
        raise UsageError(f"`{text}` names no version: write NAME@VERSION, such as `shop@3`")
    return found


def _stored(named: tuple[str, str]) -> tuple[str, ...]:
    return "policies", named[0], "versions", named[1]


def _check(session: Session, file: Path) -> dict[str, Any]:
    document, media_type = read_document(file)
    found: dict[str, Any] = session.api.ask(
        session.project_path("policies", "check"), document, media_type=media_type
    ).body
    return found
