"""Releases in words: where one stands, its plan, and what it waits for."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.text import Text

from greenroom.cli.differences import lines
from greenroom.cli.screen import Part, facts, table
from greenroom.cli.times import shown

_STYLES: Final = {"held": "bold red", "running": "green", "scheduled": "cyan"}


def standing(body: Mapping[str, Any]) -> Text:
    """State and step of a release, or of one in a list."""
    steps = body["steps"]
    number = steps if isinstance(steps, int) else len(steps)
    words = f"{body['state']}, step {body['step']} of {number}" if body["step"] else str(body["state"])
    return Text(words, _STYLES.get(body["state"], ""))


def audience_of(audience: Any) -> str:
    """Whom a step serves."""
    if isinstance(audience, str):
        return audience
    if "percent" in audience:
        return f"{audience['percent']:g} %"
    return f"segment {audience['segment']}"


def release(body: Mapping[str, Any]) -> Iterator[Part]:
    """All there is to know about a release."""
    yield Text.assemble((f"{body['name'] or body['key']}", "bold"), " in ", body["environment"], ": ", standing(body))
    yield facts(
        {
            "flags": ", ".join(f"{one['flag']} = {one['variant']}" for one in body["flags"]),
            "since": shown(body["since"]) if body["since"] else None,
            "due": shown(body["due_at"]) if body["due_at"] else None,
            "started by": body["starter"],
            "plan": f"{body['digest']} by {body['author']}",
        }
    )
    yield ""
    numbers = range(1, len(body["steps"]) + 1)
    yield table(("", "step", "audience", "goes on"), [_step(body, number) for number in numbers])
    if body["hold"] is not None:
        yield Text.assemble((f"{body['hold']['code']}: ", "bold red"), body["hold"]["reason"])
    for wait in body["waits"]:
        yield Text(f"waits for {_wait(wait)}", "cyan")
    for conflict in body["conflicts"]:
        yield Text(conflict["gone"] or f"{conflict['flag']} is not as the release left it:", "yellow")
        yield from lines(conflict["differences"])
    for one in body["approvals"]:
        counts = "" if one["counts"] else " (counts no more)"
        yield f"step {one['step']}: approved by {one['person']}{counts}"


def _step(body: Mapping[str, Any], number: int) -> tuple[str, str, str, str]:
    step = body["steps"][number - 1]
    others = "".join(f", {flag}: {audience_of(one)}" for flag, one in step["flags"].items())
    mark = ">" if number == body["step"] else ""
    goes_on = "ends" if number == len(body["steps"]) and step["advance"] is None else _goes_on(step["advance"])
    return mark, f"{number} {step['name']}".rstrip(), audience_of(step["audience"]) + others, goes_on


def _goes_on(advance: Mapping[str, Any] | None) -> str:
    if advance is None:
        return "by hand"
    words = [] if advance["after"] is None else [f"after {advance['after']}"]
    if advance["approval"] is not None:
        words.append(f"with {advance['approval']['count']} approval of {advance['approval']['role']}")
    if advance["guardrails"]:
        words.append(f"while {', '.join(advance['guardrails'])} is well")
    return " and ".join(words)


def _wait(wait: Mapping[str, Any]) -> str:
    match wait["what"]:
        case "time":
            return f"its time, {shown(wait['until'])}"
        case "policy":
            return f"the release policy, {shown(wait['until'])}"
        case "approval":
            return f"{wait['have']} of {wait['need']} approvals by {wait['role']}"
        case "guardrail":
            return f"a look of {', '.join(wait['guardrails'])}"
    return "somebody to say go"
