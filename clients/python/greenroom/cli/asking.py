"""A change that is shown before it is made: dry run, question, change.

INVARIANT: what somebody agreed to is what is made. A change of one thing names the version that the dry run was made
of, so if another was faster in between, the server refuses it; a change of many is looked at again after the question.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from greenroom.cli.decision import ALLOW
from greenroom.cli.differences import lines
from greenroom.cli.errors import CommandError, UsageError
from greenroom.cli.problems import decided
from greenroom.cli.screen import Screen
from greenroom.cli.session import Session

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: for machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]


@dataclass(frozen=True, slots=True)
class Consent:
    """What the user said beforehand. `must_ask` is whether the change is one to be asked about at all."""

    yes: bool
    dry_run: bool
    must_ask: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change in words, and how to make it; `make(True)` is the dry run and gives `changes` and `result`.

    `is_versioned` says that the change names the version it is meant for.
    """

    title: str
    make: Callable[[bool], Any]
    is_versioned: bool = True


def carry_out(session: Session, proposal: Proposal, consent: Consent) -> Any:
    """The result of the change, None if it was only looked at. Raises UsageError if there is nobody to be asked."""
    screen = session.screen
    asks = consent.must_ask and not consent.yes
    if consent.dry_run or asks or not (screen.is_json or screen.is_quiet):
        looked = proposal.make(True)
        _show(screen, proposal.title, looked["changes"], is_result=consent.dry_run)
        _warn(screen, looked)
        if consent.dry_run:
            return None if not screen.is_json else screen.json(looked)
        if looked["changes"] and asks:
            agree(screen, proposal.title)
            if not proposal.is_versioned and proposal.make(True)["changes"] != looked["changes"]:
                raise CommandError("what would change is no longer what was shown", hint="look at it again")
    return proposal.make(False)


def agree(screen: Screen, title: str) -> None:
    """Go on if somebody agrees; raises UsageError if there is nobody to ask, CommandError if they do not agree."""
    if not screen.can_ask:
        raise UsageError(
            f"{title}: this must be confirmed, and nobody is there to be asked",
            hint="say `--yes`, or look first with `--dry-run`",
        )
    if not screen.confirm(f"{title}?"):
        raise CommandError("nothing was changed")


def is_production(session: Session) -> bool:
    """Whether the environment's tier is production."""
    return str(session.api.get(session.environment_path()).body["tier"]) == "production"


def _warn(screen: Screen, looked: Any) -> None:
    """Tell what the release policy would hold up, where the environment's gate lets it pass all the same."""
    for decision in looked.get("decisions", []):
        if decision["decision"] != ALLOW and not screen.is_quiet:
            flag, where = decision["subject"]["flag"], decision["target"]["environment"]
            screen.warn(
                f"the release policy says {decision['decision']} to `{flag}` in `{where}`, and does not hold it"
            )
            for line in decided(decision):
                screen.say(f"  {line}")


def _show(screen: Screen, title: str, changes: list[Any], *, is_result: bool) -> None:
    if screen.is_quiet or (is_result and screen.is_json):
        return
    put = screen.show if is_result else screen.review
    put(Text(title if changes else f"{title}: nothing would change", style="bold"))
    for line in lines(changes):
        put(line)
