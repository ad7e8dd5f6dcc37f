"""Permits at the gate: `permit` takes one, the others list them, use them and give them back.

INVARIANT: `permit` ends with 0 only if there is a permit for what was asked.
"""

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from greenroom.cli.arguments import Limit, Slot
from greenroom.cli.command import Needs, command
from greenroom.cli.decision import ALLOW, Decision, NoDecision, read_decision
from greenroom.cli.decision_words import terminal
from greenroom.cli.errors import UsageError
from greenroom.cli.gate_ending import JunitFile, MarkdownFile, end, record
from greenroom.cli.gate_wait import wait_for
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.subject import Artifact, Digest, Service, one_digest
from greenroom.cli.times import shown, span

MAX_VALID: Final = timedelta(minutes=15)

Action = Annotated[Literal["deploy", "switch", "rollback"], typer.Option(help="What is to be done.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the signed permit there; `-` prints it.")
]


PermitId = Annotated[str, typer.Argument(metavar="ID", help="The permit's id, which `permit --quiet` prints.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands to those of `gate.py`."""
    command(group, "permit", needs=Needs.ENVIRONMENT)(take_permit)
    command(group, "permits")(list_permits)
    command(group, "use")(use_permit)
    command(group, "give-back")(give_back_permit)
    command(group, "keys")(list_keys)


def take_permit(
    session: Session,
    service: Service,
    action: Action = "deploy",
    digest: Digest = None,
    artifact: Artifact = None,
    slot: Slot = None,
    valid_for: Annotated[
        str, typer.Option(metavar="SPAN", help="How long it may be used: 15 minutes at most.")
    ] = "15m",
    wait: Annotated[
        str | None, typer.Option(metavar="SPAN", help="While the answer is wait, ask again for so long.")
    ] = None,
    output: Output = None,
    break_glass_output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the record of the break-glass there, if it took one.")
    ] = None,
    attest_denial: Annotated[bool, typer.Option("--attest-denial", help="Have a deny signed too.")] = False,
    markdown: MarkdownFile = None,
    junit: JunitFile = None,
) -> None:
    """Ask, and on an allow reserve the place: for one use, by the id that `--quiet` prints. Ends like `check`.

    In GitHub Actions the step has the outputs `permit` and `decision`.
    """
    asked = {
        "service": service,
        "environment": session.environment,
        "action": action,
        "digest": one_digest(digest, artifact),
        **({} if slot is None else {"slot": slot}),
    }
    more = {"valid_for_s": _seconds(valid_for), **({"attest_denial": True} if attest_denial else {})}
    for file in (output, break_glass_output):
        _forget(file)
    taken = _Taking(session, asked, more)
    decision = taken.ask() if wait is None else wait_for(session, taken.ask, span(wait).total_seconds())
    answer = taken.answer
    _write(output, answer["attestation"])
    _write(break_glass_output, answer["break_glass_record"])
    if decision.verdict != ALLOW:
        end(session, decision, markdown, junit, {"permit": ""})
    permit = answer["permit"]
    if str(output) != "-":
        session.screen.result(answer, [*terminal(decision), _words(permit)], keys=[permit["id"]])
    record(decision, markdown, junit, {"permit": str(permit["id"])})
    raise typer.Exit(decision.exit_code)


def list_permits(
    session: Session,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only of this service.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Only there.")] = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    limit: Limit = 20,
) -> None:
    """List permits, newest first, and what became of them."""
    query = {"service": service, "environment": environment, "open": "true" if is_open else None}
    page = session.api.pages(session.project_path("permits"), limit=limit, **query)
    rows = [
        [
            one["id"],
            one["state"],
            one["action"],
            one["service"],
            f"{one['environment']}/{one['slot']}" if one["slot"] else one["environment"],
            one["digest"][:19],
            shown(one["issued_at"]),
            one["ended_because"],
        ]
        for one in page["items"]
    ]
    columns = ("id", "state", "action", "service", "environment", "digest", "issued", "because")
    session.screen.result(page, table(columns, rows), keys=[one["id"] for one in page["items"]])


def use_permit(session: Session, permit: PermitId) -> None:
    """Use a permit, right before it is done: for who tells of the deployment only afterwards. Decided on anew.

    Whatever does not end with 0 is no permission.
    """
    made = session.api.create(session.project_path("permits", permit, "use"), {}).body
    session.screen.result(made, f"permit {made['id']} is {made['state']}", keys=[made["id"]])


def give_back_permit(
    session: Session, permit: PermitId, reason: Annotated[str, typer.Option(help="Why.")] = ""
) -> None:
    """Give a permit back that is not needed: the next one may go."""
    made = session.api.change("POST", session.project_path("permits", permit, "release"), {"reason": reason}).body
    session.screen.result(made, f"permit {made['id']} is {made['state']}", keys=[made["id"]])


def list_keys(
    session: Session,
    pem: Annotated[bool, typer.Option("--pem", help="Print the public key that signs now, for `verify`.")] = False,
) -> None:
    """List the keys that sign the project's permits, and the verifier to pin with them."""
    found = session.api.get(session.project_path("permit-keys")).body
    signing = [one for one in found["items"] if one["retired_at"] is None]
    if pem:
        if not signing:
            raise UsageError("there is no key before the first permit")
        session.screen.line(signing[0]["public_key"].strip())
        return
    rows = [[one["key_id"], shown(one["created_at"]), shown(one["retired_at"])] for one in found["items"]]
    parts = (f"verifier: {found['verifier']}", table(("key", "made", "retired"), rows))
    session.screen.result(found, parts, keys=[one["key_id"] for one in found["items"]])


class _Taking:
    """Asks for the permit, perhaps again and again; `answer` is the last one."""

    def __init__(self, session: Session, asked: dict[str, Any], more: dict[str, Any]) -> None:
        self._session = session
        self._asked = asked
        self._more = more
        self.answer: dict[str, Any] = {}

    def ask(self) -> Decision:
        """The decision; raises NoDecision for an answer that is none, or an allow without its permit."""
        path = self._session.project_path("permits")
        self.answer = self._session.api.create(path, self._asked | self._more).body
        decision = read_decision(self.answer["decision"], self._asked, simulated=False)
        if (self.answer["permit"] is not None) is not (decision.verdict == ALLOW):
            raise NoDecision("the answer has a permit and no allow, or an allow and no permit")
        if decision.verdict == ALLOW:
            self._check_permit(self.answer["permit"], self.answer["attestation"])
        return decision

    def _check_permit(self, permit: Any, attestation: Any) -> None:
        if not isinstance(permit, dict) or not isinstance(attestation, dict):
            raise NoDecision("the answer has not the shape of a permit, or it is not signed")
        for name in ("service", "environment", "action", "digest", "slot"):
            if permit[name] != self._asked.get(name):
                raise NoDecision(f"the permit is for another {name}: `{permit[name]}`")
        if permit["state"] != "open" or not isinstance(permit["id"], str):
            raise NoDecision("the permit is not open")


def _seconds(text: str) -> int:
    length = span(text)
    if not timedelta(seconds=1) <= length <= MAX_VALID:
        raise UsageError("a permit may be used for 1 second to 15 minutes: `--valid-for 10m`")
    return int(length.total_seconds())


def _words(permit: Mapping[str, Any]) -> str:
    how = " by break-glass" if permit["break_glass"] is not None else ""
    return f"permit {permit['id']}{how}, to be used until {shown(permit['expires_at'])}"


def _forget(file: Path | None) -> None:
    """What an earlier run wrote is not to be taken for what this one is given."""
    if file is None or str(file) == "-":
        return
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None


def _write(file: Path | None, envelope: Any) -> None:
    if file is None or envelope is None:
        return
    text = json.dumps(envelope) + "\n"
    if str(file) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
