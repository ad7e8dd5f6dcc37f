"""The verbs on readiness reports: compute one, keep one, read one that was kept.

A report that is kept is a fact of kind `readiness`: numbered, dated, never changed.
"""

from dataclasses import dataclass
from typing import Final

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_decisions import instant_of
from greenroom_server.decisions.service_look import policy_in_force
from greenroom_server.flags.work import Outcome, Work, plain
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import BreakGlass, Instant, Request
from greenroom_server.policy.readiness import (
    CLASSES,
    Criterion,
    Judged,
    Last,
    Thresholds,
    Verdict,
    judge_builds,
    verdict_on,
)
from greenroom_server.policy.replaying import replay
from greenroom_server.readiness.answers import builds_out, criteria_out, in_the_way_out, policy_out
from greenroom_server.readiness.pace import in_slices
from greenroom_server.readiness.wire import MIN_BUILDS, ReadinessIn, ReadinessOut, ThresholdsOut
from greenroom_server.releases.service_chronicle import History, Whose, chronicle_of, load_history
from greenroom_server.releases.service_facts import Fact, FactFilter, Saying, get_fact, page_facts, say
from greenroom_server.releases.service_scope import Place, open_ledger, place_of, require_environment
from greenroom_server.releases.service_snapshot import load_snapshot

READINESS: Final = "readiness"


@dataclass(frozen=True, slots=True)
class Asked:
    """About which service, and how it is judged."""

    project: str
    service: str
    wanted: ReadinessIn


async def make_report(work: Work, asked: Asked, shelf: PolicyShelf) -> ReadinessOut:
    """Replay the last builds by the policy in force. Wants a reading transaction; computes in short slices.

    Raises `NotFound` for an unknown project or service, `Invalid` for an environment that is not there.
    """
    place, wanted = await place_of(work, asked.project), asked.wanted
    await require_environment(work, asked.project, wanted.environment)
    whose = Whose(asked.project, asked.service, wanted.environment)
    history = await load_history(work, whose, builds=wanted.builds)
    policy = await policy_in_force(work.session, shelf, place.project_id, asked.service)
    overdue = await _overdue_reviews(work, asked)
    limits = Thresholds(
        min_builds=MIN_BUILDS,
        auto_ready_percent=wanted.thresholds.auto_ready_percent,
        budget_ms=wanted.thresholds.budget_s * 1000,
    )
    return await _report(work, asked, history, policy, (overdue, limits))


async def keep_report(work: Work, asked: Asked, made: ReadinessOut) -> Outcome[ReadinessOut]:
    """Keep it as a fact that the switch can name."""
    ledger = await open_ledger(work, asked.project)
    body = plain(made)
    row = await say(
        work, ledger, Saying(READINESS, service=made.service, environment=made.environment, at=made.made_at, body=body)
    )
    kept = made.model_copy(update={"id": str(row.id)})
    told = {"service": made.service, "environment": made.environment, "is_flippable": made.is_flippable}
    changes = [{"path": "", "op": "add", "to": told}]
    await work.note(asked.project, "readiness.report", report_path(asked.project, kept.id or ""), changes)
    return Outcome(kept, changes)


async def read_report(work: Work, project_key: str, report: str) -> ReadinessOut:
    """Raises `NotFound`, also for what lies in an environment hidden from the caller."""
    return report_of(await get_fact(work, await place_of(work, project_key), READINESS, report))


async def find_newest(work: Work, place: Place, service: str, environment: str) -> ReadinessOut | None:
    """The report that was kept last about a service in an environment."""
    wanted = FactFilter(service, environment)
    for found in await page_facts(work, place, READINESS, wanted, before=None, limit=1):
        return report_of(found)
    return None


def report_of(found: Fact) -> ReadinessOut:
    return ReadinessOut.model_validate({**found.row.body, "id": str(found.row.id)}, strict=False)


def report_path(project_key: str, report: str) -> str:
    return f"/api/v1/projects/{project_key}/readiness/{report}"


async def _report(
    work: Work, asked: Asked, history: History, policy: Policy | None, measured: tuple[int, Thresholds]
) -> ReadinessOut:
    overdue, limits = measured
    wanted = asked.wanted
    judged: list[Judged] = []
    verdict = Verdict(False, (Criterion("policy", 0, 1, False),), dict.fromkeys(CLASSES, 0), ())
    if policy is not None and wanted.environment in policy.document.environments:
        chronicle = await in_slices(chronicle_of(history))
        replayed = await in_slices(replay(chronicle, history.wanted, policy, instant_of(work.now)))
        known = Last(chronicle)
        judged = await in_slices(judge_builds(replayed, known))
        verdict = verdict_on(judged, known, overdue, limits)
    return ReadinessOut(
        id=None,
        made_at=work.now,
        service=asked.service,
        environment=wanted.environment,
        seq=history.seq,
        policy=policy_out(policy),
        thresholds=ThresholdsOut(
            builds=wanted.builds,
            min_builds=limits.min_builds,
            auto_ready_percent=limits.auto_ready_percent,
            budget_s=wanted.thresholds.budget_s,
        ),
        is_flippable=verdict.is_flippable,
        criteria=criteria_out(verdict),
        counts={str(name): count for name, count in verdict.counts.items()},
        in_the_way=in_the_way_out(verdict.obstructions),
        builds=builds_out(judged),
    )


async def _overdue_reviews(work: Work, asked: Asked) -> int:
    """How many who broke the glass owe a review that is overdue."""
    request = Request("deploy", asked.service, asked.wanted.environment, "")
    snapshot = await load_snapshot(work, asked.project, request)
    return sum(1 for one in snapshot.break_glasses if _is_overdue(one, instant_of(work.now)))


def _is_overdue(glass: BreakGlass, now: Instant) -> bool:
    is_owed = glass.used_at is not None and glass.reviewed_at is None
    return is_owed and glass.review_due is not None and glass.review_due <= now
