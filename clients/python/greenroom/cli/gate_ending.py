"""How commands of the gate end: with the decision on the screen and in files, and its exit code."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from greenroom.cli.decision import Decision
from greenroom.cli.decision_files import tell_github, write_files
from greenroom.cli.decision_words import terminal
from greenroom.cli.errors import CommandError
from greenroom.cli.session import Session

MarkdownFile = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown too, for a pull request.")
]
JunitFile = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write it as a JUnit report too, a test case per rule.")
]


def end(
    session: Session,
    decision: Decision,
    markdown_file: Path | None,
    junit_file: Path | None,
    outputs: Mapping[str, str] | None = None,
) -> None:
    """Show the decision, write it where it was asked for, and end with its exit code."""
    found = replace(decision, zone=_zone(session, decision))
    session.screen.result(found.body, terminal(found), keys=[found.verdict])
    record(found, markdown_file, junit_file, outputs)
    raise typer.Exit(found.exit_code)


def record(
    decision: Decision,
    markdown_file: Path | None,
    junit_file: Path | None,
    outputs: Mapping[str, str] | None = None,
) -> None:
    """Write the decision where it was asked for; `outputs` are further ones of a step in GitHub Actions."""
    write_files(decision, markdown_file=markdown_file, junit_file=junit_file)
    tell_github(decision, outputs=outputs)


def _zone(session: Session, decision: Decision) -> str | None:
    """The time zone of the policy, which only makes moments easier to read."""
    if not decision.version or (decision.retry_at is None and decision.expires_at is None):
        return None
    try:
        path = session.project_path("policies", decision.policy, "versions", str(decision.version))
        return str(session.api.get(path).body["document"]["time_zone"])
    except CommandError:
        return None
