"""What was really served, and where: `exposures`, `propagation`, `builds`, `coverage` and `alerts`."""

from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from greenroom.cli.arguments import FlagKey, Since, Until
from greenroom.cli.command import Needs, command
from greenroom.cli.screen import facts, table
from greenroom.cli.session import Session
from greenroom.cli.times import moment, shown


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "exposures", needs=Needs.ENVIRONMENT)(show_exposures)
    command(app, "propagation", needs=Needs.ENVIRONMENT)(show_propagation)
    command(app, "builds", needs=Needs.ENVIRONMENT)(list_builds)
    command(app, "coverage", needs=Needs.ENVIRONMENT)(show_coverage)
    command(app, "alerts")(list_alerts)


def show_exposures(
    session: Session,
    flag: FlagKey,
    since: Since = None,
    until: Until = None,
    step: Annotated[Literal["minute", "hour", "day"] | None, typer.Option(help="Also over time, so finely.")] = None,
) -> None:
    """Show how often a flag gave each variant, and to how many people. The last day, unless told otherwise.

    People are counted for flags that report them (`track_exposures: subjects`).
    """
    query = {"since": moment(since), "until": moment(until), "step": step or "hour"}
    body = session.api.get(session.environment_path("flags", flag, "exposures"), **query).body
    whole = sum(one["evaluations"] for one in body["totals"])
    totals = [
        [_variant(one), one["evaluations"], _share(one["evaluations"], whole), one["subjects"]]
        for one in body["totals"]
    ]
    parts: list[Any] = [table(["variant", "evaluations", "share", "people"], totals)]
    if step is not None:
        rows = [[shown(one["at"]), _variant(one), one["evaluations"], one["subjects"]] for one in body["items"]]
        parts += ["", table(["from", "variant", "evaluations", "people"], rows)]
    session.screen.result(body, parts, keys=[one["variant"] or "" for one in body["totals"]])
    if not totals:
        session.screen.say(f"no application reported `{flag}` from {shown(body['since'])} to {shown(body['until'])}")


def show_propagation(session: Session) -> None:
    """Show how many running instances serve the newest revision, and which lag behind."""
    body = session.api.get(session.environment_path("propagation")).body
    slowest = "" if body["slowest_s"] is None else f", the slowest after {body['slowest_s']:.1f} s"
    pairs = {
        "revision": f"{body['revision']}, published {shown(body['published_at'])}",
        "instances": f"{body['current']} of {body['instances']} serve it{slowest}",
    }
    parts: list[Any] = [facts(pairs)]
    if body["laggards"]:
        columns = ("instance", "application", "version", "build", "revision")
        rows = [[*(one[name] for name in columns), shown(one["last_seen"])] for one in body["laggards"]]
        parts += ["", table([*columns, "last seen"], rows)]
    session.screen.result(body, parts, keys=[one["instance"] for one in body["laggards"]])


def list_builds(session: Session) -> None:
    """List the builds that were seen at work in an environment, newest first."""
    body = session.api.get(session.environment_path("builds")).body
    columns = ("application", "version", "build", "instances")
    rows = [
        [*(one[name] for name in columns), shown(one["first_seen"]), shown(one["last_seen"])] for one in body["items"]
    ]
    shown_table = table([*columns, "first seen", "last seen"], rows)
    session.screen.result(body, shown_table, keys=[one["build"] or one["version"] for one in body["items"]])
    if not rows:
        session.screen.say(f"no instance reported from `{session.environment}` yet")


def show_coverage(session: Session, since: Since = None) -> None:
    """Show the flags that nobody asks for, and the keys that are asked for and are no flags. The last week."""
    body = session.api.get(session.environment_path("coverage"), since=moment(since)).body
    rows = [[one["flag"], "nobody asks for it", "", shown(one["last_evaluated_at"])] for one in body["unused"]]
    rows += [
        [one["flag"], "is no flag", one["evaluations"], shown(one["last_evaluated_at"])] for one in body["unknown"]
    ]
    parts = table(["key", "finding", "evaluations", "last asked for"], rows)
    session.screen.result(body, parts, keys=[row[0] for row in rows])
    if not rows:
        session.screen.say(f"every flag is asked for, and nothing else, since {shown(body['since'])}")


def list_alerts(session: Session) -> None:
    """List the dark flags of which another variant was served all the same."""
    body = session.api.get(session.project_path("darkness-alerts")).body
    columns = ("environment", "flag", "variant", "evaluations")
    times = ("dark_since", "first_at", "last_at")
    rows = [[*(one[name] for name in columns), *(shown(one[name]) for name in times)] for one in body["items"]]
    session.screen.result(
        body, table([*columns, "dark since", "first", "last"], rows), keys=[one["flag"] for one in body["items"]]
    )
    if not rows:
        session.screen.say("no dark flag was served")


def _variant(one: dict[str, Any]) -> Text:
    return Text("(the application's default)", style="dim") if one["variant"] is None else Text(one["variant"])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
