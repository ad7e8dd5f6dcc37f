"""Whether the current evidence of one check passes: red anywhere is red, and one fresh green place is enough."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import Count, Duration, Percent
from greenroom_server.policy.durations import duration_text
from greenroom_server.policy.facts import Counts, Evidence, Instant
from greenroom_server.policy.findings import failed, passed, pending
from greenroom_server.policy.instants import instant_text


@dataclass(slots=True)
class Demand:
    """What is asked of the evidence of one check. `what` is how people call it, `params` and `next` name it."""

    what: str
    params: dict[str, Any]
    max_age: Duration | None = None
    max_attempts: Count | None = None
    max_skipped_percent: Percent | None = None
    max_duration: Duration | None = None
    definition: str | None = None
    needs_counts: bool = False

    @property
    def next(self) -> tuple[dict[str, Any], ...]:
        return ({"do": "supply", **self.params},)


def judged(demand: Demand, evidence: Iterable[Evidence], now: Instant) -> Finding:
    """One finding about all current evidence of one check, of which each piece is from another place."""
    found = list(evidence)
    if len(found) > 1:
        found.sort(key=lambda one: one.id)
    weak: list[Finding] = []
    green: list[Evidence] = []
    for one in found:
        problem = _red(demand, one)
        if problem is not None:
            return problem
        if (doubt := _doubtful(demand, one)) is not None:
            weak.append(doubt)
        else:
            green.append(one)
    if not green:
        return weak[0] if weak else _missing(demand)
    if demand.max_age is None:
        return passed(tuple(one.id for one in green))
    fresh = [one for one in green if now < one.finished_at + demand.max_age]
    if not fresh:
        return _stale(demand, green)
    return passed(tuple(one.id for one in fresh), max(one.finished_at for one in fresh) + demand.max_age)


def _red(demand: Demand, one: Evidence) -> Finding | None:
    counts = one.counts
    if one.outcome in ("fail", "error") or (counts is not None and counts.failed + counts.errors > 0):
        return _fail(demand, one, "evidence.failed", f"{demand.what} failed")
    if one.outcome == "pass" and counts is not None:
        problem = _uncovered(demand, one, counts)
        if problem is not None:
            return problem
    if demand.max_attempts is not None and one.attempt > demand.max_attempts:
        text = f"{demand.what} passed only in attempt {one.attempt}, of at most {demand.max_attempts}"
        return _fail(demand, one, "evidence.attempts", text)
    if demand.max_duration is not None and one.started_at is not None:
        took = one.finished_at - one.started_at
        if took > demand.max_duration:
            text = f"{demand.what} took {duration_text(took)}, of at most {duration_text(demand.max_duration)}"
            return _fail(demand, one, "evidence.slow", text)
    return None


def _uncovered(demand: Demand, one: Evidence, counts: Counts) -> Finding | None:
    if counts.total < 1:
        return _fail(demand, one, "evidence.empty", f"{demand.what} ran no test at all")
    limit = demand.max_skipped_percent
    if limit is not None and counts.skipped * 100 > limit * counts.total:
        text = f"{demand.what} skipped {counts.skipped} of {counts.total} tests, more than {limit} %"
        return _fail(demand, one, "skipped_ratio", text)
    if counts.skipped >= counts.total:
        return _fail(demand, one, "evidence.empty", f"{demand.what} skipped all of its tests")
    return None


def _doubtful(demand: Demand, one: Evidence) -> Finding | None:
    if one.outcome == "cancelled":
        return _wait(demand, one, "evidence.cancelled", f"the last run of {demand.what} was cancelled")
    if demand.needs_counts and one.counts is None:
        return _wait(demand, one, "evidence.uncounted", f"{demand.what} does not say how many tests ran")
    if demand.definition is not None and one.suite_definition != demand.definition:
        return _wait(demand, one, "evidence.definition", f"{demand.what} ran another suite than the policy declares")
    if demand.max_duration is not None and one.started_at is None:
        return _wait(demand, one, "evidence.untimed", f"{demand.what} does not say how long it took")
    return None


def _fail(demand: Demand, one: Evidence, code: str, message: str) -> Finding:
    return failed(code, message, params=demand.params, evidence=(one.id,), next=demand.next)


def _wait(demand: Demand, one: Evidence, code: str, message: str) -> Finding:
    return pending(code, message, params=demand.params, evidence=(one.id,), next=demand.next)


def _missing(demand: Demand) -> Finding:
    return pending("evidence.missing", f"{demand.what} is missing", params=demand.params, next=demand.next)


def _stale(demand: Demand, green: list[Evidence]) -> Finding:
    newest = max(green, key=lambda one: (one.finished_at, one.id))
    since = instant_text(newest.finished_at + (demand.max_age or 0))
    return pending(
        "evidence.stale",
        f"{demand.what} is too old since {since}",
        params={**demand.params, "since": since},
        evidence=(newest.id,),
        next=demand.next,
    )
