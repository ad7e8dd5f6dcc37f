"""How rules say what they found, and how findings about parts become one."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenroom_server.policy.decision import Finding, Outcome
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.instants import earliest

OK: Final = "ok"
BLOCKING: Final[frozenset[Outcome]] = frozenset({"pending", "fail", "error"})

_RANK: Final[Mapping[Outcome, int]] = {
    "not_applicable": 0,
    "pass": 1,
    "warn": 2,
    "waived": 3,
    "pending": 4,
    "fail": 5,
    "error": 6,
}
_PASSED: Final = Finding("pass", OK)


def passed(evidence: tuple[str, ...] = (), holds_until: Instant | None = None) -> Finding:
    if not evidence and holds_until is None:
        return _PASSED
    return Finding("pass", OK, evidence=evidence, holds_until=holds_until)


def pending(code: str, message: str, clears_at: Instant | None = None, **more: Any) -> Finding:
    """`more` are `params`, `evidence` and `next` of the finding."""
    return Finding("pending", code, message, clears_at=clears_at, holds_until=clears_at, **more)


def failed(code: str, message: str, **more: Any) -> Finding:
    """`more` are `params`, `evidence` and `next` of the finding."""
    return Finding("fail", code, message, **more)


def rank(outcome: Outcome) -> int:
    """Higher is worse."""
    return _RANK[outcome]


def worst(findings: Iterable[Finding]) -> Finding:
    """All of them at once: it passes when all pass, and speaks with the voice of the first of the worst."""
    parts = list(findings)
    if not parts:
        return _PASSED
    if len(parts) == 1:
        return parts[0]
    blocking = [part for part in parts if part.outcome in BLOCKING]
    evidence = tuple(sorted({one for part in blocking or parts for one in part.evidence}))
    holds_until = earliest(*(part.holds_until for part in parts))
    if not blocking:
        return passed(evidence, holds_until)
    loudest = max(blocking, key=lambda part: rank(part.outcome))
    return Finding(
        loudest.outcome,
        loudest.code,
        loudest.message,
        loudest.params,
        evidence,
        next=unique(step for part in blocking for step in part.next),
        clears_at=latest_of_all(part.clears_at for part in blocking),
        holds_until=holds_until,
    )


def latest_of_all(instants: Iterable[Instant | None]) -> Instant | None:
    """When all of them are over; None if one of them never is."""
    all_of_them = list(instants)
    given = [at for at in all_of_them if at is not None]
    return max(given) if given and len(given) == len(all_of_them) else None


def unique(things: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Each once, in the order in which they came."""
    kept: list[Mapping[str, Any]] = []
    for thing in things:
        if thing not in kept:
            kept.append(thing)
    return tuple(kept)
