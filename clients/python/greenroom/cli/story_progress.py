"""`greenroom stories done|board`: is a story done, and how far have all of them come? `done` ends like `gate check`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import typer
from rich.text import Text

from greenroom.cli.arguments import Limit
from greenroom.cli.command import Needs, command
from greenroom.cli.decision import ALLOW, DENY, EXIT_CODES, WAIT, Decision, NoDecision, stored_decision
from greenroom.cli.decision_words import STYLES, said
from greenroom.cli.screen import Part, table, visible
from greenroom.cli.session import Session
from greenroom.cli.subject import checked_digest
from greenroom.cli.times import shown

STATES: Final = ("in_work", "dark_in_production", "being_rolled_out", "released", "to_be_cleaned_up")
_IS: Final = {ALLOW: "is done", WAIT: "is not done yet", DENY: "is not done"}
_DONE: Final = {ALLOW: "yes", WAIT: "not yet", DENY: "no"}
_MARKS: Final = {"pass": "✓", "pending": "…", "fail": "✗"}

StoryKey = Annotated[str, typer.Argument(metavar="STORY", help="The story's key, such as `SHOP-117`.")]
State = Literal["in_work", "dark_in_production", "being_rolled_out", "released", "to_be_cleaned_up"]


def add_to(group: typer.Typer) -> None:
    """Add the commands to those of `services.py`."""
    command(group, "done", needs=Needs.ENVIRONMENT)(ask_done)
    command(group, "board", needs=Needs.ENVIRONMENT)(show_board)


def ask_done(
    session: Session,
    story: StoryKey,
    digest: Annotated[
        str | None, typer.Option(metavar="SHA256", help="Look at this build, in the service that it is of.")
    ] = None,
) -> None:
    """Ask whether a story is done, by the policy in force: 0 done, 10 not yet, 20 not as it is.

    Asked in every service that works on it, in what is live or else the newest build; `--digest` names another build.
    """
    build = None if digest is None else checked_digest(digest)
    body = session.api.get(
        session.project_path("stories", story, "done"), environment=session.environment, build=build
    ).body
    decisions = _checked(body)
    session.screen.result(body, _told(body, decisions), keys=[body["decision"]])
    raise typer.Exit(EXIT_CODES[body["decision"]])


def show_board(
    session: Session,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    limit: Limit = None,
) -> None:
    """Show how far the stories have come in an environment, and what keeps each from being done."""
    page = session.api.pages(session.project_path("stories:board"), limit=limit, environment=session.environment)
    wanted = [one for one in page["items"] if state in (None, one["state"])]
    rows = [_row(one) for one in sorted(wanted, key=lambda one: STATES.index(one["state"]))]
    columns = ("story", "state", "title", "done", "live in", "flags", "missing")
    session.screen.result({**page, "items": wanted}, table(columns, rows), keys=[one["story"] for one in wanted])
    if not rows:
        session.screen.say("there is no such story")


def _checked(body: Mapping[str, Any]) -> list[Decision]:
    """The decisions of the services; raises NoDecision if the whole says more than they do."""
    try:
        decisions = [stored_decision(one["decision"]) for one in body["services"]]
        verdict = body["decision"]
    except (KeyError, TypeError) as error:
        raise NoDecision(f"the answer has not the shape that it should have: {error}") from None
    if verdict not in EXIT_CODES:
        raise NoDecision(f"`{verdict}` is no verdict")
    if verdict == ALLOW and (not decisions or any(one.verdict != ALLOW for one in decisions)):
        raise NoDecision("the answer calls the story done, and not all of its services do")
    return decisions


def _told(body: Mapping[str, Any], decisions: list[Decision]) -> Iterator[Part]:
    verdict = body["decision"]
    name = f"{body['story']} ({body['title']})" if body["title"] else body["story"]
    yield Text.assemble((verdict, STYLES[verdict]), ": ", visible(f"{name} {_IS[verdict]} for {body['environment']}"))
    yield "  ".join(f"{_MARKS[one['outcome']]} {one['condition']}" for one in body["conditions"])
    for one, decision in zip(body["services"], decisions, strict=True):
        where = "live" if one["is_live"] else "not live"
        yield f"\n{one['service']} {one['digest'][:19]} ({where}): {decision.verdict}"
        if decision.in_the_way:
            rows = ([f"  {rule.id}", rule.condition, rule.code, said(rule)] for rule in decision.in_the_way)
            yield table(["  rule", "", "code", ""], rows)
    if body["demos"]:
        yield "\nshown:"
        yield from (f"  {_demo(one)}" for one in body["demos"])
    if body["steps"]:
        yield "\nnext:"
        yield from (f"  - {step}" for step in body["steps"])


def _demo(one: Mapping[str, Any]) -> str:
    where = one["environment"] + (f" ({one['slot']})" if one["slot"] else "")
    people = ", ".join(f"{yes['person']} as {yes['role']}" for yes in one["accepted_by"])
    return f"{shown(one['at'])} from {where}, accepted by {people or 'nobody'}"


def _row(one: Mapping[str, Any]) -> list[str]:
    live = [build["service"] if build["is_live"] else f"({build['service']})" for build in one["services"]]
    missing = dict.fromkeys(f"{rule['condition'] or ''} {rule['code']}".strip() for rule in one["missing"])
    return [
        one["story"],
        one["state"].replace("_", " "),
        one["title"],
        _DONE[one["decision"]],
        ", ".join(live),
        ", ".join(f"{flag['flag']}: {flag['state']}" for flag in one["flags"]),
        ", ".join(missing),
    ]
