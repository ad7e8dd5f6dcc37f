"""From a plan as its author wrote it to the plan that is decided by, with all that is wrong with it. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from greenroom.evaluation.limits import FULL
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.policy.canonical import canonical_bytes
from greenroom_server.policy.durations import duration_ms
from greenroom_server.rollouts.plan import Advance, Need, Plan, Reach, Step
from greenroom_server.rollouts.serving import Part
from greenroom_server.rollouts.wire import (
    Audience,
    PercentAudience,
    ReleaseAdvance,
    ReleaseApprovalNeed,
    ReleaseIn,
    ReleaseStep,
    SegmentAudience,
    audience_of,
    document_of,
)

_NOBODY: Final = Reach()


def plan_of(wanted: ReleaseIn) -> Plan:
    """The plan. Raises `Invalid` naming every part that cannot be followed."""
    errors = [*_flags_named_wrong(wanted), *_empty_advances(wanted.steps)]
    keys = [one.flag for one in wanted.flags]
    reached: dict[str, Reach] = dict.fromkeys(keys, _NOBODY)
    steps = []
    for number, step in enumerate(wanted.steps):
        for key in keys:
            reach, finding = _widened(reached[key], audience_of(step, key))
            reached[key] = reach
            if finding is not None:
                at = f"/steps/{number}/flags/{key}" if key in step.flags else f"/steps/{number}/audience"
                errors.append(FieldError(at, finding))
        steps.append(Step(step.name or f"step {number + 1}", dict(reached), _advance(step.advance)))
    if errors:
        raise Invalid("this plan cannot be followed" if len(errors) > 1 else None, errors=_once(errors))
    return Plan(
        tuple(steps),
        digest_of(wanted),
        start=_need(wanted.start_approval),
        overdue_ms=duration_ms(wanted.overdue_after),
        waits_in_freeze=wanted.in_freeze == "wait",
    )


def digest_of(wanted: ReleaseIn) -> str:
    """Names what an approval is given for."""
    return f"sha256:{hashlib.sha256(canonical_bytes(document_of(wanted))).hexdigest()}"


def parts_of(wanted: ReleaseIn) -> tuple[Part, ...]:
    """The flags, their variants known. Those of several flags share their buckets: people get them together."""
    group = wanted.key if len(wanted.flags) > 1 else None
    return tuple(Part(one.flag, one.variant or "", one.bucket_by, group) for one in wanted.flags)


def taken_steps_changed(before: ReleaseIn, wanted: ReleaseIn, step: int) -> list[FieldError]:
    """What of a plan whose first `step` steps were taken is wanted otherwise, though it is past."""
    if step == 0:
        return []
    why = "people are being served what was planned here: it stays"
    errors = [
        FieldError(f"/{name}", f"`{name}`: {why}")
        for name in ("environment", "flags")
        if getattr(before, name) != getattr(wanted, name)
    ]
    for number in range(step):
        old, new = before.steps[number], wanted.steps[number] if number < len(wanted.steps) else None
        if new is None or (old.audience, old.flags) != (new.audience, new.flags):
            errors.append(FieldError(f"/steps/{number}", f"step {number + 1}: {why}"))
    return errors


def _widened(before: Reach, audience: Audience) -> tuple[Reach, str | None]:
    """Both together, and what is wrong with this audience after what was reached before."""
    reach, finding = _reach(audience)
    if finding is None and reach.is_nobody and not before.is_nobody:
        finding = "a step never serves fewer than the one before: `nobody` comes first"
    elif before.is_everyone and not reach.is_everyone:
        finding = "a step never serves fewer than the one before, which serves everyone"
    elif reach.percent and reach.percent < before.percent:
        finding = f"a step never serves fewer than the one before: {_percent(reach)} % after {_percent(before)} %"
    return before | reach, finding


def _reach(audience: Audience) -> tuple[Reach, str | None]:
    match audience:
        case SegmentAudience():
            return Reach(segments=(audience.segment,)), None
        case PercentAudience():
            exact = audience.percent * 1000
            is_exact = abs(exact - round(exact)) <= 1e-6
            percent = min(round(exact), FULL)
            return Reach(percent=percent), None if is_exact and percent else "a percentage has at most three decimals"
        case "everyone":
            return Reach(is_everyone=True), None
        case "internal":
            return Reach(is_internal=True), None
        case "nobody":
            return _NOBODY, None


def _percent(reach: Reach) -> str:
    return f"{reach.percent / 1000:g}"


def _flags_named_wrong(wanted: ReleaseIn) -> list[FieldError]:
    keys = [one.flag for one in wanted.flags]
    errors = [
        FieldError(f"/flags/{index}/flag", f"`{key}` is in this release already")
        for index, key in enumerate(keys)
        if key in keys[:index]
    ]
    for number, step in enumerate(wanted.steps):
        for key in step.flags:
            if key not in keys:
                errors.append(FieldError(f"/steps/{number}/flags/{key}", f"`{key}` is not a flag of this release"))
    return errors


def _empty_advances(steps: Sequence[ReleaseStep]) -> list[FieldError]:
    return [
        FieldError(f"/steps/{number}/advance", "say `after`, or whose `approval`: a guardrail alone never goes on")
        for number, step in enumerate(steps)
        if step.advance is not None and step.advance.after is None and step.advance.approval is None
    ]


def _advance(advance: ReleaseAdvance | None) -> Advance | None:
    if advance is None:
        return None
    after = None if advance.after is None else duration_ms(advance.after)
    return Advance(after, _need(advance.approval), tuple(advance.guardrails))


def _need(need: ReleaseApprovalNeed | None) -> Need | None:
    return None if need is None else Need(need.role, need.count)


def _once(errors: Sequence[FieldError]) -> list[FieldError]:
    """Several flags of one audience find the same."""
    return list(dict.fromkeys(errors))


def stored(document: Mapping[str, Any], row: Any) -> ReleaseIn:
    """What an author wrote, as it was stored: the document, and beside it what people call it."""
    return ReleaseIn.model_validate(
        {**document, "key": row.key, "name": row.name, "description": row.description}, strict=False
    )
