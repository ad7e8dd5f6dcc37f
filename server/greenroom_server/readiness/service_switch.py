"""The switch: how builds of a service get into an environment, and what it takes to let them go by themselves."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_look import policy_in_force
from greenroom_server.errors import Conflict, FieldError, Invalid, NotFound
from greenroom_server.flags.work import Outcome, Work
from greenroom_server.readiness.service_reports import READINESS, find_newest, report_of
from greenroom_server.readiness.wire import ReadinessOut
from greenroom_server.releases.service_facts import get_fact
from greenroom_server.releases.service_scope import Place, open_ledger, place_of
from greenroom_server.releases.service_services import mode_path, put_mode, read_mode
from greenroom_server.releases.wire import ModeIn, ModeOut

FRESH_FOR: Final = timedelta(hours=24)


async def switch_mode(
    work: Work, project_key: str, service: str, environment: str, wanted: ModeIn, shelf: PolicyShelf
) -> Outcome[ModeOut]:
    """Set the mode. To `deployment` only with a fresh report that says so, or by force with a reason.

    Back to `delivery` and to `hold` at once, whatever anything says. Raises `Conflict` (`not_ready`) naming what is
    missing. Permits that are open stay so: a mode bears on the decisions that come.
    """
    place = await place_of(work, project_key)
    await open_ledger(work, project_key)
    before = await read_mode(work, project_key, service, environment)
    unmet: Sequence[str] = ()
    if wanted.mode == "deployment" and before.mode != "deployment":
        unmet = await _unmet(work, place, (service, environment), wanted, shelf)
        if unmet and not wanted.force:
            raise Conflict(f"it cannot be switched to `deployment`: {'; '.join(unmet)}", code="not_ready")
        if unmet and not wanted.reason.strip():
            raise Invalid(errors=[FieldError("/reason", "who forces the switch says why")])
    outcome = await put_mode(work, project_key, service, environment, wanted)
    if unmet and outcome.changes:
        forced = [{"path": "/forced", "op": "add", "to": {"reason": wanted.reason, "unmet": list(unmet)}}]
        await work.note(project_key, "mode.force", mode_path(project_key, service, environment), forced)
    return outcome


async def _unmet(work: Work, place: Place, where: tuple[str, str], wanted: ModeIn, shelf: PolicyShelf) -> Sequence[str]:
    """What a report must say before a service is switched, and does not."""
    report = await _report(work, place, where, wanted.report)
    if report is None:
        return ["there is no readiness report: make one"]
    found = []
    if not report.is_flippable:
        failing = [one.criterion for one in report.criteria if not one.is_met]
        found.append(f"the readiness report does not meet {', '.join(f'`{name}`' for name in failing)}")
    if report.made_at + FRESH_FOR <= work.now:
        found.append("the readiness report is older than 24 hours: make a new one")
    policy = await policy_in_force(work.session, shelf, place.project_id, where[0])
    if policy is None or report.policy is None or report.policy.digest != policy.digest:
        found.append("another policy is in force since the readiness report was made: make a new one")
    return found


async def _report(work: Work, place: Place, where: tuple[str, str], named: str | None) -> ReadinessOut | None:
    """The report that is named, which must be about the same; else the newest."""
    if named is None:
        return await find_newest(work, place, *where)
    try:
        report = report_of(await get_fact(work, place, READINESS, named))
    except NotFound as error:
        raise Invalid(errors=[FieldError("/report", error.detail)]) from None
    if (report.service, report.environment) != where:
        detail = f"the report is about `{report.service}` in `{report.environment}`"
        raise Invalid(errors=[FieldError("/report", detail)])
    return report
