"""The verb that counts: how a service was delivered to an environment in the last days."""

from collections.abc import Sequence
from datetime import timedelta

from greenroom_server.decisions.service_decisions import instant_of
from greenroom_server.flags.work import Work
from greenroom_server.policy.figures import Figures, figures
from greenroom_server.policy.readiness import percentile
from greenroom_server.readiness.pace import in_slices
from greenroom_server.readiness.wire import CountOut, FailureOut, FiguresOut, LengthOut, RestoreOut
from greenroom_server.releases.service_chronicle import Whose, chronicle_of, load_history
from greenroom_server.releases.service_scope import require_environment

MAX_DAYS = 366
_BUILDS = 500


async def read_figures(work: Work, project_key: str, service: str, environment: str, days: int) -> FiguresOut:
    """The figures of the last days. Raises `NotFound` for an unknown service, `Invalid` for an environment."""
    await require_environment(work, project_key, environment)
    since = work.now - timedelta(days=days)
    history = await load_history(work, Whose(project_key, service, environment), builds=_BUILDS, since=since)
    chronicle = await in_slices(chronicle_of(history))
    found = await in_slices(figures(chronicle, instant_of(since), instant_of(work.now)))
    return FiguresOut(
        service=service,
        environment=environment,
        since=since,
        until=work.now,
        days=days,
        deployments=_count(found.deployments, days),
        rollbacks=_count(found.rollbacks, days),
        failed_deployments=_count(found.failed_deployments, days),
        releases=_count(len(found.releases), days),
        lead_time=_lengths(found.lead_times),
        dark_time=_lengths(found.dark_times),
        change_failure=_failure(found),
        time_to_restore=RestoreOut(**_lengths(found.restore_times).model_dump(), open=found.open_incidents),
    )


def _count(count: int, days: int) -> CountOut:
    return CountOut(count=count, per_week=round(count * 7 / days, 2))


def _lengths(lengths: Sequence[int]) -> LengthOut:
    half, most = (percentile(lengths, percent) for percent in (50, 90))
    return LengthOut(
        count=len(lengths),
        p50_s=None if half is None else half // 1000,
        p90_s=None if most is None else most // 1000,
    )


def _failure(found: Figures) -> FailureOut:
    return FailureOut(
        deployments=found.deployments,
        rolled_back=found.rolled_back,
        with_incident=found.with_incident,
        failed=found.failed_changes,
        percent=round(100 * found.failed_changes / found.deployments, 1) if found.deployments else None,
    )
