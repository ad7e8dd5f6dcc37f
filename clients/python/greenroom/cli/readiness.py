"""`greenroom gate readiness`: could the service be switched to continuous deployment? 0 it could, 10 not yet."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from greenroom.cli.command import Needs, command
from greenroom.cli.decision import NoDecision
from greenroom.cli.decision_files import write_text
from greenroom.cli.decision_words import STYLES, escaped
from greenroom.cli.screen import Part, table, visible
from greenroom.cli.session import Session
from greenroom.cli.subject import Service
from greenroom.cli.times import length, shown

NOT_YET: Final = 10
_CRITERIA: Final = {
    "policy": "a policy is in force",
    "builds": "builds that were looked at, at least {limit}",
    "false_ready": "builds that would have gone and should not have",
    "auto_ready_percent": "percent of the builds would have gone by themselves, at least {limit}",
    "permit_to_live_p95_ms": "95 of 100 deployments take at most {limit}",
    "manual_evidence": "builds whose evidence took a person",
    "unsanctioned_deployments": "deployments without a permit",
    "overdue_reviews": "overdue reviews of a break-glass",
}
_OUTCOMES: Final = {
    "auto_ready": "went by themselves",
    "blocked_evidence": "lacked evidence",
    "blocked_calendar": "were held up by the calendar alone",
    "blocked_unfinished_not_dark": "had unfinished code that was not dark",
    "blocked_other": "waited for somebody",
    "manual_evidence": "had evidence that a person produced",
    "false_ready": "would have gone and should not have",
}


def add_to(group: typer.Typer) -> None:
    """Add the commands to those of `gate.py`."""
    command(group, "readiness", needs=Needs.ENVIRONMENT)(show_readiness)


def show_readiness(
    session: Session,
    service: Service,
    builds: Annotated[int, typer.Option(min=20, max=200, help="How many builds to look at.")] = 50,
    percent: Annotated[int, typer.Option(min=1, max=100, help="How many percent must have gone by themselves.")] = 95,
    budget: Annotated[
        int, typer.Option(min=1, max=86_400, metavar="SECONDS", help="What a deployment may take.")
    ] = 600,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the report, so that `services mode` can name it.")] = False,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown too.")
    ] = None,
) -> None:
    """See whether a service could be switched to continuous deployment, and what stood in the way of its builds.

    Each of the last builds is decided again as if it were switched, from what was known then. Ends with 0 if the
    service could be switched, and with 10 if not yet.
    """
    path = session.project_path("services", service, "readiness")
    if keep:
        thresholds = {"auto_ready_percent": percent, "budget_s": budget}
        body = {"environment": session.environment, "builds": builds, "thresholds": thresholds}
        found = session.api.create(path, body).body
    else:
        query = {"builds": builds, "auto_ready_percent": percent, "budget_s": budget}
        found = session.api.get(path, environment=session.environment, **query).body
    is_flippable = _checked(found)
    session.screen.result(found, _told(found), keys=["ready" if is_flippable else "not-ready"])
    if markdown_file is not None:
        write_text(markdown_file, markdown(found))
    raise typer.Exit(0 if is_flippable else NOT_YET)


def markdown(found: Mapping[str, Any]) -> str:
    """The report for a pull request or a wiki page."""
    lines = [f"**{escaped(headline(found))}**", "", "| | |", "|---|---|"]
    lines += [f"| {'✓' if one['is_met'] else '✗'} | {escaped(_criterion(one))} |" for one in found["criteria"]]
    if found["in_the_way"]:
        lines += ["", "In the way:", "", "| rule | builds | held up | codes | |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(escaped, row))} |" for row in _obstructions(found)]
    lines += ["", *(f"- {escaped(line)}" for line in _counts(found)), "", escaped(_origin(found))]
    return "\n".join(lines) + "\n"


def headline(found: Mapping[str, Any]) -> str:
    """The verdict in one line."""
    could = "could be switched" if found["is_flippable"] else "could not be switched yet"
    return f"{found['service']} {could} to continuous deployment in {found['environment']}"


def _checked(found: Any) -> bool:
    """The verdict; raises NoDecision if the answer has another shape, or says more than its own criteria."""
    try:
        is_flippable, met = found["is_flippable"], [one["is_met"] for one in found["criteria"]]
    except (KeyError, TypeError) as error:
        raise NoDecision(f"the answer has not the shape of a report: {error}") from None
    if is_flippable is True and (not met or not all(one is True for one in met)):
        raise NoDecision("the report says ready, and its criteria do not")
    return is_flippable is True


def _told(found: Mapping[str, Any]) -> Iterator[Part]:
    style = STYLES["allow" if found["is_flippable"] else "wait"]
    yield Text(visible(headline(found)), style=style)
    yield ""
    yield from (f"  {'✓' if one['is_met'] else '✗'} {_criterion(one)}" for one in found["criteria"])
    yield ""
    yield from (f"  {line}" for line in _counts(found))
    if found["in_the_way"]:
        yield "\nin the way, of most builds first:"
        yield table(
            ["  rule", "builds", "held up", "codes", ""], ([f"  {row[0]}", *row[1:]] for row in _obstructions(found))
        )
    waits = sorted(one["human_wait_s"] for one in found["builds"] if one["human_wait_s"] is not None)
    if waits:
        half = length(waits[len(waits) // 2])
        yield f"\nonce they could have gone, builds waited for people: {len(waits)} did, half of them {half} or longer"
    wrong = [(one, what) for one in found["builds"] for what in one["wrong"]]
    yield from (f"  {one['digest'][:19]}: {what['what']} at {shown(what['at'])}" for one, what in wrong)
    yield Text(visible(f"\n{_origin(found)}"), style="dim")


def _criterion(one: Mapping[str, Any]) -> str:
    name, value, limit = one["criterion"], one["value"], one["limit"]
    if name == "permit_to_live_p95_ms":
        value, limit = (None if value is None else length(value / 1000)), length(limit / 1000)
    text = _CRITERIA.get(name, name).format(limit=limit)
    return f"{'nothing measured' if value is None else value}: {text}"


def _counts(found: Mapping[str, Any]) -> list[str]:
    return [f"{count} {_OUTCOMES.get(name, name)}" for name, count in found["counts"].items() if count]


def _obstructions(found: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            one["rule"],
            str(one["builds"]),
            length(one["held_s"]) if one["held_s"] else "",
            ", ".join(one["codes"]),
            one["message"],
        ]
        for one in found["in_the_way"]
    ]


def _origin(found: Mapping[str, Any]) -> str:
    name = "not kept" if found["id"] is None else f"report {found['id']}"
    policy = (
        "no policy"
        if found["policy"] is None
        else f"policy {found['policy']['name']} version {found['policy']['version']}"
    )
    return f"{name}; {policy}, as of {shown(found['made_at'])}"
