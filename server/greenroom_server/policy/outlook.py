"""A decision at any instant, and from that: when to ask again, and how long an answer holds.

Two facts about findings carry the search. What blocks cannot pass before its `clears_at`, so no instant before the
latest of those lets everything pass; from there one looks again, since what passed before may block by then. And no
outcome changes before the earliest `holds_until`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from greenroom_server.policy.break_glass import can_override, ends_at, usable
from greenroom_server.policy.decision import RuleResult, Verdict
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.findings import BLOCKING, latest_of_all, rank
from greenroom_server.policy.instants import DAY_MS, earliest
from greenroom_server.policy.question import Check, Question

HORIZON_MS: Final = 366 * DAY_MS

Results: TypeAlias = tuple[RuleResult, ...]


class Outlook:
    """What each check finds at an instant; while a scheduled one is ahead, the worse of both instants."""

    def __init__(
        self, question: Question, checks: Sequence[Check], scheduled_for: Instant | None = None, breakable: bool = False
    ) -> None:
        self.count = len(checks)
        self._breakable = breakable
        self._question = question
        self._checks = checks
        self._scheduled_for = scheduled_for
        self._later: Question | None = None if scheduled_for is None else question.at(scheduled_for)
        self._later_results: dict[int, RuleResult] = {}

    def question_at(self, at: Instant) -> Question:
        if at != self._question.now:
            self._question = self._question.at(at)
        return self._question

    def result(self, number: int, at: Instant) -> RuleResult:
        found = self._checks[number](self.question_at(at))
        if self._later is None or self._later.now <= at:
            return found
        later = self._later_results.get(number)
        if later is None:
            later = self._later_results[number] = self._checks[number](self._later)
        return _worse(found, later, self._later.now)

    def standing(self, at: Instant, before: "Standing | None" = None) -> "Standing":
        """Everything at an instant; of an earlier standing what cannot have changed is kept."""
        question = self.question_at(at)
        if before is not None:
            results = tuple(
                self.result(number, at) if _may_change(held, at) else held for number, held in enumerate(before.results)
            )
        elif self._later is None:
            results = tuple(check(question) for check in self._checks)
        else:
            results = tuple(self.result(number, at) for number in range(self.count))
        return Standing(question, results, self._breakable)


def _worse(found: RuleResult, later: RuleResult, at: Instant) -> RuleResult:
    """Both as one: the scheduled instant's finding stays as it is until that instant comes."""
    now_blocks, later_blocks = found.finding.outcome in BLOCKING, later.finding.outcome in BLOCKING
    blocking = [one.finding.clears_at for one in (found, later) if one.finding.outcome in BLOCKING]
    clears_at = latest_of_all(blocking) if now_blocks or later_blocks else None
    holds_until = earliest(found.finding.holds_until, at)
    loudest = found if rank(found.finding.outcome) >= rank(later.finding.outcome) else replace(later, at=at)
    return replace(loudest, finding=replace(loudest.finding, clears_at=clears_at, holds_until=holds_until))


class Standing:
    """All results at one instant, and the verdict that they give; break-glass only where nothing else allows."""

    __slots__ = ("at", "break_glass", "holds_until", "results", "verdict")

    def __init__(self, question: Question, results: Results, breakable: bool) -> None:
        self.at = question.now
        self.results = results
        self.break_glass: str | None = None
        self.verdict = _verdict(results)
        self.holds_until = earliest(*(result.finding.holds_until for result in results))
        glass = usable(question) if breakable and self.verdict != "allow" else None
        if glass is not None:
            self._break(question, glass.id, ends_at(question, glass))

    def _break(self, question: Question, glass: str, until: Instant) -> None:
        blocking = [result for result in self.results if result.finding.outcome in BLOCKING]
        if all(can_override(question, result) for result in blocking):
            self.verdict, self.break_glass = "allow", glass
            self.holds_until = earliest(self.holds_until, until)
            self.results = tuple(
                replace(result, overridden_by=glass) if result.finding.outcome in BLOCKING else result
                for result in self.results
            )

    def is_like(self, other: "Standing") -> bool:
        """Whether nothing changed that a reader may rely on: verdict, break-glass and every outcome."""
        return (self.verdict, self.break_glass, _outcomes(self.results)) == (
            other.verdict,
            other.break_glass,
            _outcomes(other.results),
        )


def _outcomes(results: Results) -> list[str]:
    return [result.finding.outcome for result in results]


def _verdict(results: Iterable[RuleResult]) -> Verdict:
    outcomes = {result.finding.outcome for result in results}
    if outcomes & {"fail", "error"}:
        return "deny"
    return "wait" if "pending" in outcomes else "allow"


def retry_at(outlook: Outlook, standing: Standing) -> Instant | None:
    """The earliest instant at which everything passes by time alone, up to 366 days ahead."""
    last = standing.at + HORIZON_MS
    blocking = [number for number, one in enumerate(standing.results) if one.finding.outcome in BLOCKING]
    at = latest_of_all(standing.results[number].finding.clears_at for number in blocking)
    order = [*blocking, *(number for number in range(outlook.count) if number not in blocking)]
    while at is not None and at <= last:
        number = next((number for number in order if outlook.result(number, at).finding.outcome in BLOCKING), None)
        if number is None:
            return at
        order = [number, *(one for one in order if one != number)]
        at = outlook.result(number, at).finding.clears_at
    return None


def expires_at(outlook: Outlook, standing: Standing) -> Instant | None:
    """The earliest instant at which the verdict or an outcome changes by time alone, up to 366 days ahead."""
    last = standing.at + HORIZON_MS
    now = standing
    while now.holds_until is not None and now.holds_until <= last:
        at = now.holds_until
        now = outlook.standing(at, now)
        if not now.is_like(standing):
            return at
    return None


def _may_change(result: RuleResult, at: Instant) -> bool:
    holds_until = result.finding.holds_until
    return holds_until is not None and holds_until <= at
