"""A decision in words: on a terminal, and as Markdown for a pull request. What a program needs stands in the JSON."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.text import Text

from greenroom.cli.decision import ALLOW, DENY, WAIT, Decision, Rule
from greenroom.cli.screen import Part, table, visible

SIMULATED: Final = "simulated"
_MAY: Final = {ALLOW: "may go", WAIT: "may not go yet", DENY: "may not go"}
STYLES: Final = {ALLOW: "bold green", WAIT: "bold yellow", DENY: "bold red"}
_MARKS: Final = {"pass": "✓", "pending": "…", "fail": "✗", "error": "✗", "waived": "~", "warn": "!"}
_SHORT_DIGEST: Final = 19
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")
_SPACE: Final = re.compile(r"\s+")


def headline(decision: Decision) -> str:
    """What was asked, and whether it may be done."""
    where = decision.environment + (f" ({decision.slot})" if decision.slot else "")
    if decision.flag:
        whom = f" to {decision.audience}" if decision.audience else ""
        asked = f"{decision.action} of the flag {decision.flag}{whom} in {where}"
    else:
        what = f"{decision.service} {decision.digest[:_SHORT_DIGEST]}".strip()
        asked = f"{decision.action} of {what} to {where}"
    return f"{asked} {_MAY[decision.verdict]}"


def terminal(decision: Decision) -> Iterator[Part]:
    """The verdict, what stands in the way, what to do next and who can, and for how long all that holds."""
    word = f"{decision.verdict} ({SIMULATED})" if decision.is_simulated else decision.verdict
    yield Text.assemble((word, STYLES[decision.verdict]), ": ", visible(headline(decision)))
    if decision.in_the_way:
        yield "\nin the way:"
        yield table(
            ["  rule", "", "code", ""],
            ([f"  {one.id}", one.condition, one.code, said(one)] for one in decision.in_the_way),
        )
    remarks = [f"  {one.id}: {said(one)}" for one in decision.rules if _is_remarkable(one)]
    if remarks:
        yield "\nalso:"
        yield from remarks
    if decision.steps:
        yield "\nnext:"
        yield from (f"  - {step}" for step in decision.steps)
    yield ""
    yield from moments(decision)
    yield Text(visible(origin(decision)), style="dim")


def said(rule: Rule) -> str:
    """What a rule has to say, and why that does not count where it does not."""
    text = rule.message or rule.code
    if rule.waiver:
        text = f"waived by {rule.waiver}: {text}"
    if rule.outcome == "warn":
        text = f"not in force yet: {text}"
    return f"overridden by break-glass {rule.overridden_by}: {text}" if rule.overridden_by else text


def moments(decision: Decision) -> Iterator[str]:
    """Until when it holds, or from when on time alone would let it go."""
    if decision.verdict == ALLOW:
        if decision.expires_at is not None:
            yield f"this holds until {_when(decision.expires_at, decision.zone)}, unless facts change"
    elif decision.retry_at is not None:
        yield f"with the same facts it may go at {_when(decision.retry_at, decision.zone)}"
    else:
        yield "time alone changes nothing"


def origin(decision: Decision) -> str:
    """Which decision this is, and by which policy."""
    by = f"policy {decision.policy} version {decision.version}" if decision.policy else "no policy"
    name = "simulation, not kept" if decision.id is None else f"decision {decision.id}"
    return f"{name}; {by}, mode {decision.mode}, as of {decision.at:%Y-%m-%d %H:%M:%SZ}"


def markdown(decision: Decision) -> str:
    """All of it, with a table of every rule; texts of users are escaped."""
    word = f"{decision.verdict} ({SIMULATED})" if decision.is_simulated else decision.verdict
    lines = [
        f"**{word}**: {escaped(headline(decision))}",
        "",
        "| | rule | condition | code | |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(one) for one in decision.rules]
    if decision.steps:
        lines += ["", "Next:", "", *(f"- {escaped(step)}" for step in decision.steps)]
    told = [*moments(decision), origin(decision)]
    return "\n".join([*lines, "", *(f"{escaped(one)}  " for one in told)]) + "\n"


def _row(rule: Rule) -> str:
    mark = _MARKS.get(rule.outcome, "–")
    text = "" if rule.outcome == "pass" else escaped(said(rule))
    return f"| {mark} | {escaped(rule.id)} | {escaped(rule.condition)} | {escaped(rule.code)} | {text} |"


def _is_remarkable(rule: Rule) -> bool:
    return rule.outcome in ("waived", "warn") or bool(rule.overridden_by)


def _when(moment: datetime, zone: str | None) -> str:
    """In the policy's zone, and in the reader's where that is another time."""
    own = f"{moment.astimezone():%a %Y-%m-%d %H:%M %Z}".rstrip()
    there = _in_zone(moment, zone)
    if there is None:
        return own
    if there.utcoffset() == moment.astimezone().utcoffset():
        return f"{there:%a %Y-%m-%d %H:%M} {zone}"
    return f"{there:%a %Y-%m-%d %H:%M} {zone} ({own} here)"


def _in_zone(moment: datetime, zone: str | None) -> datetime | None:
    if zone is None:
        return None
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OverflowError):
        return None


def escaped(told: str) -> str:
    """A text of users as Markdown shows it: nothing in it means anything."""
    return _SPECIAL.sub(r"\\\1", _SPACE.sub(" ", visible(told)))
