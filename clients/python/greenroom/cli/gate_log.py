"""Decisions that were made: list them, look at one again, compute one again."""

from typing import Annotated, Any, Literal

import typer

from greenroom.cli.command import command
from greenroom.cli.decision import stored_decision
from greenroom.cli.decision_words import terminal
from greenroom.cli.errors import ChangesPending
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.times import shown

DecisionId = Annotated[str, typer.Argument(metavar="ID", help="The decision's id.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands to those of `gate.py`."""
    command(group, "report")(list_decisions)
    command(group, "show")(show_decision)
    command(group, "replay")(replay_decision)


def list_decisions(
    session: Session,
    last: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only of this service.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Only of this environment.")] = None,
    verdict: Annotated[Literal["allow", "wait", "deny"] | None, typer.Option(help="Only these.")] = None,
    action: Annotated[str | None, typer.Option(help="Only about this: deploy, release.")] = None,
) -> None:
    """List the last decisions: what was asked, by whom, and what was answered."""
    query = {"service": service, "environment": environment, "verdict": verdict, "action": action}
    page = session.api.pages(session.project_path("decisions"), limit=last, **query)
    columns = ("decision", "action", "service", "environment")
    rows = [
        [
            shown(one["decided_at"]),
            *(one[name] for name in columns),
            _short(one["subject"]),
            one["requester"],
            one["id"],
        ]
        for one in page["items"]
    ]
    titles = ("decided", *columns, "subject", "by", "id")
    session.screen.result(page, table(titles, rows), keys=[one["id"] for one in page["items"]])
    if not rows:
        session.screen.say("nothing was decided yet")


def show_decision(session: Session, decision: DecisionId) -> None:
    """Show a decision as it was given. It ends with 0, whatever the decision was."""
    body = session.api.get(session.project_path("decisions", decision)).body
    session.screen.result(body, terminal(stored_decision(body)), keys=[body["decision"]])


def replay_decision(session: Session, decision: DecisionId) -> None:
    """Compute a decision again from the facts that it was made from; ends with 5 if it comes out otherwise."""
    found = session.api.ask(session.project_path("decisions", decision, "replay"), {}).body
    session.screen.result(found, terminal(stored_decision(found["decision"])), keys=[_word(found)])
    if not found["same"]:
        raise ChangesPending(f"the same facts give another decision now: it {found['why']}")
    session.screen.say("the same facts give the same decision, byte for byte")


def _word(found: dict[str, Any]) -> str:
    return "same" if found["same"] else "differs"


def _short(subject: str) -> str:
    return subject[:19] if subject.startswith("sha256:") else subject
