"""A decision in plain words: for terminals, for pull requests, and what to do next and who can.

Only for people: programs read verdict and codes. Texts that users wrote are escaped for Markdown.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from greenroom_server.policy.codes import CODES
from greenroom_server.policy.decision import Decision, RuleResult
from greenroom_server.policy.instants import instant_text

Steps: TypeAlias = Iterable[Mapping[str, Any]]

_VERDICTS: Final = {"allow": "may go", "wait": "may not go yet", "deny": "may not go"}
_MARKS: Final = {"pass": "✓", "pending": "…", "fail": "✗", "error": "✗", "waived": "~", "warn": "!"}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")
_SPACE: Final = re.compile(r"\s+")


def headline(decision: Decision) -> str:
    """What was asked, and the verdict, in one line."""
    return f"{decision.verdict}: {_asked(decision)} {_VERDICTS[decision.verdict]}"


def sentences(decision: Decision) -> tuple[str, ...]:
    """The headline, a line for each rule that has something to say, and how long that holds."""
    spoken = [
        f"{one.id}: {_said(one)}" for one in decision.rules if one.finding.outcome not in ("pass", "not_applicable")
    ]
    return (headline(decision), *spoken, *_moments(decision))


def next_steps(decision: Decision) -> tuple[str, ...]:
    """What somebody can do about it, and who; nothing for what only time changes."""
    return steps_in_words(decision.next, decision.obligations)


def steps_in_words(steps: Steps, obligations: Steps) -> tuple[str, ...]:
    """The same of the members `next` and `obligations` of a decision that was written down."""
    return tuple(dict.fromkeys([*map(_step, steps), *map(_obligation, obligations)]))


def text(decision: Decision) -> str:
    """All of it for a terminal."""
    lines = list(sentences(decision))
    if steps := next_steps(decision):
        lines += ["", "next:", *(f"  - {step}" for step in steps)]
    return "\n".join(lines) + "\n"


def markdown(decision: Decision) -> str:
    """All of it for a pull request, with a table of every rule."""
    lines = [f"**{_escaped(headline(decision))}**", "", "| | rule | condition | code | |", "|---|---|---|---|---|"]
    lines += [_row(one) for one in decision.rules]
    if moments := _moments(decision):
        lines += ["", *(_escaped(moment) for moment in moments)]
    if steps := next_steps(decision):
        lines += ["", "Next:", "", *(f"- {_escaped(step)}" for step in steps)]
    name = decision.policy_name
    policy = f"Policy {name} version {decision.policy_version}" if name else "No policy"
    told = _escaped(f"{policy}, mode {decision.mode}, as of")
    return "\n".join([*lines, "", f"{told} {instant_text(decision.now)}."]) + "\n"


def _asked(decision: Decision) -> str:
    where = decision.environment + (f" ({decision.slot})" if decision.slot else "")
    if decision.flag is not None:
        whom = f" to {decision.audience}" if decision.audience else ""
        return f"{decision.action} of the flag {decision.flag}{whom} in {where}"
    named = (decision.digest or decision.commit or "")[:19]
    what = f"{decision.service} {named}" if named else decision.service
    return f"{decision.action} of {what} to {where}"


def _said(result: RuleResult) -> str:
    finding = result.finding
    said = f"{finding.message or CODES[finding.code].meaning} [{finding.code}]"
    if result.at is not None:
        said = f"at {instant_text(result.at)}: {said}"
    if result.waiver is not None:
        said = f"waived by {result.waiver}: {said}"
    if finding.outcome == "warn":
        said = f"not in force yet: {said}"
    return f"overridden by break-glass {result.overridden_by}: {said}" if result.overridden_by else said


def _moments(decision: Decision) -> tuple[str, ...]:
    if decision.verdict == "allow":
        until = decision.expires_at
        return () if until is None else (f"this holds until {instant_text(until)}, unless facts change",)
    if decision.retry_at is not None:
        return (f"with the same facts it may go at {instant_text(decision.retry_at)}",)
    return ("time alone changes nothing",)


def _row(result: RuleResult) -> str:
    finding = result.finding
    said = "" if finding.outcome == "pass" else _escaped(_said(result).removesuffix(f" [{finding.code}]"))
    mark = _MARKS.get(finding.outcome, "–")
    return f"| {mark} | {_escaped(result.id)} | {result.condition or ''} | `{finding.code}` | {said} |"


def _escaped(told: str) -> str:
    return _SPECIAL.sub(r"\\\1", _SPACE.sub(" ", told))


def _step(step: Mapping[str, Any]) -> str:
    return STEPS[step["do"]](step)


def _obligation(one: Mapping[str, Any]) -> str:
    return f"before traffic moves, the flags {', '.join(one['flags'])} must be dark in {one['environment']}"


def _supply(step: Mapping[str, Any]) -> str:
    suite = f" (suite {step['suite']})" if "suite" in step else ""
    signed = ", signed by a pinned key" if step.get("signed") else ""
    if "source" in step:
        return f"the source of health {step['source']}: report how {step['environment']} is"
    if "environment" in step:
        return f"whoever runs {step['environment']}: compare it with what it stands for, and report the drift"
    return f"the pipeline: report new evidence of {step['kind']}{suite}{signed}"


def _deploy(step: Mapping[str, Any]) -> str:
    what = f"a build with the story {step['story']} as it is now" if "story" in step else "the build"
    where = f" to {step['environment']}" if "environment" in step else ""
    slot = f" ({step['slot']})" if "slot" in step else ""
    return f"the pipeline: deploy {what}{where}{slot}"


def _approve(step: Mapping[str, Any]) -> str:
    people = "somebody" if step["count"] == 1 else f"{step['count']} persons"
    return f"{people} with the role {step['role']}: approve"


def _who(template: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda step: template.format_map(step)


# What a decision's `next` may ask for.
STEPS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "accept": lambda step: (
        f"somebody with a role of {', '.join(step['roles'])}: accept the demonstration {step['demo']}"
    ),
    "approve": _approve,
    "close_obstacle": _who("whoever deals with the obstacle {obstacle}: resolve it and close it"),
    "create_flag": _who("the team: create the flag {flag} there, dark"),
    "darken": _who("the team: make the flag {flag} dark"),
    "demonstrate": _who("the team: demonstrate the story {story} from a production-like environment"),
    "deploy": _deploy,
    "link_flag": _who("the team: finish the story {story}, or hide it behind a flag and link that"),
    "link_story": _who("the team: link the stories behind the flag {flag} to it"),
    "register_build": _who("the pipeline: register the build with the digest {digest}"),
    "resolve_incident": _who("whoever deals with the incident {incident}: resolve it"),
    "review_break_glass": _who("an incident commander: review the break-glass {break_glass}"),
    "set_mode": _who("a release manager: take the service out of hold"),
    "supply": _supply,
    "wait_for_deployment": _who(
        "the pipeline: finish the deployment of {digest} to {environment}, or tell that it failed"
    ),
    "withdraw_rejection": _who("{person}: withdraw the rejection {approval}, if it is settled"),
    "withdraw_veto": _who("{person}: withdraw the veto {veto}, if it is settled"),
    "write_policy": _who("a policy author: write a rule for it, or correct the names in the request"),
}
